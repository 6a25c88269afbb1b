package trend

import (
	"context"
	"fmt"
	"time"
)

// Look takes one sample of a process; Record sets its time.
type Look func(ctx context.Context) (Sample, error)

// Record takes a sample of each process at every interval until ctx ends. A process that cannot be
// looked at, as it has ended, ends the recording with an error; the samples so far are
// returned too.
func Record(ctx context.Context, every time.Duration, processes map[string]Look) (Recording, error) {
	r := Recording{}
	start := time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for name, look := range processes {
			s, err := look(ctx)
			switch {
			case ctx.Err() != nil:
				return r, nil
			case err != nil:
				return r, fmt.Errorf("after %s: %s: %w", time.Since(start).Round(time.Second), name, err)
			}
			s.At = time.Since(start)
			r[name] = append(r[name], s)
		}
		select {
		case <-ctx.Done():
			return r, nil
		case <-tick.C:
		}
	}
}
