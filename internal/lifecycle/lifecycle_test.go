package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken")

func group(timeout time.Duration) *Group { return New(slog.New(slog.DiscardHandler), timeout) }

// untilStopped is a part that runs until it is stopped.
func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestPartsStopLastInFirstOut(t *testing.T) {
	g := group(0)
	var order []string
	g.OnStop("file", func(context.Context) error { order = append(order, "file"); return nil })
	g.Go("worker", func(ctx context.Context) error {
		<-ctx.Done()
		order = append(order, "worker")
		return nil
	})
	g.OnStop("listener", func(context.Context) error { order = append(order, "listener"); return nil })
	require.NoError(t, g.Stop())
	require.Equal(t, []string{"listener", "worker", "file"}, order)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	g := group(0)
	g.Go("a", untilStopped)
	g.Go("b", untilStopped)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Wait(ctx) }()
	cancel()
	require.NoError(t, <-done, "an ordered stop is no failure")
}

func TestFailureOfAPartStopsTheGroup(t *testing.T) {
	g := group(0)
	stopped := false
	g.Go("healthy", func(ctx context.Context) error {
		<-ctx.Done()
		stopped = true
		return nil
	})
	g.Go("faulty", func(context.Context) error { return errBroken })
	err := g.Wait(t.Context())
	require.EqualError(t, err, "faulty stopped by itself: broken", "reported once")
	require.ErrorIs(t, err, errBroken)
	require.True(t, stopped)
}

func TestPartThatEndsWithoutErrorStopsTheGroup(t *testing.T) {
	g := group(0)
	g.Go("short", func(context.Context) error { return nil })
	require.EqualError(t, g.Wait(t.Context()), "short stopped by itself: no error given")
}

func TestEveryFailureIsReportedAndTheFirstIsNamed(t *testing.T) {
	g := group(0)
	var both sync.WaitGroup
	both.Add(2)
	fails := func(context.Context) error {
		both.Done()
		both.Wait()
		return errBroken
	}
	g.Go("a", fails)
	g.Go("b", fails)
	require.Regexp(t, "^(a stopped by itself: broken\nstopping b: broken|b stopped by itself: broken\nstopping a: broken)$",
		g.Wait(t.Context()).Error())
}

func TestStopErrorsAreNamedAndJoined(t *testing.T) {
	g := group(0)
	g.OnStop("store", func(context.Context) error { return errBroken })
	g.Go("loop", func(ctx context.Context) error { <-ctx.Done(); return errBroken })
	err := g.Stop()
	require.EqualError(t, err, "stopping loop: broken\nstopping store: broken")
}

func TestStopIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group(3 * time.Second)
		release := make(chan struct{})
		released := false
		g.OnStop("below", func(context.Context) error { released = true; return nil })
		g.Go("stuck part", func(context.Context) error { <-release; return nil })
		g.OnStop("stuck step", func(context.Context) error { <-release; return nil })

		start := time.Now()
		err := g.Stop()
		require.EqualError(t, err, "stopping stuck step: still running, left behind\nstopping stuck part: still running, left behind")
		require.LessOrEqual(t, time.Since(start), 2*(3*time.Second+grace))
		require.True(t, released, "parts below a stuck one are released anyway")
		close(release)
	})
}

func TestStepMayReportItsErrorAfterItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group(time.Second)
		g.OnStop("flush", func(ctx context.Context) error {
			<-ctx.Done()
			return errBroken
		})
		require.EqualError(t, g.Stop(), "stopping flush: broken")
	})
}

func TestSecondStopWaitsForTheFirstAndFindsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group(0)
		steps := 0
		g.OnStop("slow", func(context.Context) error {
			<-time.After(time.Second)
			steps++
			return errBroken
		})
		first := make(chan error, 1)
		go func() { first <- g.Stop() }()
		synctest.Wait()
		require.NoError(t, g.Stop())
		require.Equal(t, 1, steps, "the second call returned after the step was done")
		require.ErrorIs(t, <-first, errBroken)
		require.NoError(t, g.Stop())
		require.Equal(t, 1, steps)
	})
}

func TestStoppedGroupLeavesNothingBehind(t *testing.T) {
	g := group(0)
	require.NoError(t, g.Stop())
	g.Go("late", func(context.Context) error { t.Error("a stopped group ran a part"); return nil })
	closed := false
	g.OnStop("late file", func(context.Context) error { closed = true; return errBroken })
	require.True(t, closed)
	require.NoError(t, g.Stop())
}

func TestFirstSignalEndsTheContext(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		ctx, stop := SignalContext()
		self, err := os.FindProcess(os.Getpid())
		require.NoError(t, err)
		require.NoError(t, self.Signal(sig))
		<-ctx.Done()
		stop()
		stop()
	}
}
