package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Last returns the sequence of the newest message in the stream at its opening.
func (s *Stream) Last() uint64 { return s.last }

// Replay calls f for every pack in the stream from a sequence on, of more than most for the
// newest. f must not keep the pack. A pack that cannot be read is left out.
func (s *Stream) Replay(ctx context.Context, from, most uint64, f func(seq uint64, pack []byte)) error {
	state, err := s.Info(ctx)
	if err != nil {
		return err
	}
	from = max(from, state.FirstSeq)
	if n := state.LastSeq + 1; n > from+most {
		from = n - most
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
