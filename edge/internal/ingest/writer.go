package ingest

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Run stores packs until ctx ends, then stores and answers the open pack within a
// bounded time. It returns ErrStuck when storage fails for too long.
func (c *Collector) Run(ctx context.Context) error {
	for {
		select {
		case <-c.timer.C:
		case <-c.due:
		case <-ctx.Done():
			return c.finish(ctx)
		}
		if p := c.swap(); p != nil {
			if err := c.store(ctx, p); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// swap closes the open pack, returns it and opens the spare one. It returns nil if the
// pack is empty, as after a refusal.
func (c *Collector) swap() *pack {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.open
	if p.b.Count() == 0 {
		return nil
	}
	c.timer.Stop()
	select {
	case <-c.due: // p's
	default:
	}
	c.pace.add(p.first)
	c.open, c.spare, c.flying = c.spare, nil, p
	c.open.reset(c.o.Epoch, c.counter+2, p.seq+1) // p is counter+1 if it is stored, else open is reset again
	c.room.Broadcast()
	return p
}

// store writes p and answers its senders. It returns when the next pack may be stored,
// or with an error when ctx ended or storage is stuck.
func (c *Collector) store(ctx context.Context, p *pack) error {
	c.waiting.set(p.first)
	defer func() {
		c.waiting.clear()
		c.spare = p
	}()
	p.b.Follow(c.totals) // its predecessor's outcome is known by now
	data := p.b.Finish()
	c.metrics.packEntries.Observe(float64(p.b.Count()))
	c.metrics.packBytes.Observe(float64(len(data)))
	ctx = c.trace(ctx, p)
	defer p.span.End()
	start := time.Now()
	putCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.putTimeout(ctx))
	seq, err := c.o.Store.Put(putCtx, data)
	cancel()
	p.span.Observe(c.metrics.storeSeconds, time.Since(start).Seconds())
	p.span.Fail(err)
	switch {
	case err == nil:
		c.acknowledge(p, seq)
		return nil
	case errors.Is(err, broker.ErrFull):
		c.log.WarnContext(ctx, "buffer full, asking devices to retry later", "err", err)
		c.metrics.packFailures.WithLabelValues(failFull).Inc()
		r := retryLater(telemetry.ReasonBufferFull, bufferIsFull)
		c.refuseAll(r)
		c.fail(p, r)
		if err := c.awaitRoom(ctx); err != nil {
			return err
		}
		c.resume()
		return nil
	default:
		c.log.ErrorContext(ctx, "pack write outcome unknown, probing the stream", "counter", c.counter+1, "err", err)
		c.metrics.packFailures.WithLabelValues(failUnknown).Inc()
		return c.settle(ctx, p)
	}
}

// lastPut bounds the write of the last pack, during the stop.
const lastPut = time.Second

func (c *Collector) putTimeout(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return min(lastPut, c.o.StallAfter)
	}
	return c.o.StallAfter
}

// acknowledge records that p is on disk and answers its senders.
func (c *Collector) acknowledge(p *pack, seq uint64) {
	c.advance(seq, &p.b)
	resends := c.land(p, seq)
	c.answer(p.tickets, seq, nil)
	c.answer(resends, seq, nil)
	p.span.Observe(c.metrics.ackSeconds, time.Since(p.first).Seconds())
	if p.span != nil {
		p.span.Set(attribute.Int64("iot.seq", int64(seq)))
	}
}

// fail tells the senders of p that it is not stored.
func (c *Collector) fail(p *pack, r *telemetry.Refusal) {
	resends := c.drop(p)
	c.answer(p.tickets, 0, r)
	c.answer(resends, 0, r)
}

// advance records that b, the pack counter+1, is on disk.
func (c *Collector) advance(seq uint64, b *wire.PackBuilder) {
	c.counter++
	c.totals = b.Totals()
	m := Mark{Counter: c.counter, Seq: seq, Totals: c.totals, Bytes: c.mark.Load().Bytes + uint64(b.Size())}
	c.mark.Store(&m)
	if c.o.Mark != nil {
		c.o.Mark(m)
	}
	c.failing.clear()
	c.metrics.packs.Inc()
}

// refuseAll refuses all further messages and those of the open pack, which was never
// passed to the store.
func (c *Collector) refuseAll(r *telemetry.Refusal) {
	c.mu.Lock()
	c.refusing = r
	tickets := c.open.tickets
	c.open.tickets = nil
	resends := c.forget(c.open)
	c.open.reset(c.o.Epoch, c.counter+1, c.stored+1)
	c.room.Broadcast()
	c.mu.Unlock()
	c.answer(tickets, 0, r)
	c.answer(resends, 0, r)
}

// resume accepts messages again.
func (c *Collector) resume() {
	c.mu.Lock()
	c.refusing = nil
	c.open.reset(c.o.Epoch, c.counter+1, c.stored+1)
	c.mu.Unlock()
	c.log.Info("accepting readings again")
}

// finish stores the open pack and refuses all further messages.
func (c *Collector) finish(ctx context.Context) error {
	c.mu.Lock()
	was := c.refusing
	c.mu.Unlock()
	if was == nil {
		if p := c.swap(); p != nil {
			_ = c.store(ctx, p) // ctx has ended: no error of interest
		}
	}
	c.refuseAll(retryLater(telemetry.ReasonUnavailable, isStopping))
	return nil
}

// refuseStopping counts and returns the reply to a message received during the stop.
func (c *Collector) refuseStopping(p Protocol) []byte {
	r := retryLater(telemetry.ReasonUnavailable, isStopping)
	c.refused(p, r, 1)
	return wire.EncodeRefusal(r)
}

// Reasons in replies that ask a device to retry later.
const (
	bufferIsFull  = "the gateway's buffer is full"
	storageSilent = "the gateway's storage does not respond"
	isStopping    = "the gateway is stopping"
)

func retryLater(reason telemetry.Reason, why string) *telemetry.Refusal {
	return &telemetry.Refusal{Reason: reason, Message: why + "; keep the reading and retry later"}
}

// answer replies to the senders of a pack: stored at seq, or refused with r.
func (c *Collector) answer(tickets []Ticket, seq uint64, r *telemetry.Refusal) {
	var n [numProtocols]tally
	for i := range tickets {
		t := &tickets[i]
		why := t.refusal
		if r != nil {
			why, t.Duplicate = r, false
		}
		c.count(&n[t.Protocol], t, why)
		if t.To != nil {
			t.To.Answer(t, seq, why)
		}
	}
	for p := range numProtocols {
		c.stats.accepted.Add(uint64(n[p].accepted))
		c.stats.unpromised.Add(uint64(n[p].unpromised))
		c.stats.duplicates.Add(uint64(n[p].duplicates))
		c.metrics.accepted[p].Add(float64(n[p].accepted))
		c.metrics.unpromised[p].Add(float64(n[p].unpromised))
		c.metrics.duplicates[p].Add(float64(n[p].duplicates))
	}
}

// tally counts readings of one protocol.
type tally struct{ accepted, unpromised, duplicates int }

// count counts the readings of an answered message: duplicates apart, as nothing else.
func (c *Collector) count(n *tally, t *Ticket, why *telemetry.Refusal) {
	accepted := 1
	switch {
	case t.Duplicate:
		n.duplicates += t.readings()
		return
	case why != nil:
		c.refused(t.Protocol, why, t.readings())
		return
	case t.Batch != nil:
		accepted = t.Batch.Accepted
		for i := range t.Batch.Refused {
			c.refused(t.Protocol, &telemetry.Refusal{Reason: t.Batch.Refused[i].Error.Reason}, 1)
		}
	}
	n.accepted += accepted
	if t.To == nil {
		n.unpromised += accepted
	}
}
