package lane

import (
	"context"
	"sync"

	"industrial-iot-monitor/bridge/internal/checkpoint"
)

// gateway is what a lane keeps of one gateway, whether it is there now or not.
type gateway struct {
	id   string
	text []byte // id as a header value
	// pos is the position after the last item handed to the collector. It is ahead of
	// the committed checkpoint, and never wrong in this life of the lane: what was
	// handed over is committed in order, or the lane starts again.
	pos checkpoint.Checkpoint

	cancel context.CancelFunc // ends its puller; nil while it has none
	done   chan struct{}
}

// pullAll keeps one puller running for each gateway of the lane that the roster knows,
// until ctx ends.
func (r *run) pullAll(ctx context.Context) error {
	changed, unsubscribe := r.o.Roster.Subscribe()
	defer unsubscribe()
	var pullers sync.WaitGroup
	defer pullers.Wait()
	known := map[string]*gateway{}
	for {
		r.adjust(ctx, &pullers, known)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// adjust starts the pullers of gateways that appeared and stops those of gateways that
// vanished.
func (r *run) adjust(ctx context.Context, pullers *sync.WaitGroup, known map[string]*gateway) {
	present := map[string]bool{}
	for _, id := range r.o.Roster.Gateways() {
		if Of(id, r.o.Lanes) != r.o.Partition {
			continue
		}
		present[id] = true
		g := known[id]
		if g == nil {
			if g = r.meet(id); g == nil {
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
		pullers.Go(func() { newScout(r, id).run(pullCtx) })
	}
	for id, g := range known {
		if g.cancel != nil && !present[id] {
			g.cancel()
			<-g.done
			g.cancel = nil
		}
	}
}

// neighbours returns how many gateways are read by this bridge.
func (r *run) neighbours() int {
	n := 0
	for _, id := range r.o.Roster.Gateways() {
		if r.o.Progress.Owns(Of(id, r.o.Lanes)) {
			n++
		}
	}
	return n
}

// meet returns the gateway at its checkpoint, or nil when the checkpoint is unreadable.
func (r *run) meet(id string) *gateway {
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
