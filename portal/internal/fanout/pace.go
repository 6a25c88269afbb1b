package fanout

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

const (
	paceEvery  = 50 * time.Millisecond
	pauseEach  = 50 * time.Microsecond  // for each open connection
	pauseLeast = time.Millisecond       // what is shorter is not worth a timer
	pauseUsual = 50 * time.Millisecond  // the longest, as long as there is CPU enough
	pauseMost  = 500 * time.Millisecond // the longest of all

	lagHigh    = 10 * time.Millisecond // from here on pauses grow
	lagLow     = 3 * time.Millisecond  // up to here they shrink
	factorMost = 100
)

// pacer decides how long a writer rests after a write. With few clients it does not rest, so
// that they are told at once; with many it rests for up to 50 ms, so that each write
// carries more. When the processors are busy, which shows in how late a timer is,
// pauses grow and more is conflated: the plant stays up to date at the price of how
// often the clients hear of it.
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

// nextFactor returns by how much pauses are to be stretched, given how late a timer was.
func nextFactor(factor float64, lag time.Duration) float64 {
	switch {
	case lag > lagHigh:
		return min(factor*1.5, factorMost)
	case lag < lagLow:
		return max(factor*0.9, 1)
	}
	return factor
}

// pause returns how long to rest with so many clients.
func (p *pacer) pause(clients int64) time.Duration {
	f := math.Float64frombits(p.factor.Load())
	d := time.Duration(f * float64(min(time.Duration(clients)*pauseEach, pauseUsual)))
	if d < pauseLeast {
		return 0
	}
	return min(d, pauseMost)
}
