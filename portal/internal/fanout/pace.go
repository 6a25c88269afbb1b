package fanout

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

const (
	paceEvery      = 50 * time.Millisecond
	pausePerClient = 50 * time.Microsecond  // for each open connection
	minPause       = time.Millisecond       // shorter pauses are not worth a timer
	calmPause      = 50 * time.Millisecond  // the longest while the CPU is not busy
	maxPause       = 500 * time.Millisecond // the longest of all

	lagHigh   = 10 * time.Millisecond // from here on pauses grow
	lagLow    = 3 * time.Millisecond  // up to here they shrink
	factorMax = 100
)

// pacer decides how long a writer pauses after a write. With few clients there is no pause;
// with many it is up to 50 ms, so that each write carries more. When the CPU is busy, which
// shows in how late a timer fires, pauses grow and more is conflated: the model stays current,
// clients are updated less often.
type pacer struct {
	factor atomic.Uint64 // math.Float64bits
}

func newPacer() *pacer {
	p := &pacer{}
	p.factor.Store(math.Float64bits(1))
	return p
}

// run measures until ctx ends.
func (p *pacer) run(ctx context.Context) {
	t := time.NewTimer(paceEvery)
	defer t.Stop()
	for {
		due := time.Now().Add(paceEvery)
		t.Reset(paceEvery)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f := math.Float64frombits(p.factor.Load())
			p.factor.Store(math.Float64bits(nextFactor(f, time.Since(due))))
		}
	}
}

// nextFactor returns the factor for pauses, given how late a timer was.
func nextFactor(factor float64, lag time.Duration) float64 {
	switch {
	case lag > lagHigh:
		return min(factor*1.5, factorMax)
	case lag < lagLow:
		return max(factor*0.9, 1)
	}
	return factor
}

// pause returns how long to pause with so many clients.
func (p *pacer) pause(clients int64) time.Duration {
	f := math.Float64frombits(p.factor.Load())
	d := time.Duration(f * float64(min(time.Duration(clients)*pausePerClient, calmPause)))
	if d < minPause {
		return 0
	}
	return min(d, maxPause)
}
