package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// dryRunClient is the client id of a dry run at the brokers.
	dryRunClient = "core-rules"
	// readAhead is how many records of a partition are fetched ahead.
	readAhead = 512
)

// Options of a DryRun. Brokers, Topic, Rules and Sensors are required.
type Options struct {
	Brokers []string
	Topic   string
	Rules   *alarm.Rules
	Sensors *sensors.Catalogue
	// From and To bound when the records were written to Kafka, ms since 1970. To 0 is
	// the end.
	From, To int64
	// Device restricts the run to one device; empty: all.
	Device string
}

// Result of a DryRun.
type Result struct {
	Readings, Refused int64
	Devices           int
	// Sensors are the names of the sensors in the readings.
	Sensors map[string]bool
	// Raised are the alarms in the order in which they were raised.
	Raised []*Occurrence
	// Incomplete names what could not be read; empty when everything was.
	Incomplete string
}

// Occurrence is one time that an alarm was raised.
type Occurrence struct {
	telemetry.Alert       // its last record
	Start           int64 // ms by event time
}

// DryRun sends the readings through the alarm engine as core would have, and lists the
// alarms. Alarms that the clock raises (silent devices and gateways) are not in the
// readings and so not in the result.
func DryRun(ctx context.Context, o Options) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log, err := open(ctx, o.Brokers, o.Topic, dryRunClient)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.close() }()
	partitions, err := log.partitions()
	if err != nil {
		return nil, err
	}
	p := newPlayer(o)
	streams := make([]*stream, 0, len(partitions))
	for _, k := range partitions {
		s, err := openStream(ctx, log, k, o.From, o.To)
		if err != nil {
			return nil, err
		}
		streams = append(streams, s)
	}
	// Runs before the log is closed. The streams end with ctx.
	defer func() {
		cancel()
		for _, s := range streams {
			s.drain()
		}
	}()
	for m := popOldest(streams); m != nil; m = popOldest(streams) {
		p.record(m)
	}
	p.result.Devices = len(p.devices)
	for _, s := range streams {
		if s.err != nil && !errors.Is(s.err, errIncomplete) {
			return nil, s.err
		}
		if s.err != nil {
			p.result.Incomplete = fmt.Sprintf("partition %d: %v", s.partition, s.err)
		}
	}
	return &p.result, ctx.Err()
}

// stream reads one partition ahead.
type stream struct {
	partition int32
	head      *sarama.ConsumerMessage
	messages  chan *sarama.ConsumerMessage
	err       error // valid once messages is closed
}

func openStream(ctx context.Context, log *topicLog, partition int32, from, to int64) (*stream, error) {
	first, err := log.at(partition, from)
	if err != nil {
		return nil, err
	}
	_, end, err := log.bounds(partition)
	if err == nil && to != 0 {
		end, err = log.at(partition, to)
	}
	if err != nil {
		return nil, err
	}
	s := &stream{partition: partition, messages: make(chan *sarama.ConsumerMessage, readAhead)}
	go func() {
		defer close(s.messages)
		s.err = log.read(ctx, partition, first, end, func(m *sarama.ConsumerMessage) bool {
			select {
			case s.messages <- m:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	return s, nil
}

// peek returns the stream's next record and leaves it there, nil at the end.
func (s *stream) peek() *sarama.ConsumerMessage {
	if s.head == nil {
		s.head = <-s.messages
	}
	return s.head
}

func (s *stream) drain() {
	for range s.messages {
	}
}

// popOldest removes and returns the record that was written first, nil when there are no
// more: the order in which core received the partitions.
func popOldest(streams []*stream) *sarama.ConsumerMessage {
	var first *stream
	for _, s := range streams {
		if m := s.peek(); m != nil && (first == nil || m.Timestamp.Before(first.head.Timestamp)) {
			first = s
		}
	}
	if first == nil {
		return nil
	}
	m := first.head
	first.head = nil
	return m
}
