package broker

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/internal/wire"
)

// Last returns the sequence of the newest message in the stream at its opening.
func (s *Stream) Last() uint64 { return s.last }

// Replay calls f for every pack in the stream from a sequence on, or from the first whose
// messages were received at or after since, whichever is later. f must not keep the pack. A
// pack that cannot be read is left out.
func (s *Stream) Replay(ctx context.Context, from uint64, since time.Time, f func(seq uint64, pack []byte)) error {
	state, err := s.Info(ctx)
	if err != nil {
		return err
	}
	if state.Messages == 0 {
		return nil
	}
	from = max(from, state.FirstSeq)
	if n := int(state.LastSeq+1) - int(from); n > 0 {
		from += uint64(sort.Search(n, func(i int) bool {
			return err != nil || s.receivedSince(ctx, from+uint64(i), since, &err)
		}))
	}
	for seq := from; err == nil && seq <= state.LastSeq; seq++ {
		var msg *jetstream.RawStreamMsg
		msg, err = s.str.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			err = nil
			continue
		}
		if err == nil {
			f(seq, msg.Data)
		}
	}
	if err != nil {
		return fmt.Errorf("reading the packs of stream %s: %w", s.Name(), err)
	}
	return nil
}

// receivedSince reports whether the pack at a sequence, or the next one there is, has messages
// received at or after since. One that has none, or is unreadable, counts as such: rather a few
// packs too many.
func (s *Stream) receivedSince(ctx context.Context, seq uint64, since time.Time, failed *error) bool {
	msg, err := s.str.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(s.subject))
	if err != nil {
		*failed = err
		return true
	}
	p, err := wire.OpenPack(msg.Data)
	return err != nil || p.Header.Count == 0 || p.Header.Base >= since.UnixMilli()
}
