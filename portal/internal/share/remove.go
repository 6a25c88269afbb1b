package share

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// mostRemovals bounds the removals that wait for Redis. More of them are dropped: after an outage they come
// from Kafka again with the next start of a portal.
const mostRemovals = 50_000

// removals are devices whose removal was not written yet, and when they were removed, in ms.
type removals struct {
	mu sync.Mutex
	at map[string]int64
}

// Remove removes a device that was removed at that time, in ms, and keeps its readings from before out.
func (s *Share) Remove(id string, at int64) {
	r := &s.removing
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = make(map[string]int64)
	}
	if len(r.at) >= mostRemovals {
		s.metrics.dropped.Inc()
		return
	}
	r.at[id] = max(r.at[id], at)
}

// take returns up to n removals.
func (r *removals) take(n int) map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]int64)
	for id, at := range r.at {
		if len(out) >= n {
			break
		}
		out[id] = at
		delete(r.at, id)
	}
	return out
}

// back returns removals that were not written.
func (r *removals) back(list map[string]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, at := range list {
		r.at[id] = max(r.at[id], at)
	}
}

// sendRemovals writes the removals.
func (s *Share) sendRemovals(ctx context.Context) error {
	for {
		list := s.removing.take(batchDevices)
		if len(list) == 0 {
			return nil
		}
		args := []any{int(keptFor.Seconds()), s.model.Now() - keptFor.Milliseconds()}
		for _, id := range slices.Sorted(maps.Keys(list)) {
			args = append(args, id, list[id])
		}
		if _, err := s.run(ctx, removeScript, []string{s.keys.newest, s.keys.removed}, args); err != nil {
			s.removing.back(list)
			return fmt.Errorf("writing removals: %w", err)
		}
	}
}
