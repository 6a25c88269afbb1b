package lane

import "context"

// handData hands over an item that keeps size bytes in memory until it is committed. It
// waits while the lane's budget is used up.
func (p *puller) handData(ctx context.Context, it item, size int) error {
	it.weight = min(int64(size), memory)
	if err := p.r.budget.Acquire(ctx, it.weight); err != nil {
		return err
	}
	if err := p.hand(ctx, it); err != nil {
		p.r.budget.Release(it.weight)
		return err
	}
	return nil
}

// hand gives an item to the collector. From then on the position is behind it.
func (p *puller) hand(ctx context.Context, it item) error {
	it.gateway = p.g
	select {
	case p.r.packs <- it:
		p.g.pos = it.next
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
