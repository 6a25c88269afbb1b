package lane

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// trimEvery is the shortest time between two trims of one stream.
	trimEvery = time.Second
	// trimBehind is the same while a backlog drains: a trim keeps the gateway's disk busy,
	// from which the backlog is read.
	trimBehind = 5 * time.Second
)

// trim removes the packs that are further behind the committed checkpoint than the margin,
// until ctx ends. An untrimmed stream only uses more of its gateway's disk, so errors are
// logged and the next round retries.
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
		upTo := p.trimmable(pos.Committed.Seq)
		if upTo <= done {
			continue
		}
		at = time.Now()
		if err := p.src.trim(ctx, cons, upTo+1); err != nil {
			if ctx.Err() == nil {
				p.r.o.Metrics.trimFailures.Inc()
				p.log.Warn("trimming the stream failed, retrying", "err", err)
			}
			continue
		}
		done = upTo
	}
}

// trimmable returns the newest sequence that may be trimmed: it is in Kafka, and the gateway
// does not need it to recognise messages that are sent again.
func (p *puller) trimmable(committed uint64) uint64 {
	upTo := committed - p.r.o.TrimMargin
	if keepFrom := p.r.o.Roster.Latest(p.g.id).KeepFrom; keepFrom > 0 {
		upTo = min(upTo, keepFrom-1)
	}
	return upTo
}

// unhurried reports whether the gateway has a backlog and room for more.
func (p *puller) unhurried(pos Position) bool {
	s := p.r.o.Roster.Latest(p.g.id)
	return s.LastSeq > pos.Committed.Seq+behindPacks && !s.BufferFull && s.BufferBytes < s.BufferLimit/2
}
