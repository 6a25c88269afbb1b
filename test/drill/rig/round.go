package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"industrial-iot-monitor/test/oracle"
)

// Round is one trial of a fault: what the fault works with, and what came of it. It is
// for one goroutine, except where it says otherwise.
type Round struct {
	*Scene
	Rand  *rand.Rand // the same for the same seed and fault
	Times int        // how often to break things
	Quick bool
	Dir   string // an empty directory of the fault's own

	result *Result
	lossIs func(lost []oracle.Reading) error
	atEnd  []func(context.Context) error
}

// AtTheEnd adds a check for when the load has ended and its books are closed: everything
// that was acknowledged is in Kafka by then.
func (r *Round) AtTheEnd(check func(context.Context) error) { r.atEnd = append(r.atEnd, check) }

// LossIs says that readings may be lost, because the fault destroys what was stored, and
// which: judge is told the acknowledged readings that never arrived and returns an error
// when they are not those that they should be.
func (r *Round) LossIs(judge func(lost []oracle.Reading) error) { r.lossIs = judge }

// Result is what came of a fault.
type Result struct {
	Fault *Fault
	Times int // how often it happened
	Took  time.Duration

	Acked, InKafka, Lost, Duplicated, OutOfOrder int

	Rate     float64       // readings acknowledged in a second, on average
	Recovery time.Duration // the worst
	Limit    time.Duration // of the worst, 0 for none
	Recovers string        // what that was

	Impossible string   // why it could not be tried, "" when it was
	Failures   []string // what did not hold
	Notes      []string
	Ledgers    []LedgerLine
}

// OK reports whether the fault was tried and everything held.
func (r *Result) OK() bool { return r.Impossible == "" && len(r.Failures) == 0 }

// maxFailures bounds what is told of one fault.
const maxFailures = 20

func (r *Result) fail(format string, args ...any) {
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
	}
}

// Happened counts one more time that the fault struck.
func (r *Round) Happened() { r.result.Times++ }

// Check says what must hold, and whether it did.
func (r *Round) Check(ok bool, format string, args ...any) {
	if !ok {
		r.result.fail(format, args...)
	}
}

// Note adds a line about the fault to the report.
func (r *Round) Note(format string, args ...any) {
	r.result.Notes = append(r.result.Notes, fmt.Sprintf(format, args...))
}

// Recovered says how long a recovery took and how long it may take, 0 for any time. The
// table shows the one that came closest to its limit, or most beyond it.
func (r *Round) Recovered(what string, took, limit time.Duration) {
	s := r.result
	share := func(d, of time.Duration) float64 {
		if of == 0 {
			return 0
		}
		return float64(d) / float64(of)
	}
	if s.Recovers == "" || share(took, limit) > share(s.Recovery, s.Limit) || (limit == s.Limit && took > s.Recovery) {
		s.Recovers, s.Recovery, s.Limit = what, took, limit
	}
	if limit > 0 {
		r.Check(took <= limit, "%s took %s, allowed are %s", what, round(took), limit)
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// Between returns a random duration from lo up to hi.
func (r *Round) Between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.Rand.Int64N(int64(hi-lo)+1))
}

// Moment lets the load run for a random while.
func (r *Round) Moment(ctx context.Context, lo, hi time.Duration) error {
	return Sleep(ctx, r.Between(lo, hi))
}

// Short returns one of two durations: for the quick drill, or for the full one.
func (r *Round) Short(quick, full time.Duration) time.Duration {
	if r.Quick {
		return quick
	}
	return full
}

// Sleep waits for d or until ctx ends, which is an error.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Patience is how long to wait for what must come in the end, whatever its limit.
const Patience = 90 * time.Second

const look = 10 * time.Millisecond

// Await waits until holds returns nil and returns how long that took. It gives up after
// Patience, with what holds said last.
func Await(ctx context.Context, what string, holds func() error) (time.Duration, error) {
	return AwaitLong(ctx, what, Patience, holds)
}

// AwaitLong is Await with another patience.
func AwaitLong(ctx context.Context, what string, patience time.Duration, holds func() error) (time.Duration, error) {
	begin := time.Now()
	for {
		err := holds()
		took := time.Since(begin)
		if err == nil {
			return took, nil
		}
		if took > patience {
			return took, fmt.Errorf("%s did not come within %s: %w", what, patience, err)
		}
		if err := Sleep(ctx, look); err != nil {
			return took, fmt.Errorf("waiting for %s: %w", what, err)
		}
	}
}
