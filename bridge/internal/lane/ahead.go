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
	// behindFor is how late a gateway's newest pack must be before it goes ahead.
	behindFor = 2 * time.Second
	// behindPacks is the backlog that counts as large, in packs.
	behindPacks = 64
	// aheadCheckEvery is how often an aheadSender checks whether it is needed.
	aheadCheckEvery = 250 * time.Millisecond
	// aheadPacks and aheadBytes are the window of an aheadSender: small, because it shares a
	// thin line with the backlog.
	aheadPacks, aheadBytes = 16, 256 << 10
	// lingerFor is how long the newest packs still go ahead once no gateway of the bridge is
	// behind: core has to consume the last backlog from Kafka.
	lingerFor = 3 * time.Second
)

// aheadSender sends the newest packs of a gateway ahead of its backlog, for the live path
// only: Kafka receives them later, in order. It has its own consumer, moves no checkpoint
// and never blocks the lane.
type aheadSender struct {
	r   *run
	id  string
	log *slog.Logger
	src source
	// mark is the newest pack of the gateway at since, 0 if that was committed.
	mark  uint64
	since time.Time
}

func newAheadSender(r *run, id string) *aheadSender {
	return &aheadSender{r: r, id: id, log: r.log.With("gateway", id), src: source{nc: r.o.NATS, gateway: id}}
}

// run sends ahead whenever the gateway is behind, until ctx ends.
func (s *aheadSender) run(ctx context.Context) {
	tick := time.NewTicker(aheadCheckEvery)
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
			s.log.Debug("sending the newest packs ahead failed, retrying", "err", err)
		}
	}
}

// latest returns the gateway's newest heartbeat.
func (s *aheadSender) latest() (wire.GatewayStatus, bool) {
	heard := s.r.o.Roster.Heard(s.id)
	if len(heard) == 0 {
		return wire.GatewayStatus{}, false
	}
	return heard[len(heard)-1], true
}

// behind reports whether the gateway's newest packs are more than behindFor late: by the
// gateway's own clock for a large backlog, else by how long a pack has been waiting.
func (s *aheadSender) behind(latest wire.GatewayStatus, pos Position, now time.Time) bool {
	done := pos.Committed.Seq
	if latest.LastSeq <= done {
		s.mark = 0
		return false
	}
	if latest.LastSeq-done > behindPacks && latest.Time-pos.Committed.At > behindFor.Milliseconds() {
		return true
	}
	if s.mark <= done { // it was committed
		s.mark, s.since = latest.LastSeq, now
		return false
	}
	return now.Sub(s.since) > behindFor
}

// errStale is returned when the packs sent ahead are themselves behind.
var errStale = errors.New("the packs sent ahead are no longer the newest")

// ahead sends the newest pack and its successors until the lane has caught up, and a little
// longer. If it falls behind itself it starts again at the newest pack: the live path does
// not need the gap.
func (s *aheadSender) ahead(ctx context.Context, last uint64) error {
	cons, err := s.src.consumeNewest(ctx)
	if err != nil {
		return err
	}
	defer s.src.drop(ctx, cons)
	packs, err := s.src.prefetch(cons)
	if err != nil {
		return err
	}
	defer packs.stop()
	s.r.o.Metrics.ahead.Inc()
	defer s.r.o.Metrics.ahead.Dec()
	s.log.Info("sending the newest packs ahead of the backlog", "seq", last+1)
	for start := time.Now(); ; {
		now := time.Now()
		pos, ok := s.r.o.Progress.Position(s.id)
		if ok && pos.Committed.Seq < last {
			s.r.o.Progress.Behind(now)
		} else if !ok || now.Sub(s.r.o.Progress.LastBehind()) > lingerFor {
			s.log.Info("backlog has caught up", "seq", last)
			return nil
		}
		if now.Sub(start) > time.Second && s.stale(last) {
			return errStale
		}
		seq, err := s.send(ctx, packs)
		if err != nil {
			return err
		}
		last = max(last, seq)
	}
}

// stale reports whether the gateway's newest pack is further from last than the packs that
// can be on their way.
func (s *aheadSender) stale(last uint64) bool {
	latest, heard := s.latest()
	return heard && latest.LastSeq > last+aheadPacks
}

// send sends the next pack ahead and returns its sequence, or 0 if none arrived in time.
func (s *aheadSender) send(ctx context.Context, packs *prefetcher) (uint64, error) {
	wait, cancel := context.WithTimeout(ctx, aheadCheckEvery)
	defer cancel()
	msg, err := packs.next(wait, window{packs: aheadPacks, bytes: aheadBytes, heartbeat: heartbeat})
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
	case errors.Is(err, nats.ErrMaxPayload): // the limit of an external hub; the pack arrives by Kafka
	case err != nil:
		return 0, fmt.Errorf("sending a pack ahead: %w", err)
	default:
		s.r.o.Metrics.aheadPacks.Inc()
	}
	return md.Sequence.Stream, nil
}
