package salvage

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"industrial-iot-monitor/internal/durable"
)

func (s *salvager) msgs() string             { return filepath.Join(s.o.Dir, "msgs") }
func (s *salvager) block(n uint32) string    { return filepath.Join(s.msgs(), fmt.Sprintf("%d.blk", n)) }
func (s *salvager) indexFile() string        { return filepath.Join(s.msgs(), "index.db") }
func (s *salvager) repaired(n uint32) string { return s.block(n) + repairedSuffix }

// repairedSuffix is not used by the server.
const repairedSuffix = ".mended"

func blockNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, ".blk")
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil
}

// finish completes a replacement interrupted by a crash: the repaired file is complete if
// the damaged one has been moved away, and otherwise removed, to be written again.
func (s *salvager) finish(n uint32) error {
	if _, err := os.Lstat(s.block(n)); errors.Is(err, fs.ErrNotExist) {
		return durable.Rename(s.repaired(n), s.block(n))
	}
	return os.Remove(s.repaired(n))
}

// list lists the blocks and reads the index.
func (s *salvager) list() error {
	entries, err := os.ReadDir(s.msgs())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name, unfinished := strings.CutSuffix(e.Name(), repairedSuffix)
		n, ok := blockNumber(name)
		if !ok {
			continue
		}
		if unfinished {
			if err := s.finish(n); err != nil {
				return err
			}
		}
		s.files = append(s.files, n)
	}
	slices.Sort(s.files)
	s.files = slices.Compact(s.files)
	data, err := os.ReadFile(s.indexFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.index, err = readIndex(s.o.Stream, data); err != nil {
		return s.setAside(s.indexFile()) // the server would remove it
	}
	s.hasIndex = true
	sum, err := s.lastSum()
	if err != nil {
		return err
	}
	s.trusted = s.index.covers(s.files, sum)
	return nil
}

// lastSum returns the hash of the last record of the newest block file, its last bytes.
func (s *salvager) lastSum() ([]byte, error) {
	sum := make([]byte, hashLen)
	if len(s.files) == 0 {
		return nil, nil
	}
	f, err := os.Open(s.block(s.files[len(s.files)-1]))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || end < hashLen {
		return sum, err // an empty block has a sum of zeros
	}
	_, err = f.ReadAt(sum, end-hashLen)
	return sum, err
}

// suspect reports by cheap checks whether a block must be read: the server will read it
// since it does not trust the index, or the block is shorter than in the index, or not
// older than it.
func (s *salvager) suspect(n uint32) (bool, error) {
	if s.o.All || !s.trusted {
		return true, nil
	}
	file, err := os.Stat(s.block(n))
	if err != nil {
		return false, err
	}
	index, err := os.Stat(s.indexFile())
	if err != nil {
		return false, err
	}
	if s.shortage(n, int(file.Size())) > 0 {
		return true, nil
	}
	return !file.ModTime().Before(index.ModTime()), nil // file times are coarse
}

// shortage returns by how many bytes at least a block file is shorter than in the index.
func (s *salvager) shortage(n uint32, size int) uint64 {
	for _, b := range s.index.blocks {
		if s.trusted && b.number == n {
			return max(b.bytes, uint64(size)) - uint64(size)
		}
	}
	return 0
}

// read returns the content of a block file, valid until the next call.
func (s *salvager) read(n uint32) ([]byte, error) {
	f, err := os.Open(s.block(n))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s.buf = slices.Grow(s.buf[:0], int(info.Size()))[:info.Size()]
	if _, err := io.ReadFull(f, s.buf); err != nil {
		return nil, err
	}
	return s.buf, nil
}

// replace replaces a block file by content and sets the old one aside. A crash leaves
// either of them, and no index.
func (s *salvager) replace(n uint32, content []byte) error {
	if len(content) > 0 {
		if err := durable.Write(s.repaired(n), content, 0o600); err != nil {
			return err
		}
	}
	if err := s.dropIndex(); err != nil {
		return err
	}
	if err := s.setAside(s.block(n)); err != nil {
		return err
	}
	if len(content) == 0 {
		return nil
	}
	return durable.Rename(s.repaired(n), s.block(n))
}

// write creates a block file.
func (s *salvager) write(n uint32, content []byte) error {
	if err := os.MkdirAll(s.msgs(), 0o750); err != nil {
		return err
	}
	if err := durable.Write(s.repaired(n), content, 0o600); err != nil {
		return err
	}
	return durable.Rename(s.repaired(n), s.block(n))
}

// dropIndex sets the index aside, so that the server reads the blocks.
func (s *salvager) dropIndex() error {
	if !s.hasIndex {
		return nil
	}
	s.hasIndex = false
	return s.setAside(s.indexFile())
}

// setAside moves a file or directory to the aside directory.
func (s *salvager) setAside(name string) error {
	if err := os.MkdirAll(s.aside, 0o700); err != nil {
		return err
	}
	rel, err := filepath.Rel(s.o.Dir, name)
	if err != nil {
		return err
	}
	to := filepath.Join(s.aside, strings.ReplaceAll(rel, string(filepath.Separator), "_"))
	if err := os.Rename(name, to); err != nil {
		return err
	}
	s.report.SetAside = append(s.report.SetAside, to)
	return errors.Join(durable.Sync(s.aside), durable.Sync(filepath.Dir(name)))
}

// checkMeta sets aside damaged metadata of the stream or a consumer, on which the server
// would fail. The stream's is recreated from the configuration; the consumers belong to
// the bridge, whose position is a checkpoint in Kafka.
func (s *salvager) checkMeta() error {
	meta, sum := filepath.Join(s.o.Dir, "meta.inf"), filepath.Join(s.o.Dir, "meta.sum")
	data, err1 := os.ReadFile(meta)
	want, err2 := os.ReadFile(sum)
	if err1 != nil || err2 != nil || hex.EncodeToString(newHasher(s.o.Stream).sum(data)) != string(want) {
		if err := errors.Join(s.setAsideIfPresent(meta), s.setAsideIfPresent(sum)); err != nil {
			return err
		}
	}
	consumers, err := os.ReadDir(filepath.Join(s.o.Dir, "obs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range consumers {
		if dir := filepath.Join(s.o.Dir, "obs", e.Name()); !intactConsumer(dir) {
			if err := s.setAside(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func intactConsumer(dir string) bool {
	meta, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
	if err != nil || !json.Valid(meta) {
		return false
	}
	sum, err := os.ReadFile(filepath.Join(dir, "meta.sum"))
	if err != nil || len(sum) != 2*hashLen || strings.Trim(string(sum), "0123456789abcdef") != "" {
		return false
	}
	state, err := os.ReadFile(filepath.Join(dir, "o.dat"))
	const stateMagic = 22
	return errors.Is(err, fs.ErrNotExist) || (err == nil && (len(state) == 0 || state[0] == stateMagic))
}

func (s *salvager) setAsideIfPresent(name string) error {
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.setAside(name)
}
