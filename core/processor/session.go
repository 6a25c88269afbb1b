package processor

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
)

// restoring is how many partitions are restored at once. Restoring is mostly waiting:
// sarama takes 100 ms to start reading a partition.
const restoring = 16

// session is one assignment of partitions: a task for each, and one transactional
// producer that commits for all of them. The tasks do not wait for a commit; they continue
// while the committer writes their results.
//
// The transactional id is that of the lowest partition of the assignment, and a new owner
// initialises the ids of all its partitions. So the open transaction of an owner that died
// ends at once, and an owner that only seemed dead is fenced, in addition to the check of
// the group's generation.
type session struct {
	p        *Processor
	log      *slog.Logger
	group    *sarama.ConsumerGroupMetadata
	producer *kafka.Producer // nil without partitions
	tasks    map[int32]*task
	order    []*task // by partition

	wake   chan struct{} // commit at once
	stop   chan struct{}
	done   chan struct{} // the committer has ended
	failed chan struct{} // closed after err is set
	err    error
}

func newSession(p *Processor, group *sarama.ConsumerGroupMetadata) *session {
	return &session{
		p: p, log: p.log, group: group, tasks: make(map[int32]*task),
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
		done: make(chan struct{}), failed: make(chan struct{}),
	}
}

// restore takes over partitions, in ascending order: it fences their former owners and
// reads their state.
func (s *session) restore(ctx context.Context, partitions []int32) error {
	s.order = make([]*task, len(partitions))
	producers := make([]*kafka.Producer, len(partitions))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(restoring)
	for i, k := range partitions {
		g.Go(func() (err error) {
			s.order[i], producers[i], err = s.takeOver(ctx, k)
			if err == nil && i > 0 {
				err = producers[i].Close() // it was needed to fence
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if len(producers) > 0 && producers[0] != nil {
			_ = producers[0].Close() // the first error says why
		}
		return fmt.Errorf("taking over partitions %v: %w", partitions, err)
	}
	for _, t := range s.order {
		s.tasks[t.partition] = t
	}
	if len(producers) > 0 {
		s.producer = producers[0]
	}
	return nil
}

// takeOver returns the task of a partition and the producer that fenced its former owner.
func (s *session) takeOver(ctx context.Context, partition int32) (_ *task, _ *kafka.Producer, err error) {
	c := &s.p.cfg
	id := c.TxnPrefix + strconv.Itoa(int(partition))
	producer, err := kafka.NewProducer(ctx, s.log, c.Config, clientID, id)
	if err != nil {
		return nil, nil, err
	}
	// Restore writes its fence record through the producer, which takes no context.
	stop := context.AfterFunc(ctx, func() { _ = producer.Close() })
	defer stop()
	defer func() {
		if err != nil {
			_ = producer.Close() // the first error says why
		}
	}()
	alarms, err := kafka.Restore(ctx, s.log, c.Cluster, producer, c.AlarmState, partition)
	if err != nil {
		return nil, nil, err
	}
	devices, err := kafka.Restore(ctx, s.log, c.Cluster, producer, c.DeviceState, partition)
	if err != nil {
		return nil, nil, err
	}
	metas, err := kafka.Restore(ctx, s.log, c.Cluster, producer, c.DeviceMeta, partition)
	if err != nil {
		return nil, nil, err
	}
	learnt, err := kafka.Restore(ctx, s.log, c.Cluster, producer, c.DetectState, partition)
	if err != nil {
		return nil, nil, err
	}
	t := newTask(s.p, partition, s.hurry)
	s.load(t, stored{alarms, devices, metas, learnt})
	return t, producer, nil
}

// stored is the state of a task as Kafka has it: the newest values of its compacted topics.
type stored struct{ alarms, devices, metas, learnt map[string][]byte }

// load restores the state of a task. The device of an unreadable record starts afresh.
func (s *session) load(t *task, from stored) {
	now := time.Now().UnixMilli()
	for id, data := range from.metas {
		t.life.restoreMeta(id, data)
	}
	for key, data := range from.alarms {
		if id, ok := strings.CutPrefix(key, removalPrefix); ok {
			t.life.restore(id, data)
		}
	}
	for id, data := range from.devices {
		state, err := decodeDeviceState(data)
		if err != nil || state.DeviceID != id {
			s.log.Error("device state unreadable, ignored", "device", id, "partition", t.partition, "err", err)
			continue
		}
		d := t.addDevice(id)
		d.clock = clock.Restore(state.ClockOffsetMS)
		d.presence = t.presence.Restore(state.DeviceState, now)
		t.presence.count(false, d.presence.Online())
		t.presence.clock(d, 0)
		d.alarm = d.alarm.SeenUntil(state.seenUntil(now))
	}
	for id, data := range from.alarms {
		if strings.HasPrefix(id, removalPrefix) {
			continue
		}
		state, err := alarm.DecodeState(data)
		if err != nil || !telemetry.ValidDeviceID(id) {
			s.log.Error("alarm state unreadable, ignored", "device", id, "partition", t.partition, "err", err)
			continue
		}
		d, ok := t.devices[id]
		if !ok {
			d = t.addDevice(id)
		}
		d.alarm = state.SeenUntil(d.alarm.Seen())
		t.alarms.stored[d] = struct{}{}
	}
	s.loadDetect(t, from.learnt)
	t.watchdog.expect(t.devices, now)
}

// hurry starts a commit before its time.
func (s *session) hurry() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run commits until stop is closed, then once more for the last results, or until a commit
// fails. Two commits are at least shortest apart; without a hurry, longest.
func (s *session) run(shortest, longest time.Duration) {
	defer close(s.done)
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for last, stopping := time.Now(), false; !stopping; {
		select {
		case <-timer.C:
		case <-s.wake:
			stopping = s.stopsWithin(shortest - time.Since(last))
		case <-s.stop:
			stopping = true
		}
		if err := s.commit(); err != nil {
			s.p.session.CompareAndSwap(s, nil)
			s.p.metrics.aborted.Inc()
			s.err = err
			close(s.failed)
			return
		}
		last = time.Now()
		timer.Reset(longest)
	}
}

// stopsWithin waits and reports whether stop was closed meanwhile.
func (s *session) stopsWithin(d time.Duration) bool {
	if d <= 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.stop:
		return true
	case <-timer.C:
		return false
	}
}

// close ends the session after its tasks have ended. It returns the error that ended the
// session early; the next session then repeats the work since the last commit.
func (s *session) close(quit <-chan struct{}) error {
	for _, t := range s.order {
		t.finish(stopBytes / len(s.order))
		s.p.peers.Forget(t.partition)
	}
	close(s.stop)
	s.await(quit)
	if s.producer != nil {
		if err := s.producer.Close(); err != nil {
			s.log.Debug("producer did not close cleanly", "err", err)
		}
	}
	<-s.done
	return s.err
}

// await waits for the committer a limited time: closing the producer ends a commit.
func (s *session) await(quit <-chan struct{}) {
	timeout := time.NewTimer(rebalanceTimeout)
	defer timeout.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-quit:
			quit = nil
			timeout.Reset(stopTimeout)
		case <-timeout.C:
			return
		}
	}
}

func (s *session) deviceCount() int {
	n := 0
	for _, t := range s.order {
		n += len(t.devices)
	}
	return n
}
