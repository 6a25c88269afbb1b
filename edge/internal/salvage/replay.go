package salvage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Replay calls f, in their order, for the packs in the files of a stream that have a sequence
// from on, up to the blocks whose packs were all received before since. Packs that the server
// has removed and not overwritten are among them; damaged ones are not. f must not keep the
// pack. The server may run: it only appends.
//
// The server could be asked for its messages instead, but after that a power cut lost packs
// that it had acknowledged with SyncAlways (nats-server 2.15.2; the drill's power-cut, 4 of 6
// runs, none of them when its files are read).
func Replay(dir, stream, subject string, from uint64, since time.Time, f func(seq uint64, pack []byte)) error {
	s := &salvager{o: Options{Dir: dir}}
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	first := len(numbers)
	for first > 0 {
		first--
		older, err := s.older(stream, subject, numbers[first], from, since)
		if err != nil {
			return err
		}
		if older {
			break
		}
	}
	for _, n := range numbers[first:] {
		data, err := s.read(n)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			return err
		}
		newCodec(stream, subject, n).each(data, func(r record) {
			if r.seq >= from {
				f(r.seq, r.message)
			}
		})
	}
	return nil
}

// numbers returns the numbers of the block files, in order.
func (s *salvager) numbers() ([]uint32, error) {
	entries, err := os.ReadDir(filepath.Clean(s.msgs()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var numbers []uint32
	for _, e := range entries {
		if n, ok := blockNumber(e.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// older reports whether the first pack of a block is old enough that no block before it is
// needed.
func (s *salvager) older(stream, subject string, n uint32, from uint64, since time.Time) (bool, error) {
	data, err := s.read(n)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p := newCodec(stream, subject, n).records(data)
	if p.first.seq == 0 {
		return false, nil
	}
	h, ok := header(p.first.pack)
	return p.first.seq <= from || (ok && h.Count > 0 && h.Base < since.UnixMilli()), nil
}

// each calls f for the intact messages in a block.
func (c *codec) each(buf []byte, f func(record)) {
	for at := 0; at < len(buf); {
		r, ok := c.read(buf[at:])
		if !ok {
			at = c.next(buf, at+1)
			continue
		}
		at += len(r.raw)
		if r.message != nil {
			f(r)
		}
	}
}
