package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"industrial-iot-monitor/internal/tracing"
)

// collect gathers packs into batches. A batch is flushed when the committer is free and the
// batch is full or has waited; until then it grows.
func (r *run) collect(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	b := r.batch()
	due := false // b has waited long enough
	var since time.Time
	var held *item // did not fit into b
	for {
		packs, ready := r.packs, r.ready
		receive, flush := nextBatch(b, r.o.MaxReadings, due, held != nil)
		if !receive {
			packs = nil
		}
		if !flush {
			ready = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			due = true
		case it := <-packs:
			if !b.fits(&it, r.o.MaxReadings) {
				held = &it
				break
			}
			if b.empty() {
				since = time.Now()
			}
			r.add(b, &it)
			left := b.wait(r.o.CommitMin, r.o.CommitMax) - time.Since(since)
			due = left <= 0
			timer.Reset(left)
		case ready <- b:
			timer.Stop()
			b, due = r.batch(), false
			if held != nil {
				r.add(b, held)
				held, due = nil, true
			}
		}
	}
}

func (r *run) add(b *batch, it *item) {
	r.o.Progress.Fetched(it.next)
	b.add(it)
}

// batch returns an empty batch, a used one if possible.
func (r *run) batch() *batch {
	select {
	case b := <-r.free:
		return b
	default:
		return &batch{}
	}
}

// commit writes one batch after the other to Kafka. The current one is finished when ctx
// ends.
func (r *run) commit(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-r.ready:
			start := time.Now()
			span := r.trace(b, start)
			err := r.transact(b, start)
			endTraces(b, span, err)
			if err != nil {
				r.o.Metrics.failed.Inc()
				return err
			}
			r.committed = true
			r.done(b, time.Since(start), span)
		}
	}
}

// transact writes a batch in one Kafka transaction.
func (r *run) transact(b *batch, now time.Time) error {
	if err := r.producer.Begin(); err != nil {
		return err
	}
	r.records.begin(now)
	for i := range b.items {
		if err := r.records.send(r.producer, b, &b.items[i]); err != nil {
			return err
		}
	}
	for i := range b.updates {
		if err := r.records.sendCheckpoint(r.producer, r.o.Partition, &b.updates[i]); err != nil {
			return err
		}
	}
	if err := r.reconcile(b); err != nil {
		return err
	}
	return r.producer.Commit()
}

// errMiscounted is returned when Kafka acknowledged more or fewer readings than were sent.
var errMiscounted = errors.New("number of readings acknowledged by kafka differs from those sent")

// reconcile compares the readings of the open transaction with the number that the brokers
// acknowledged. It waits no longer than Commit would.
func (r *run) reconcile(b *batch) error {
	stored, err := r.producer.Acknowledged(r.o.Topics.DeviceData)
	if err != nil {
		return err
	}
	if stored != b.sent.readings {
		return fmt.Errorf("%w: %d of %d", errMiscounted, stored, b.sent.readings)
	}
	return nil
}

// done records a committed batch in metrics, log and progress, and frees it.
func (r *run) done(b *batch, took time.Duration, span *tracing.Span) {
	m := r.o.Metrics
	m.committed.Inc()
	span.Observe(m.txnSeconds, took.Seconds())
	m.txnReadings.Observe(float64(b.sent.readings))
	m.records.Add(float64(b.sent.readings))
	m.deadLetters.Add(float64(b.sent.letters))
	m.packs.Add(float64(b.sent.packs))
	m.damaged.Add(float64(b.sent.damaged))
	for _, l := range b.losses {
		m.losses.WithLabelValues(l.gateway).Inc()
		m.lostPacks.WithLabelValues(l.gateway).Add(float64(l.packs))
		r.log.ErrorContext(span.Into(context.Background()), "packs of a gateway lost", "gateway", l.gateway, "reason", l.reason, "known_lost_packs", l.packs, "known_lost_readings", l.readings, "seq", l.seq)
	}
	r.o.Progress.commit(b.updates)
	r.budget.Release(b.weight)
	b.reset()
	select {
	case r.free <- b:
	default:
	}
}
