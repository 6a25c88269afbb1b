package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/viewer"
)

// poisonFaults write invalid records to device-data.
func poisonFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "poison", Breaks: "another program writes invalid records to device-data",
		Expects: "each is dead-lettered once, with its offset, and its partition continues", Times: 40, Quick: 8, Site: common(), Run: poison,
	}}
}

// poisons are values that are no readings, one of each kind.
func poisons() map[string][]byte {
	return map[string][]byte{
		"no JSON":        []byte("\x00\xff\xfe poison"),
		"half a reading": []byte(`{"device_id":"device_001","timestamp":16409952`),
		"an array":       []byte(`[1,2,3]`),
		"no value":       {},
		"a tombstone":    nil,
		"no device":      []byte(`{"timestamp":1640995200000,"location":{"building":"A","floor":1,"room":"1"},"sensors":{}}`),
		"a huge one":     make([]byte, 600<<10),
		"the wrong kind": []byte(`{"device_id":"device_001","timestamp":"now","location":{"building":"A","floor":1,"room":"1"},"sensors":{}}`),
	}
}

// at is the place of a record.
type at struct {
	partition int32
	offset    int64
}

func poison(ctx context.Context, r *rig.Round) error {
	r.IgnoreInvalid(ofNoGateway)
	client, err := kgo.NewClient(kgo.SeedBrokers(r.Brokers()...), kgo.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	defer client.Close()
	sent := map[at]string{}
	kinds := sortedKeys(poisons())
	for i := range r.Times {
		if err := r.Moment(ctx, 50*time.Millisecond, 500*time.Millisecond); err != nil {
			return err
		}
		kind, device := kinds[i%len(kinds)], r.Device()
		rec := &kgo.Record{Topic: r.Topics.DeviceData, Key: []byte(device), Value: poisons()[kind]}
		if err := client.ProduceSync(ctx, rec).FirstErr(); err != nil {
			return fmt.Errorf("writing %s: %w", kind, err)
		}
		r.Happened()
		sent[at{rec.Partition, rec.Offset}] = kind
		took, err := freshOnScreen(ctx, r, device)
		if err != nil {
			return fmt.Errorf("after %s in the partition of %s: %w", kind, device, err)
		}
		r.Recovered(fmt.Sprintf("a reading of the same partition on the screen after %s", kind), took, 0)
	}
	r.AtEnd(func(ctx context.Context) error { return deadLetters(ctx, r, sent) })
	return nil
}

// ofNoGateway reports whether a record was written by the drill.
func ofNoGateway(rec *kgo.Record) bool {
	return kafkatest.Header(rec.Headers, wire.HeaderGateway) == ""
}

// deadLetters checks that each poisoned record was dead-lettered once.
func deadLetters(ctx context.Context, r *rig.Round, sent map[at]string) error {
	in, err := kafkatest.NewReader(r.Brokers(), r.Topics.DeadLetters)
	if err != nil {
		return err
	}
	defer in.Close()
	found := map[at]int{}
	each := func(rec *kgo.Record) error {
		if kafkatest.Header(rec.Headers, wire.HeaderTopic) != r.Topics.DeviceData {
			return nil
		}
		partition, err1 := strconv.ParseInt(kafkatest.Header(rec.Headers, wire.HeaderPartition), 10, 32)
		offset, err2 := strconv.ParseInt(kafkatest.Header(rec.Headers, wire.HeaderOffset), 10, 64)
		r.Check(err1 == nil && err2 == nil, "dead letter %d/%d does not name its origin", rec.Partition, rec.Offset)
		r.Check(kafkatest.Header(rec.Headers, wire.HeaderReason) != "", "dead letter %d/%d has no reason", rec.Partition, rec.Offset)
		found[at{int32(partition), offset}]++
		return nil
	}
	for range 3 { // again, to see duplicates
		limit, cancel := context.WithTimeout(ctx, rig.WaitTimeout)
		err := in.CatchUp(limit, each)
		cancel()
		if err != nil {
			return err
		}
		if err := rig.Sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	for where, kind := range sent {
		r.Check(found[where] == 1, "%s at %d/%d was dead-lettered %d times", kind, where.partition, where.offset, found[where])
	}
	for where := range found {
		r.Check(sent[where] != "", "the valid record at %d/%d was dead-lettered", where.partition, where.offset)
	}
	return nil
}

// freshOnScreen waits until a WebSocket client receives a reading that a device made after
// the call.
func freshOnScreen(ctx context.Context, r *rig.Round, device string) (time.Duration, error) {
	start := time.Now()
	limit, cancel := context.WithTimeout(ctx, rig.WaitTimeout)
	defer cancel()
	v, err := viewer.Dial(limit, r.WebSocketURL())
	if err != nil {
		return 0, err
	}
	end := sync.OnceFunc(func() { _ = v.Close() }) // it may have ended by itself
	defer end()
	unbind := context.AfterFunc(limit, end)
	defer unbind()
	if err := v.Subscribe(device); err != nil {
		return 0, err
	}
	for {
		m, err := v.Read()
		if err != nil {
			return 0, fmt.Errorf("waiting for a reading of %s: %w", device, err)
		}
		if m.Type != viewer.TypeReading {
			continue
		}
		if made, _, ok := peek(m.Payload); ok && made > start.UnixMilli() {
			return time.Since(start), nil
		}
	}
}
