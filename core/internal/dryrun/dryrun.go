// Package dryrun shows what rules would have done: it sends what Kafka holds of the
// readings through the alarm engine, as core would have, and lists the alarms. It writes
// nothing to Kafka and joins no group. What the clock finds (silent devices and gateways)
// is not in the readings and so not in the result. Test blocks until it has read
// everything it was asked to, or its context ends.
package dryrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/origin"
	"industrial-iot-monitor/core/internal/readback"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/core/internal/validate"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// clientID names the tool to the brokers.
const clientID = "core-rules"

// ahead is how many records of a partition are fetched before they are wanted.
const ahead = 512

// Options of a Test. Log, Brokers, Topic and Rules are required.
type Options struct {
	Log     *slog.Logger
	Brokers []string
	Topic   string
	Rules   *alarm.Rules
	// From and To bound when the records were written to Kafka, ms since 1970. To 0: the
	// end.
	From, To int64
	// Device restricts the test to one device; empty: all.
	Device string
}

// Result is what a test found.
type Result struct {
	Readings, Refused int64
	Devices           int
	// Raised are the alarms in the order in which they were found.
	Raised []*Occurrence
	// Incomplete says what could not be read, empty when everything was.
	Incomplete string
}

// Occurrence is one time that an alarm was raised.
type Occurrence struct {
	telemetry.Alert       // as its last record told it
	Start           int64 // ms by event time
}

// Test replays the readings.
func Test(ctx context.Context, o Options) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log, err := readback.Open(ctx, o.Brokers, o.Topic, clientID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	partitions, err := log.Partitions()
	if err != nil {
		return nil, err
	}
	p := newPlayer(o)
	streams := make([]*stream, 0, len(partitions))
	for _, k := range partitions {
		s, err := open(ctx, log, k, o.From, o.To)
		if err != nil {
			return nil, err
		}
		streams = append(streams, s)
	}
	// Before the log is closed, and the streams have ended by then: they end with ctx.
	defer func() {
		cancel()
		for _, s := range streams {
			s.drain()
		}
	}()
	for m := next(streams); m != nil; m = next(streams) {
		p.record(m)
	}
	p.finish()
	for _, s := range streams {
		if s.err != nil && !errors.Is(s.err, readback.ErrIncomplete) {
			return nil, s.err
		}
		if s.err != nil {
			p.result.Incomplete = fmt.Sprintf("partition %d: %v", s.partition, s.err)
		}
	}
	return &p.result, ctx.Err()
}

// stream is one partition being read.
type stream struct {
	partition int32
	head      *sarama.ConsumerMessage
	messages  chan *sarama.ConsumerMessage
	err       error // valid once messages is closed
}

func open(ctx context.Context, log *readback.Log, partition int32, from, to int64) (*stream, error) {
	first, err := log.At(partition, from)
	if err != nil {
		return nil, err
	}
	_, end, err := log.Bounds(partition)
	if err == nil && to != 0 {
		end, err = log.At(partition, to)
	}
	if err != nil {
		return nil, err
	}
	s := &stream{partition: partition, messages: make(chan *sarama.ConsumerMessage, ahead)}
	go func() {
		defer close(s.messages)
		s.err = log.Read(ctx, partition, first, end, func(m *sarama.ConsumerMessage) bool {
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

// peek returns the stream's next record without taking it, nil at the end.
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

// next takes the record that was written first, nil when there are no more. So the
// partitions come as they came to core.
func next(streams []*stream) *sarama.ConsumerMessage {
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

// player is the engine with what core has around it.
type player struct {
	o       Options
	result  Result
	devices map[string]*device
	alarms  map[string]*Occurrence // the newest, by id
	rooms   *rooms.Table
	clock   int64 // ms, when the newest record was written
	ticked  int64

	reading telemetry.Reading
	layout  wire.Layout
	view    alarm.RoomView
	changes []alarm.Transition
}

type device struct {
	state alarm.State
	room  rooms.Device
}

func newPlayer(o Options) *player {
	return &player{o: o, devices: make(map[string]*device), alarms: make(map[string]*Occurrence), rooms: rooms.New()}
}

// record plays one record.
func (p *player) record(m *sarama.ConsumerMessage) {
	from := origin.Of(m)
	if from.Written > p.clock {
		p.clock = from.Written
		p.tick()
	}
	// The other devices of a room count even when one device is asked for.
	if p.o.Device != "" && string(m.Key) != p.o.Device && !p.o.Rules.NeedsRoom() {
		return
	}
	if validate.Check(validate.Record{
		Key: m.Key, Value: m.Value, Received: from.Received, Written: from.Written,
	}, &p.reading, &p.layout) != nil {
		p.result.Refused++
		return
	}
	r := &p.reading
	from.Settle(r.Timestamp)
	d := p.devices[r.DeviceID]
	if d == nil {
		d = new(device)
		p.devices[string(m.Key)] = d
	}
	in := alarm.Input{
		Reading: r, Gateway: origin.Name(from.Gateway), Received: from.Received, Waited: from.Waited(),
		Partition: m.Partition, Offset: m.Offset,
	}
	if p.o.Rules.NeedsRoom() && !from.Backfill {
		p.rooms.Put(&d.room, r)
		in.Room = p.rooms.View(&d.room, &p.view)
	}
	if p.o.Device != "" && r.DeviceID != p.o.Device {
		return
	}
	p.result.Readings++
	d.state, p.changes, _ = p.o.Rules.Step(d.state, in, p.changes[:0])
	p.note()
}

// tick lets the clock do its part, a second at a time as in core.
func (p *player) tick() {
	if p.clock-p.ticked < 1000 {
		return
	}
	p.ticked = p.clock
	if p.o.Rules.NeedsRoom() {
		p.rooms.Rebuild(p.clock, nil)
	}
	for _, d := range p.devices {
		if due := d.state.Due(); due != 0 && due <= p.clock {
			d.state, p.changes, _ = p.o.Rules.Tick(d.state, p.clock, p.changes[:0])
			p.note()
		}
	}
}

// note keeps what became of each alarm. Nobody acknowledges anything here, so that an
// alarm that comes again is the same one; it is listed each time.
func (p *player) note() {
	for i := range p.changes {
		a := &p.changes[i].Alert
		known := p.alarms[a.AlertID]
		switch {
		case known == nil:
			known = &Occurrence{Start: a.RaisedAt}
		case a.Event == telemetry.EventRepeated:
			known = &Occurrence{Start: a.Timestamp}
		default:
			known.Alert = *a
			continue
		}
		known.Alert = *a
		p.alarms[a.AlertID] = known
		p.result.Raised = append(p.result.Raised, known)
	}
}

func (p *player) finish() { p.result.Devices = len(p.devices) }
