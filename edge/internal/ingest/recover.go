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

// awaitRoom waits until a full buffer has room again.
func (c *Collector) awaitRoom(ctx context.Context) error {
	return c.retry(ctx, func(ctx context.Context) bool {
		room, err := c.o.Store.HasRoom(ctx)
		if err != nil {
			c.log.Warn("buffer state unknown, retrying", "err", err)
		}
		return room
	})
}

// settle probes the stream for p, whose Put failed with an unknown outcome, and then
// answers its senders; until then all other messages are refused. If p was not stored,
// an empty pack must succeed before messages are accepted again.
func (c *Collector) settle(ctx context.Context, p *pack) error {
	if c.failing.get().IsZero() {
		c.failing.set(time.Now())
	}
	r := retryLater(telemetry.ReasonUnavailable, storageSilent)
	c.refuseAll(r)
	var seq uint64
	var stored bool
	err := c.retry(ctx, func(ctx context.Context) (known bool) {
		seq, stored, known = c.probe(ctx)
		return known
	})
	if err != nil {
		c.log.Error("pack write outcome still unknown at the end, its senders get no reply", "counter", c.counter+1, "messages", len(p.tickets))
		return err
	}
	if stored {
		c.log.Info("pack was stored", "counter", c.counter+1, "seq", seq)
		c.acknowledge(p, seq)
		c.resume()
		return nil
	}
	c.log.Warn("pack was not stored, asking devices to retry later", "counter", c.counter+1)
	c.fail(p, r)
	return c.testStorage(ctx)
}

// probe asks the store for the outcome of pack counter+1.
func (c *Collector) probe(ctx context.Context) (seq uint64, stored, known bool) {
	c.metrics.settles.Inc()
	seq, stored, err := c.o.Store.Settle(ctx, c.o.Epoch, c.counter+1)
	if err != nil {
		c.log.Warn("pack write outcome still unknown, retrying", "counter", c.counter+1, "err", err)
	}
	return seq, stored, err == nil
}

// testStorage writes empty packs until one is stored, so that no reading is risked on
// storage that may still be broken. While the buffer is full it waits.
func (c *Collector) testStorage(ctx context.Context) error {
	for {
		full, err := c.putEmpty(ctx)
		if err != nil {
			return err
		}
		if !full {
			c.resume()
			return nil
		}
		c.failing.clear()
		c.refuseAll(retryLater(telemetry.ReasonBufferFull, bufferIsFull))
		if err := c.awaitRoom(ctx); err != nil {
			return err
		}
		c.failing.set(time.Now()) // until a pack is stored
	}
}

// putEmpty retries an empty pack until it is stored or the buffer is full.
func (c *Collector) putEmpty(ctx context.Context) (full bool, err error) {
	var b wire.PackBuilder
	unknown := false
	err = c.retry(ctx, func(ctx context.Context) bool {
		if unknown {
			seq, stored, known := c.probe(ctx)
			unknown = !known
			if stored {
				c.advance(seq, &b)
				c.land(nil, seq)
			}
			return stored
		}
		b.Reset(c.o.Epoch, c.counter+1)
		b.Follow(c.totals)
		seq, err := c.o.Store.Put(ctx, b.Finish())
		switch {
		case err == nil:
			c.advance(seq, &b)
			c.land(nil, seq)
		case errors.Is(err, broker.ErrFull):
			full = true
		default:
			c.log.Warn("storage still failing, retrying", "err", err)
			unknown = true
		}
		return !unknown
	})
	return full, err
}

// retry calls try every RetryEvery until it returns true. It returns an error when ctx
// ends or storage is stuck.
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
		if since := c.failing.get(); !since.IsZero() && time.Since(since) > c.o.StuckAfter && !c.o.KeepWaiting() {
			return fmt.Errorf("%w since %s", ErrStuck, since.Format(time.TimeOnly))
		}
	}
}
