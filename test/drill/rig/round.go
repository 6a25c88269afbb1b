package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"industrial-iot-monitor/test/oracle"
)

// Round is one trial of a fault and its outcome. It is for one goroutine unless noted.
type Round struct {
	*Scene
	Rand  *rand.Rand // the same for the same seed and fault
	Times int        // how often to break things
	Quick bool
	Dir   string // an empty directory of the fault's own
	// Strays are the devices of Site.Strays.
	Strays []*Stray

	result    *Result
	allowLoss func(lost []oracle.Reading) error
	atEnd     []func(context.Context) error
}

// AtEnd adds a check that runs when the load has ended and everything acknowledged is in
// Kafka.
func (r *Round) AtEnd(check func(context.Context) error) { r.atEnd = append(r.atEnd, check) }

// AllowLoss permits loss, for a fault that destroys stored data. judge receives the
// acknowledged readings that never arrived and returns an error when others than the
// destroyed ones are among them.
func (r *Round) AllowLoss(judge func(lost []oracle.Reading) error) { r.allowLoss = judge }

// Result is the outcome of a fault.
type Result struct {
	Fault *Fault
	Times int // how often it happened
	Took  time.Duration

	Acked, InKafka, Lost, Duplicated, OutOfOrder int

	Rate     float64       // readings acknowledged in a second, on average
	Recovery time.Duration // the worst
	Limit    time.Duration // of the worst, 0 for none
	Recovers string        // what that was

	Impossible string // why it could not be tried here, "" when it was
	Failures   []string
	Notes      []string
	Ledgers    []LedgerLine
}

// OK reports whether the fault was tried and every expectation was met.
func (r *Result) OK() bool { return r.Impossible == "" && len(r.Failures) == 0 }

// maxFailures bounds the failures reported for one fault.
const maxFailures = 20

func (r *Result) fail(format string, args ...any) {
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
	}
}

// Happened counts one occurrence of the fault.
func (r *Round) Happened() { r.result.Times++ }

// Check records a failure unless ok.
func (r *Round) Check(ok bool, format string, args ...any) {
	if !ok {
		r.result.fail(format, args...)
	}
}

// Note adds a line about the fault to the report.
func (r *Round) Note(format string, args ...any) {
	r.result.Notes = append(r.result.Notes, fmt.Sprintf(format, args...))
}

// quickSlack is how much wider limits are in the quick drill, which has to pass on machines that are slow or busy
// with other things too. It finds what stands still for as long as an outage.
const quickSlack = 5

// Slack is the factor by which a time may be longer, or a rate lower, than its limit: 1 in the full drill.
func (r *Round) Slack() int {
	if r.Quick {
		return quickSlack
	}
	return 1
}

// Recovered records the time of a recovery and fails it beyond limit times Slack; 0 is no limit. The
// table shows the recovery closest to its limit, or furthest beyond it.
func (r *Round) Recovered(what string, took, limit time.Duration) {
	s := r.result
	limit *= time.Duration(r.Slack())
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
		r.Check(took <= limit, "%s took %s, limit %s", what, round(took), limit)
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// Between returns a random duration from lo up to hi.
func (r *Round) Between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.Rand.Int64N(int64(hi-lo)+1))
}

// Moment lets the load run for a random time from lo to hi.
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

// WaitTimeout is how long to wait for an expected event, whatever its limit.
const WaitTimeout = 90 * time.Second

const pollInterval = 10 * time.Millisecond

// Await calls check until it returns nil and returns how long that took. After WaitTimeout
// it returns the last error of check.
func Await(ctx context.Context, what string, check func() error) (time.Duration, error) {
	return AwaitFor(ctx, what, WaitTimeout, check)
}

// AwaitFor is Await with another timeout.
func AwaitFor(ctx context.Context, what string, timeout time.Duration, check func() error) (time.Duration, error) {
	start := time.Now()
	for {
		err := check()
		took := time.Since(start)
		if err == nil {
			return took, nil
		}
		if took > timeout {
			return took, fmt.Errorf("%s: not within %s: %w", what, timeout, err)
		}
		if err := Sleep(ctx, pollInterval); err != nil {
			return took, fmt.Errorf("waiting for %s: %w", what, err)
		}
	}
}
