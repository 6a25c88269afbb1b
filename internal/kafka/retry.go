package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
)

const (
	// firstPause is short because retries are mostly caused by the previous transaction still
	// being written out (CONCURRENT_TRANSACTIONS), which takes a millisecond or two.
	firstPause = time.Millisecond
	lastPause  = 250 * time.Millisecond
	// refusedPause is the longest between tries of one who is refused: directories lock users
	// out who try a wrong password often.
	refusedPause = 5 * time.Second
	// quietFor is how long a failure may last before it is logged, and then how often.
	quietFor = 2 * time.Second
	logEvery = 10 * time.Second
	// refusedEvery is how often a refusal is logged, which is logged at once.
	refusedEvery = 5 * time.Minute
)

// persist calls try until it succeeds, fails permanently or ctx ends, with growing pauses.
// Long retries are logged. The returned error is classified and includes the cause of ctx's
// end.
func persist(ctx context.Context, log *slog.Logger, what string, try func() error) error {
	pause, speak, speakRefused := firstPause, time.Now().Add(quietFor), time.Time{}
	for {
		err := try()
		if err == nil {
			return nil
		}
		if !retriable(err) {
			return fmt.Errorf("%s: %w", what, classify(err))
		}
		longest := lastPause
		switch now := time.Now(); {
		case refused(err):
			longest = refusedPause
			if now.After(speakRefused) {
				log.Error("kafka refused the connection, retrying", "doing", what, "err", err)
				speakRefused = now.Add(refusedEvery)
			}
		case now.After(speak):
			log.Warn("kafka unavailable, retrying", "doing", what, "err", err)
			speak = now.Add(logEvery)
		}
		if !lifecycle.Pause(ctx, pause) {
			return fmt.Errorf("%s: %w: %w", what, context.Cause(ctx), err)
		}
		pause = min(2*pause, longest)
	}
}
