package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// firstPause is short because the most frequent reason to try again is that the
	// transaction before is still being written out (CONCURRENT_TRANSACTIONS), which
	// takes a millisecond or two.
	firstPause = time.Millisecond
	lastPause  = 250 * time.Millisecond
	// quietFor is how long a failure may last before it is logged, and then how often.
	quietFor = 2 * time.Second
	logEvery = 10 * time.Second
)

// persist calls try until it succeeds, fails for good or ctx ends, with growing pauses.
// It says in the log when it takes long. The error it returns is classified, and says
// why ctx ended.
func persist(ctx context.Context, log *slog.Logger, what string, try func() error) error {
	pause, speak := firstPause, time.Now().Add(quietFor)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if !retriable(err) {
			return fmt.Errorf("%s: %w", what, classify(err))
		}
		if now := time.Now(); now.After(speak) {
			log.Warn("kafka does not answer, still trying", "doing", what, "err", err)
			speak = now.Add(logEvery)
		}
		if sleep(ctx, pause) != nil {
			return fmt.Errorf("%s: %w: %w", what, context.Cause(ctx), err)
		}
		pause = min(2*pause, lastPause)
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
