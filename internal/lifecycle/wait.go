package lifecycle

import (
	"context"
	"time"
)

// Pause waits for d, or until ctx ends. It reports whether d passed.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Outlive returns a context that ends some time after ctx, for a last commit or flush. cut
// ends it at once and must be called.
func Outlive(ctx context.Context, by time.Duration) (life context.Context, cut context.CancelFunc) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(by, end)
		context.AfterFunc(life, func() { t.Stop() })
	})
	return life, func() {
		stop()
		end()
	}
}
