package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/wire"
)

const (
	// scoutPacks and scoutBytes are the window of a scout: small, because it shares a thin
	// line with the backlog.
	scoutPacks, scoutBytes = 16, 256 << 10
	// scoutWait is how long a scout waits for a pack before it checks whether it is needed.
	scoutWait = 100 * time.Millisecond
	// scoutPause is the pause after a scout that failed.
	scoutPause = 500 * time.Millisecond
)

// scout reads the newest packs of a gateway for the live path, while the lane does not: it is
// behind, or Kafka is away. It has its own consumer, moves no checkpoint and never blocks
// the lane.
type scout struct {
	l   *Live
	g   *liveGateway
	log *slog.Logger
	src source // of the newest attempt
}

func newScout(l *Live, g *liveGateway) *scout {
	return &scout{l: l, g: g, log: l.log.With("gateway", g.id)}
}

// errStale is returned when a scout's packs are no longer the newest.
var errStale = errors.New("the packs are no longer the newest")

// run reads until the lane has caught up, the scout fails, or ctx ends.
func (s *scout) run(ctx context.Context) {
	s.l.metrics.scouts.Inc()
	defer s.l.metrics.scouts.Dec()
	err := s.read(ctx)
	for errors.Is(err, errStale) {
		err = s.read(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Debug("reading the newest packs failed, retrying", "err", err)
		lifecycle.Pause(ctx, scoutPause)
	}
}

// latest returns the newest sequence by the gateway's heartbeats.
func (s *scout) latest() uint64 { return s.l.o.Roster.Latest(s.g.id).LastSeq }

// read sends the gateway's newest packs, those after the last one sent if they are few. When
// it falls behind it fails with errStale, to start again at the newest pack: the live path
// does not need the gap.
func (s *scout) read(ctx context.Context) (err error) {
	if s.src, err = s.l.source(s.g.id); err != nil {
		return err
	}
	cons, err := s.consume(ctx)
	if err != nil {
		return err
	}
	defer s.src.drop(ctx, cons)
	packs, err := s.src.prefetch(cons)
	if err != nil {
		return err
	}
	defer packs.stop()
	s.log.Info("reading the newest packs for screens apart from the lane")
	for start := time.Now(); ; {
		now := time.Now()
		if s.g.caughtUp(s.latest(), now) {
			s.log.Info("the lane has caught up")
			return nil
		}
		if now.Sub(start) > time.Second && s.latest() > s.g.newest()+scoutPacks {
			return errStale
		}
		if err := s.next(ctx, packs); err != nil {
			return err
		}
		if !s.l.o.Serves(s.g.id) {
			return nil
		}
	}
}

// consume creates a consumer that starts after the last pack sent, or at the newest one.
func (s *scout) consume(ctx context.Context) (jetstream.Consumer, error) {
	if done, ok := s.g.resumes(s.latest()); ok {
		return s.src.consume(ctx, done+1)
	}
	return s.src.consumeNewest(ctx)
}

// next sends the next pack, if one arrives in time.
func (s *scout) next(ctx context.Context, packs *prefetcher) error {
	wait, cancel := context.WithTimeout(ctx, scoutWait)
	defer cancel()
	msg, err := packs.next(wait, window{packs: scoutPacks, bytes: scoutBytes, heartbeat: heartbeat})
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil
	case err != nil:
		return fmt.Errorf("waiting for packs: %w", err)
	}
	return s.pass(msg)
}

// pass sends a pack. A damaged one is left to the lane.
func (s *scout) pass(msg *nats.Msg) error {
	md, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("reading a pack's sequence: %w", err)
	}
	pack, err := wire.OpenPack(msg.Data)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	return s.l.send(s.g, md.Sequence.Stream, pack.Header.Epoch, msg)
}
