package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/wire"
)

const (
	// behindFor is by how much a gateway's newest pack must be late before it goes ahead.
	behindFor = 2 * time.Second
	// behindPacks is how many packs behind is far, whatever the clocks say.
	behindPacks = 64
	// scoutEvery is how often a scout looks whether it is needed, or still is.
	scoutEvery = 250 * time.Millisecond
	// scoutPacks and scoutBytes are how much a scout asks for at once. It keeps little in
	// memory, and what it asks for must not hold up the backlog on a thin line.
	scoutPacks, scoutBytes = 16, 256 << 10
	// lingerFor is how long the newest packs still go ahead when no gateway of the bridge is
	// behind any more: what came by Kafka has to pass the one that reads it there.
	lingerFor = 3 * time.Second
)

// scout sends the newest packs of a gateway ahead while its older ones are still on their
// way, for the screen alone: Kafka gets them later, in order. It has a consumer of its own,
// moves no checkpoint and waits for nobody.
type scout struct {
	r   *run
	id  string
	log *slog.Logger
	src source
	// mark is the newest pack that the gateway had at since, if that was not committed yet.
	mark  uint64
	since time.Time
}

func newScout(r *run, id string) *scout {
	return &scout{r: r, id: id, log: r.log.With("gateway", id), src: source{nc: r.o.NATS, gateway: id}}
}

// run goes ahead whenever the gateway is behind, until ctx ends.
func (s *scout) run(ctx context.Context) {
	tick := time.NewTicker(scoutEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		latest, heard := s.latest()
		pos, ok := s.r.o.Progress.Position(s.id)
		if !ok || !heard || !s.behind(latest, pos, time.Now()) {
			continue
		}
		s.r.o.Progress.Behind(time.Now())
		err := s.ahead(ctx, latest.LastSeq)
		for errors.Is(err, errStale) {
			latest, _ = s.latest()
			err = s.ahead(ctx, latest.LastSeq)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Debug("newest packs cannot be read ahead, trying again", "err", err)
		}
	}
}

// latest returns the gateway's newest heartbeat.
func (s *scout) latest() (wire.GatewayStatus, bool) {
	heard := s.r.o.Roster.Heard(s.id)
	if len(heard) == 0 {
		return wire.GatewayStatus{}, false
	}
	return heard[len(heard)-1], true
}

// behind reports whether the gateway's newest packs are more than behindFor late: by the
// gateway's own clock when there are many, else by how long one was seen waiting.
func (s *scout) behind(latest wire.GatewayStatus, pos Position, now time.Time) bool {
	done := pos.Committed.Seq
	if latest.LastSeq <= done {
		s.mark = 0
		return false
	}
	if latest.LastSeq-done > behindPacks && latest.Time-pos.Committed.At > behindFor.Milliseconds() {
		return true
	}
	if s.mark <= done { // that one came through
		s.mark, s.since = latest.LastSeq, now
		return false
	}
	return now.Sub(s.since) > behindFor
}

// errStale says that what goes ahead is itself behind.
var errStale = errors.New("newest packs are not the newest any more")

// ahead sends the newest pack and those that follow until the lane has come as far, and a
// little longer. It begins anew where it falls behind itself: who looks at a screen misses
// nothing that is in the gap.
func (s *scout) ahead(ctx context.Context, last uint64) error {
	cons, err := s.src.consumeNewest(ctx)
	if err != nil {
		return err
	}
	defer s.src.drop(ctx, cons)
	packs, err := s.src.inflow(cons)
	if err != nil {
		return err
	}
	defer packs.stop()
	s.r.o.Metrics.ahead.Inc()
	defer s.r.o.Metrics.ahead.Dec()
	s.log.Info("newest packs go ahead of the backlog", "seq", last+1)
	for begin := time.Now(); ; {
		now := time.Now()
		pos, ok := s.r.o.Progress.Position(s.id)
		if ok && pos.Committed.Seq < last {
			s.r.o.Progress.Behind(now)
		} else if !ok || now.Sub(s.r.o.Progress.LastBehind()) > lingerFor {
			s.log.Info("backlog has caught up", "seq", last)
			return nil
		}
		if now.Sub(begin) > time.Second && s.stale(last) {
			return errStale
		}
		seq, err := s.send(ctx, packs)
		if err != nil {
			return err
		}
		last = max(last, seq)
	}
}

// stale reports whether the gateway told of packs that are newer than last by more than what
// can be on its way.
func (s *scout) stale(last uint64) bool {
	latest, heard := s.latest()
	return heard && latest.LastSeq > last+scoutPacks
}

// send sends the next pack ahead and returns its sequence, or 0 when none came for a
// moment.
func (s *scout) send(ctx context.Context, packs *inflow) (uint64, error) {
	wait, cancel := context.WithTimeout(ctx, scoutEvery)
	defer cancel()
	msg, err := packs.take(wait, window{packs: scoutPacks, bytes: scoutBytes, heartbeat: heartbeat})
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("waiting for packs: %w", err)
	}
	md, err := msg.Metadata()
	if err != nil {
		return 0, fmt.Errorf("reading a pack's sequence: %w", err)
	}
	switch err := s.src.nc.Publish(wire.AheadSubject(s.id), msg.Data); {
	case errors.Is(err, nats.ErrMaxPayload): // an external hub may be narrow; the pack comes by Kafka
	case err != nil:
		return 0, fmt.Errorf("sending a pack ahead: %w", err)
	default:
		s.r.o.Metrics.aheadPacks.Inc()
	}
	return md.Sequence.Stream, nil
}
