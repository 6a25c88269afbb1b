package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// awaitRoom waits until a full buffer has room.
func (c *Collector) awaitRoom(ctx context.Context) error {
	return c.retry(ctx, func(ctx context.Context) bool {
		room, err := c.o.Store.HasRoom(ctx)
		if err != nil {
			c.log.Warn("state of the buffer is unknown", "err", err)
		}
		return room
	})
}

// doubt finds out what became of p, to whose Put there was no clear answer. Its senders
// are told when it is known, and everybody else to retry later until then. After a
// pack that was not stored an empty one must succeed before messages are taken again.
func (c *Collector) doubt(ctx context.Context, p *pack) error {
	if c.failing.get().IsZero() {
		c.failing.set(time.Now())
	}
	r := retryLater(telemetry.ReasonUnavailable, isSilent)
	c.refuseAll(r)
	var seq uint64
	var stored bool
	err := c.retry(ctx, func(ctx context.Context) (known bool) {
		seq, stored, known = c.fate(ctx)
		return known
	})
	if err != nil {
		c.log.Error("gave up on a pack in doubt, its senders get no answer", "counter", c.counter+1, "messages", len(p.tickets))
		return err
	}
	if stored {
		c.log.Info("pack was stored after all", "counter", c.counter+1, "seq", seq)
		c.stored(p, seq)
		c.resume()
		return nil
	}
	c.log.Warn("pack was not stored, devices are told to retry later", "counter", c.counter+1)
	c.answer(p.tickets, 0, r)
	return c.trial(ctx)
}

// fate asks what became of the pack counter+1.
func (c *Collector) fate(ctx context.Context) (seq uint64, stored, known bool) {
	c.metrics.settles.Inc()
	seq, stored, err := c.o.Store.Settle(ctx, c.o.Epoch, c.counter+1)
	if err != nil {
		c.log.Warn("fate of the pack is still unknown", "counter", c.counter+1, "err", err)
	}
	return seq, stored, err == nil
}

// trial stores empty packs until one succeeds, so that no device's reading has to find
// out whether storage works. A full buffer makes it wait.
func (c *Collector) trial(ctx context.Context) error {
	for {
		full, err := c.tryEmpty(ctx)
		if err != nil {
			return err
		}
		if !full {
			c.resume()
			return nil
		}
		c.failing.clear()
		c.refuseAll(retryLater(telemetry.ReasonBufferFull, isFull))
		if err := c.awaitRoom(ctx); err != nil {
			return err
		}
		c.failing.set(time.Now()) // until the next try shows otherwise
	}
}

// tryEmpty stores an empty pack, again and again until it succeeds or the buffer is full.
func (c *Collector) tryEmpty(ctx context.Context) (full bool, err error) {
	var b wire.PackBuilder
	inDoubt := false
	err = c.retry(ctx, func(ctx context.Context) bool {
		if inDoubt {
			seq, stored, known := c.fate(ctx)
			inDoubt = !known
			if stored {
				c.placed(seq, &b)
			}
			return stored
		}
		b.Reset(c.o.Epoch, c.counter+1)
		b.Follow(c.totals)
		seq, err := c.o.Store.Put(ctx, b.Finish())
		switch {
		case err == nil:
			c.placed(seq, &b)
		case errors.Is(err, broker.ErrFull):
			full = true
		default:
			c.log.Warn("storage still does not work", "err", err)
			inDoubt = true
		}
		return !inDoubt
	})
	return full, err
}

// retry calls try every RetryEvery until it returns true. It ends early, with an
// error, when ctx ends or storage is stuck.
func (c *Collector) retry(ctx context.Context, try func(ctx context.Context) bool) error {
	tick := time.NewTicker(c.o.RetryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		tryCtx, cancel := context.WithTimeout(ctx, max(c.o.StallAfter, time.Second))
		done := try(tryCtx)
		cancel()
		if done {
			return nil
		}
		if since := c.failing.get(); !since.IsZero() && time.Since(since) > c.o.StuckAfter && !c.o.Excuse() {
			return fmt.Errorf("%w since %s", ErrStuck, since.Format(time.TimeOnly))
		}
	}
}
