package lane

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// trimEvery is the shortest time between two trims of one stream.
const trimEvery = time.Second

// trim removes what lies further behind the committed checkpoint than the margin, until
// ctx ends. A stream that is not trimmed only uses more of its gateway's disk, so an
// error is logged and the next round tries again.
func (p *puller) trim(ctx context.Context, cons jetstream.Consumer) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	var done uint64 // the sequence up to which the stream is trimmed
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pos, ok := p.r.o.Progress.Position(p.g.id)
		if !ok || pos.Seq <= done+p.r.o.TrimMargin {
			continue
		}
		upTo := pos.Seq - p.r.o.TrimMargin
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
