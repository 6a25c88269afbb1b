package lane

import (
	"context"
	"sync"
	"time"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/lifecycle"
)

// gateway is the lane's state of one gateway, whether it is connected or not.
type gateway struct {
	id   string
	text []byte // id as a header value
	// pos is the position after the last item passed to the collector. It is ahead of the
	// committed checkpoint, and valid as long as this run of the lane: items are committed
	// in order, or the lane restarts.
	pos checkpoint.Checkpoint

	cancel context.CancelFunc // ends its puller; nil while it has none
	done   chan struct{}
}

// reconcilePause is how long changes of the roster are gathered: a round looks at every gateway, and a
// thousand of them may appear one by one.
const reconcilePause = 20 * time.Millisecond

// pullAll runs one puller for each gateway of the lane on the roster, until ctx ends.
func (r *run) pullAll(ctx context.Context) error {
	changed, unsubscribe := r.o.Roster.Subscribe()
	defer unsubscribe()
	var pullers sync.WaitGroup
	defer pullers.Wait()
	known := map[string]*gateway{}
	for {
		r.reconcilePullers(ctx, &pullers, known)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		if !lifecycle.Pause(ctx, reconcilePause) {
			return nil
		}
	}
}

// reconcilePullers starts the pullers of gateways that appeared and stops those of gateways
// that disappeared.
func (r *run) reconcilePullers(ctx context.Context, pullers *sync.WaitGroup, known map[string]*gateway) {
	present := map[string]bool{}
	for _, id := range r.o.Roster.Gateways() {
		if Of(id, r.o.Lanes) != r.o.Partition {
			continue
		}
		present[id] = true
		g := known[id]
		if g == nil {
			if g = r.load(id); g == nil {
				continue
			}
			known[id] = g
		}
		if g.cancel != nil {
			continue
		}
		var pullCtx context.Context
		pullCtx, g.cancel = context.WithCancel(ctx)
		g.done = make(chan struct{})
		pullers.Go(func() {
			defer close(g.done)
			newPuller(r, g).run(pullCtx)
		})
	}
	for id, g := range known {
		if g.cancel != nil && !present[id] {
			g.cancel()
			<-g.done
			g.cancel = nil
		}
	}
}

// load returns the gateway at its checkpoint, nil if the checkpoint is unreadable.
func (r *run) load(id string) *gateway {
	r.o.Metrics.gateway(id)
	if c, ok := r.start[id]; ok {
		if c == nil {
			return nil
		}
		return &gateway{id: id, text: []byte(id), pos: *c}
	}
	pos := checkpoint.Checkpoint{Gateway: id}
	r.o.Progress.Begin(r.o.Partition, pos)
	return &gateway{id: id, text: []byte(id), pos: pos}
}
