package lane

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// trimEvery is the shortest time between two trims of one stream.
	trimEvery = time.Second
	// trimBehind is that while a backlog drains: a trim holds up the gateway's disk, and with
	// it what is read from there.
	trimBehind = 5 * time.Second
)

// trim removes what lies further behind the committed checkpoint than the margin, until
// ctx ends. A stream that is not trimmed only uses more of its gateway's disk, so an
// error is logged and the next round tries again.
func (p *puller) trim(ctx context.Context, cons jetstream.Consumer) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	var done uint64 // the sequence up to which the stream is trimmed
	var at time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pos, ok := p.r.o.Progress.Position(p.g.id)
		if !ok || pos.Committed.Seq <= done+p.r.o.TrimMargin || (time.Since(at) < trimBehind && p.unhurried(pos)) {
			continue
		}
		at = time.Now()
		upTo := pos.Committed.Seq - p.r.o.TrimMargin
		if err := p.src.trim(ctx, cons, upTo+1); err != nil {
			if ctx.Err() == nil {
				p.r.o.Metrics.trimFailures.Inc()
				p.log.Warn("stream could not be trimmed", "err", err)
			}
			continue
		}
		done = upTo
	}
}

// unhurried reports whether the gateway has a backlog and room for more.
func (p *puller) unhurried(pos Position) bool {
	heard := p.r.o.Roster.Heard(p.g.id)
	if len(heard) == 0 {
		return false
	}
	s := heard[len(heard)-1]
	return s.LastSeq > pos.Committed.Seq+behindPacks && !s.BufferFull && s.BufferBytes < s.BufferLimit/2
}
