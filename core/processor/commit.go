package processor

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// work is what one task contributes to a transaction.
type work struct {
	task  *task
	batch *batch
}

// commit writes the pending results of all tasks in one transaction and then announces
// them on the hub. Without any it does nothing.
func (s *session) commit() error {
	var all []work
	for _, t := range s.order {
		if b := t.pending.pop(); b != nil {
			all = append(all, work{t, b})
		}
	}
	if len(all) == 0 {
		return nil
	}
	m := s.p.metrics
	start := time.Now()
	span := s.trace(all, start)
	defer span.End()
	if err := s.transact(all); err != nil {
		span.Fail(err)
		return fmt.Errorf("committing a transaction: %w", err)
	}
	m.committed.Inc()
	span.Observe(m.commit, time.Since(start).Seconds())
	for _, w := range all {
		w.task.pending.committed()
		s.announce(w.batch)
	}
	return nil
}

// transact writes one transaction. After an error the producer is unusable.
func (s *session) transact(all []work) error {
	if err := s.producer.Begin(); err != nil {
		return err
	}
	offsets := make(map[string][]*sarama.PartitionOffsetMetadata)
	add := func(topic string, partition int32, next int64) {
		if next >= 0 {
			offsets[topic] = append(offsets[topic], &sarama.PartitionOffsetMetadata{
				Partition: partition, Offset: next, LeaderEpoch: -1,
			})
		}
	}
	for _, w := range all {
		if err := s.write(w.task.partition, w.batch); err != nil {
			return err
		}
		add(s.p.cfg.DeviceData, w.task.partition, w.batch.next)
		add(s.p.cfg.Commands, w.task.partition, w.batch.nextCommand)
	}
	if len(offsets) > 0 {
		if err := s.producer.AddOffsets(offsets, s.group); err != nil {
			return err
		}
	}
	return s.producer.Commit()
}

func (s *session) write(partition int32, b *batch) (err error) {
	c := &s.p.cfg
	send := func(m *sarama.ProducerMessage) {
		if err == nil {
			err = s.producer.Send(m)
		}
	}
	for _, a := range b.alerts {
		send(record(c.Alerts, a.device, a.data))
	}
	for _, a := range b.audits {
		send(record(c.Audit, a.device, a.data))
	}
	for _, l := range b.letters {
		send(l.message)
	}
	for _, r := range b.removed {
		for _, topic := range []string{c.DeviceState, c.AlarmState, c.DeviceMeta, c.DetectState} {
			if err == nil {
				err = s.producer.SendTo(partition, record(topic, r.device, nil))
			}
		}
	}
	store := func(topic string, states map[string][]byte) {
		for id, data := range states {
			if err == nil {
				err = s.producer.SendTo(partition, record(topic, id, data))
			}
		}
	}
	store(c.AlarmState, b.alarms)
	store(c.DeviceState, b.devices)
	store(c.DeviceMeta, b.metas)
	store(c.DetectState, b.detect)
	return err
}

// announce publishes committed results on the hub and counts them.
func (s *session) announce(b *batch) {
	m := s.p.metrics
	for i := range b.alerts {
		a := &b.alerts[i]
		m.alert(a)
		if !a.quiet {
			s.p.live.Alert(a.severity, a.data)
		}
	}
	for _, a := range b.audits {
		if a.outcome != "" {
			m.commands.WithLabelValues(string(a.outcome)).Inc()
		}
	}
	for _, l := range b.letters {
		m.deadLetter(l.reason)
	}
	for _, r := range b.removed {
		if r.why != unknown {
			m.removed.WithLabelValues(string(r.why)).Inc()
		}
	}
	s.p.live.Windows(b.windows)
}

// record returns a record; a nil value is a tombstone.
func record(topic, key string, value []byte) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key)}
	if value != nil {
		m.Value = sarama.ByteEncoder(value)
	}
	return m
}
