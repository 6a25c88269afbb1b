package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
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
		if !lifecycle.Pause(ctx, pause) {
			return fmt.Errorf("%s: %w: %w", what, context.Cause(ctx), err)
		}
		pause = min(2*pause, lastPause)
	}
}
