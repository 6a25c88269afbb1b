// Package lifecycle starts the parts of a program in order and stops them in the
// reverse order, each named and bounded in time. Every goroutine of a program is
// owned by a Group or by a part that waits for it. Wait blocks; nothing else does.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// DefaultStopTimeout bounds the stop of one part.
const DefaultStopTimeout = 5 * time.Second

// grace is the time a stop step has to return its error after its context ended.
const grace = 200 * time.Millisecond

// SignalContext returns a context that ends on SIGINT or SIGTERM. After the first
// signal the handler is removed, so a second one kills the process.
func SignalContext() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Group owns the running parts of a program. It is safe for concurrent use.
type Group struct {
	log         *slog.Logger
	stopTimeout time.Duration
	hasFailed   atomic.Bool
	failed      chan error    // gets the first failure
	stopDone    chan struct{} // closed when Stop has stopped everything

	mu      sync.Mutex
	parts   []part
	stopped bool
}

type part struct {
	name string
	stop func(ctx context.Context) error
}

// New returns an empty group. A stopTimeout of 0 means DefaultStopTimeout; it bounds the
// stop of each part.
func New(log *slog.Logger, stopTimeout time.Duration) *Group {
	if stopTimeout == 0 {
		stopTimeout = DefaultStopTimeout
	}
	return &Group{log: log, stopTimeout: stopTimeout, failed: make(chan error, 1), stopDone: make(chan struct{})}
}

// OnStop registers a stop step. Steps run in the reverse order of registration. On a
// stopped group the step runs at once, so that nothing is left behind.
func (g *Group) OnStop(name string, stop func(ctx context.Context) error) {
	p := part{name, stop}
	if g.add(p) {
		return
	}
	if err := g.stopPart(p); err != nil {
		g.log.Error("late part not stopped", "part", name, "err", err)
	}
}

// add reports whether p was added; a stopped group accepts nothing.
func (g *Group) add(p part) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return false
	}
	g.parts = append(g.parts, p)
	return true
}

// Go runs a part in a goroutine of its own and registers its stop: cancel its context
// and wait for it. A part that returns before that, with or without an error, stops the
// whole group. On a stopped group nothing is run.
func (g *Group) Go(name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{cancel: cancel, done: make(chan struct{})}
	if !g.add(part{name, r.stop}) {
		cancel()
		return
	}
	go func() {
		defer close(r.done)
		r.result = run(ctx)
		if ctx.Err() == nil {
			r.reported = g.fail(fmt.Errorf("%s stopped by itself: %w", name, orErr(r.result)))
		}
	}()
}

// runner is a part in a goroutine. Its results may be read once done is closed.
type runner struct {
	cancel   context.CancelFunc
	done     chan struct{}
	result   error
	reported bool // result is what stopped the group
}

func (r *runner) stop(ctx context.Context) error {
	r.cancel()
	select {
	case <-r.done:
	case <-ctx.Done():
		return errStillRunning
	}
	if r.reported || errors.Is(r.result, context.Canceled) {
		return nil
	}
	return r.result
}

var (
	errNoError      = errors.New("no error given")
	errStillRunning = errors.New("still running, left behind")
)

func orErr(err error) error {
	if err == nil {
		return errNoError
	}
	return err
}

// fail reports whether err is the failure that stops the group: the first one is.
func (g *Group) fail(err error) bool {
	first := g.hasFailed.CompareAndSwap(false, true)
	if first {
		g.failed <- err // never blocks: it has room for one
	}
	return first
}

// Wait blocks until ctx ends or a part fails, then stops every part, the last one
// started first. It returns the failure and all stop errors, joined.
func (g *Group) Wait(ctx context.Context) error {
	var first error
	select {
	case <-ctx.Done():
	case first = <-g.failed:
		g.log.Error("part failed, stopping", "err", first)
	}
	return errors.Join(first, g.Stop())
}

// Stop stops every part, the last one started first, and returns their errors joined.
// A second call returns nil once the first is done.
func (g *Group) Stop() error {
	g.mu.Lock()
	parts, again := g.parts, g.stopped
	g.parts, g.stopped = nil, true
	g.mu.Unlock()
	if again {
		<-g.stopDone
		return nil
	}
	defer close(g.stopDone)
	var errs []error
	for _, p := range slices.Backward(parts) {
		errs = append(errs, g.stopPart(p))
	}
	return errors.Join(errs...)
}

// stopPart stops one part within the time limit. A step that ignores its context is left
// behind, so that the parts below it are stopped anyway.
func (g *Group) stopPart(p part) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.stopTimeout)
	defer cancel()
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- p.stop(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done: // in time after all
		case <-time.After(grace):
			err = errStillRunning
		}
	}
	g.log.Debug("part stopped", "part", p.name, "took", time.Since(start))
	if err != nil {
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	return nil
}
