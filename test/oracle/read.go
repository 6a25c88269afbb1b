package oracle

import (
	"context"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Decode reads a device-data record. A value that is no reading, or whose device_id is not
// the record's key, is an error.
func Decode(r *kgo.Record) (Record, error) {
	var reading telemetry.Reading
	if err := wire.DecodeReading(r.Value, &reading, nil); err != nil {
		return Record{}, fmt.Errorf("record %d/%d: %w", r.Partition, r.Offset, err)
	}
	if string(r.Key) != reading.DeviceID {
		return Record{}, fmt.Errorf("record %d/%d: key %q, device_id %q", r.Partition, r.Offset, r.Key, reading.DeviceID)
	}
	seq, err := strconv.ParseUint(kafkatest.Header(r.Headers, wire.HeaderSeq), 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("record %d/%d: header %s: %w", r.Partition, r.Offset, wire.HeaderSeq, err)
	}
	index, err := strconv.ParseUint(kafkatest.Header(r.Headers, wire.HeaderIndex), 10, 32)
	if err != nil {
		return Record{}, fmt.Errorf("record %d/%d: header %s: %w", r.Partition, r.Offset, wire.HeaderIndex, err)
	}
	return Record{
		Device: string(r.Key), Timestamp: reading.Timestamp, Partition: r.Partition, Offset: r.Offset,
		Origin: Origin{kafkatest.Header(r.Headers, wire.HeaderGateway), kafkatest.Header(r.Headers, wire.HeaderEpoch), seq, uint32(index)},
	}, nil
}

// Read adds every committed record of a device-data topic.
func (o *Oracle) Read(ctx context.Context, brokers []string, topic string) error {
	return Read(ctx, brokers, topic, func(rec *kgo.Record) error {
		x, err := Decode(rec)
		if err == nil {
			o.Stored(x)
		}
		return err
	})
}

// Read calls each for every committed record of a topic.
func Read(ctx context.Context, brokers []string, topic string, each func(*kgo.Record) error) error {
	r, err := kafkatest.NewReader(brokers, topic)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.CatchUp(ctx, each)
}
