package lane

import "context"

// enqueueData enqueues an item that keeps size bytes in memory until it is committed. It
// blocks while the lane's memory is used up.
func (p *puller) enqueueData(ctx context.Context, it item, size int) error {
	it.weight = min(int64(size), memory)
	p.live.hold(true) // until enqueue has passed it on
	if err := p.r.budget.Acquire(ctx, it.weight); err != nil {
		return err
	}
	if err := p.enqueue(ctx, it); err != nil {
		p.r.budget.Release(it.weight)
		return err
	}
	return nil
}

// enqueue passes an item to the collector and moves the position behind it.
func (p *puller) enqueue(ctx context.Context, it item) error {
	it.gateway = p.g
	p.live.hold(true)
	defer p.live.hold(false)
	select {
	case p.r.packs <- it:
		p.g.pos = it.next
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
