package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/neighbours"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
)

const (
	// maxRelearn and relearnMS bound the readings that are read again: most states were written in the last
	// 20 minutes before a stop that was not clean, or have nothing to learn.
	maxRelearn = 3_000_000
	relearnMS  = 25 * 60_000
	// recordSlack is how many ms records may be out of the order of their times: bridges have clocks.
	recordSlack = 10_000
	// rereadPause is the time between two attempts to read.
	rereadPause = time.Second
)

var errReadEnded = errors.New("the consumer ended")

// behind is where a detector is that a start has put behind its task: it reads again what the restored states do
// not know, and then what the task has processed meanwhile, until it has caught up. Alarms by rules do not wait
// for it.
//
// Readings before judged were judged before the start, and what they raised is in the restored states: that a
// device raised, changed or cleared an alarm, moved to another building, or came under maintenance was written
// with it. So they only teach. Those from judged on are judged now.
type behind struct {
	next    int64 // offset from which on nothing was learnt again yet
	judged  int64
	devices map[*device]*again
	records <-chan *sarama.ConsumerMessage
	stop    func() // ends reading
	begun   time.Time
	from    int64 // offset of the first record, -1: none came yet
	learnt  int
}

// again is a device whose readings are read again: those that its state knows, then the others.
type again struct {
	clock  clock.Clock
	learns bool
}

// fallBehind starts to read again what the restored states do not know of the readings before the offset end. The
// function that it returns ends that and waits until it has ended.
func (t *task) fallBehind(ctx context.Context, end int64) (stop func()) {
	s := t.detects
	since, newest, found := s.unknown(t.devices)
	if !found || end < 0 {
		s.markDue = s.mark.Judged > 0
		s.lag.Store(0)
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	records, ended := make(chan *sarama.ConsumerMessage, maxChunk), make(chan struct{})
	s.fall(end, records, cancel)
	r := &rereader{
		log: t.p.log, cfg: &t.p.cfg, partition: t.partition, out: records,
		since: max(since, newest-relearnMS), least: end - maxRelearn, latest: s.behind.judged,
	}
	go func() {
		defer close(ended)
		r.run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// fall puts the detector behind a task that continues from the offset end: it learns from records until it has
// caught up, and then calls stop.
func (s *detectStage) fall(end int64, records <-chan *sarama.ConsumerMessage, stop func()) {
	s.behind = &behind{judged: end, devices: make(map[*device]*again), records: records, stop: stop, begun: time.Now(), from: -1}
	if s.mark.Judged > 0 {
		s.behind.judged = min(end, s.mark.Judged)
	}
}

// unknown returns from when on (ms) records are to be read again: a little before the first that a state does
// not know, for the values of neighbours. The newest state is of newest; found: there is one.
func (s *detectStage) unknown(devices map[string]*device) (since, newest int64, found bool) {
	for _, d := range devices {
		x := d.detect
		if x == nil {
			continue
		}
		if !found {
			since, found = x.record, true
		}
		since, newest = min(since, x.record), max(newest, x.record)
	}
	return since - neighbours.Window.Milliseconds() - recordSlack, newest, found
}

// unread returns the records to learn again, nil if the detector is not behind.
func (s *detectStage) unread() <-chan *sarama.ConsumerMessage {
	if s.behind == nil {
		return nil
	}
	return s.behind.records
}

// reached returns the offset that the detector continues from, whose task continues from next.
func (s *detectStage) reached(next int64) int64 {
	if s.behind != nil {
		return s.behind.next
	}
	return next
}

// offset returns that of the clock of d where the detector is.
func (s *detectStage) offset(d *device) int64 {
	if s.behind == nil {
		return d.clock.Offset()
	}
	if a := s.behind.devices[d]; a != nil {
		return a.clock.Offset()
	}
	return d.detect.offset
}

// learnAgain learns from a chunk of records, until the detector has caught up with its task.
func (t *task) learnAgain(chunk []*sarama.ConsumerMessage) {
	b, now := t.detects.behind, time.Now().UnixMilli()
	if b.from < 0 {
		b.from = chunk[0].Offset
	}
	next := t.progress.next.Load()
	for _, m := range chunk {
		if m.Offset < next {
			t.recordAgain(m, now)
			b.next = m.Offset + 1
		}
		if m.Offset+1 >= next {
			t.caughtUp()
			break
		}
	}
	if t.detects.behind != nil {
		t.detects.lag.Store(next - b.next)
	}
	t.flush(now)
}

// caughtUp lets the detector have the task's readings from now on.
func (t *task) caughtUp() {
	s := t.detects
	b := s.behind
	b.stop()
	s.behind, s.markDue = nil, true
	s.lag.Store(0)
	t.p.log.Info("detector restored", "partition", t.partition, "from", b.from, "to", b.next, "learnt", b.learnt, "took", time.Since(b.begun).Round(time.Millisecond))
}

// recordAgain learns from one record.
func (t *task) recordAgain(m *sarama.ConsumerMessage, now int64) {
	d, b := t.devices[string(m.Key)], t.detects.behind
	if d == nil || d.detect == nil && m.Offset < b.judged {
		return
	}
	o := originOf(m)
	if _, refusal := t.intake.Accept(m.Key, m.Value, &o); refusal != nil {
		return
	}
	r := &t.intake.Reading
	if r.DeviceID != d.id || t.late(r, &o) || r.Offline && len(r.Sensors) == 0 {
		return
	}
	learns := d.detect == nil || m.Offset >= d.detect.position
	a := b.devices[d]
	if a == nil || learns && !a.learns {
		a = &again{learns: learns}
		if d.detect != nil {
			a.clock = clock.Restore(d.detect.offset)
		}
		b.devices[d] = a
		if learns && d.detect != nil {
			d.detect.settle()
		}
	}
	p, gateway := o.Place(&a.clock, r), intake.GatewayName(o.Gateway)
	switch {
	case !learns:
		t.remember(d.detect, p, o.Written)
	case m.Offset < b.judged:
		t.teach(d, p, gateway, m.Offset, o.Written, now)
	default:
		b.learnt++
		t.judge(d, p, gateway, m.Offset, o.Written, now)
	}
}

// remember lets the reading at hand, which the state of x knows, be what its neighbours are compared with.
func (t *task) remember(x *detected, p intake.Placed, written int64) {
	s, r := t.detects, &t.intake.Reading
	s.record = written
	if s.collect(r) && !p.Backfill {
		s.neighbours.Put(&x.near, written, r)
	}
}

// teach learns from the reading at hand, which was judged before.
func (t *task) teach(d *device, p intake.Placed, gateway string, offset, written, now int64) {
	s, r := t.detects, &t.intake.Reading
	if !s.collect(r) {
		return
	}
	s.record = written
	d.detect.lack(offset, written)
	if !p.Backfill {
		s.compare(d.detect, s.neighbours.Put(&d.detect.near, written, r))
	}
	if !s.learn(d.detect, r, p, t.alarms.rules.Rules, true) {
		return
	}
	s.behind.learnt++
	// It changes no alarm unless the rules have changed since it was judged first: then alarms end that the
	// detector would not mention again.
	for i := range s.changes {
		t.anomaly(d, &s.changes[i], p.At, gateway, now)
	}
	s.learnt(d, p.At)
}

// rereader reads a partition of device-data again.
type rereader struct {
	log       *slog.Logger
	cfg       *Config
	partition int32
	out       chan<- *sarama.ConsumerMessage
	since     int64 // ms: records that were written from then on
	least     int64 // not before this offset,
	latest    int64 // and all from this one on
	next      int64 // offset to continue from, once something was read
}

// run reads until ctx ends. After a failure it goes on where it was.
func (r *rereader) run(ctx context.Context) {
	for {
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		r.log.Warn("reading again for the detector failed, retrying", "partition", r.partition, "from", r.next, "err", err)
		if !lifecycle.Pause(ctx, rereadPause) {
			return
		}
	}
}

func (r *rereader) read(ctx context.Context) error {
	log, err := kafka.OpenLog(ctx, r.cfg.Cluster, r.cfg.DeviceData, clientID)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // nothing was written through it
	from, err := r.begin(log)
	if err != nil {
		return err
	}
	pc, err := log.Consume(r.partition, from)
	if err != nil {
		return err
	}
	defer kafka.Discard(pc)
	for {
		select {
		case m, ok := <-pc.Messages():
			if !ok {
				return errReadEnded
			}
			select {
			case r.out <- m:
				r.next = m.Offset + 1
			case <-ctx.Done():
				return ctx.Err()
			}
		case e := <-pc.Errors():
			return fmt.Errorf("reading %s/%d: %w", r.cfg.DeviceData, r.partition, e.Err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin returns the offset to read from.
func (r *rereader) begin(log *kafka.Log) (int64, error) {
	oldest, _, err := log.Bounds(r.partition)
	if err != nil {
		return 0, err
	}
	if r.next > 0 {
		return max(r.next, oldest), nil
	}
	first, err := log.At(r.partition, r.since)
	if err != nil {
		return 0, err
	}
	return max(min(max(first, r.least), r.latest), oldest), nil
}
