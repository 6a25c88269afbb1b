package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/kafka"
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
	Cluster kafka.Cluster
	Topic   string
	Rules   *alarm.Rules
	Sensors *sensors.Catalogue
	// From and To bound when the records were written to Kafka, ms since 1970. To 0 is
	// the end.
	From, To int64
	// Device restricts the run to one device; empty: all.
	Device string
	// MaxRaised is after how many alarms the run ends; 0: it does not.
	MaxRaised int
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
	// Since and Until are when the oldest and the newest record were written, 0 without any.
	Since, Until int64
	// HeldSince is since when Kafka has every record, 0 when none of the range was removed.
	HeldSince int64
	// Full: the run ended at MaxRaised.
	Full bool
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
	results, err := dryRun(ctx, o, []*alarm.Rules{o.Rules})
	if err != nil {
		return nil, err
	}
	return results[0], ctx.Err()
}

// dryRun reads the readings once for several sets of rules in place of o.Rules. When ctx
// ends, the results are of the readings until then.
func dryRun(ctx context.Context, o Options, sets []*alarm.Rules) ([]*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log, err := kafka.OpenLog(ctx, o.Cluster, o.Topic, dryRunClient)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	partitions, err := log.Partitions()
	if err != nil {
		return nil, err
	}
	streams := make([]*stream, 0, len(partitions))
	// Runs before the log is closed. The streams end with ctx.
	defer func() {
		cancel()
		for _, s := range streams {
			s.drain()
		}
	}()
	for _, k := range partitions {
		s, err := openStream(ctx, log, k, o.From, o.To)
		if err != nil {
			return nil, err
		}
		streams = append(streams, s)
	}
	return playAll(ctx, o, sets, streams)
}

func playAll(ctx context.Context, o Options, sets []*alarm.Rules, streams []*stream) ([]*Result, error) {
	players := make([]*player, len(sets))
	results := make([]*Result, len(sets))
	for i, set := range sets {
		o.Rules = set
		players[i] = newPlayer(o)
		results[i] = &players[i].result
	}
	held := heldSince(streams)
	in := intake.Intake{Sensors: o.Sensors}
	for m := popOldest(streams); m != nil && ctx.Err() == nil && !full(o, players); m = popOldest(streams) {
		playOne(players, &in, m)
	}
	for i, p := range players {
		p.result.Devices = len(p.devices)
		p.result.Until, p.result.HeldSince = p.clock, held
		if results[i].Full = full(o, players); results[i].Full || ctx.Err() != nil {
			continue // the streams are not at their end
		}
		for _, s := range streams {
			if s.err != nil && !errors.Is(s.err, errIncomplete) {
				return nil, s.err
			}
			if s.err != nil {
				p.result.Incomplete = fmt.Sprintf("partition %d: %v", s.partition, s.err)
			}
		}
	}
	return results, nil
}

// playOne plays one record to all players; it is decoded once.
func playOne(players []*player, in *intake.Intake, m *sarama.ConsumerMessage) {
	wanted := false
	for _, p := range players {
		p.advance(m)
		wanted = wanted || p.wants(m)
	}
	if !wanted {
		return
	}
	rec, ok := read(in, m)
	for _, p := range players {
		if p.wants(m) {
			p.take(rec, ok)
		}
	}
}

func full(o Options, players []*player) bool {
	for _, p := range players {
		if o.MaxRaised > 0 && len(p.result.Raised) >= o.MaxRaised {
			return true
		}
	}
	return false
}

// heldSince returns since when all partitions have their records, when Kafka has removed
// some of the range; else 0.
func heldSince(streams []*stream) (since int64) {
	for _, s := range streams {
		if m := s.peek(); m != nil && s.cut {
			since = max(since, m.Timestamp.UnixMilli())
		}
	}
	return since
}

// stream reads one partition ahead.
type stream struct {
	partition int32
	head      *sarama.ConsumerMessage
	messages  chan *sarama.ConsumerMessage
	cut       bool  // Kafka has removed older records, which may be in the range
	err       error // valid once messages is closed
}

func openStream(ctx context.Context, log *kafka.Log, partition int32, from, to int64) (*stream, error) {
	first, err := log.At(partition, from)
	if err != nil {
		return nil, err
	}
	oldest, end, err := log.Bounds(partition)
	if err == nil && to != 0 {
		end, err = log.At(partition, to)
	}
	if err != nil {
		return nil, err
	}
	s := &stream{partition: partition, cut: first == oldest && oldest > 0, messages: make(chan *sarama.ConsumerMessage, readAhead)}
	go func() {
		defer close(s.messages)
		s.err = readLog(ctx, log, partition, first, end, func(m *sarama.ConsumerMessage) bool {
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
