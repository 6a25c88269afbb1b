// Package validate decides whether a record of device-data is a reading that the other
// stages may trust. Gateways validate too, but anybody who may write to the topic can
// write anything. It does no I/O and nothing in it blocks.
package validate

import (
	"errors"
	"fmt"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// MaxAhead is how far a reading's own time may lie ahead of the time it was received.
const MaxAhead = 10 * time.Minute

// Record is a record of device-data as it was read.
type Record struct {
	Key, Value []byte
	Received   int64 // ms since 1970, when the gateway took the message, by its clock
	Written    int64 // ms since 1970, when the record was written to Kafka
}

// Check decodes rec into r and fills l. It returns nil for a reading, else why the
// record is none. The key must be the reading's device, because key and partition are
// what keeps a device's readings in order.
//
// A timestamp may be up to MaxAhead later than the gateway's receive time. A gateway
// whose clock is behind must not cost a whole building its alarms, so the time the
// record was written counts too: the later of the two is the reference.
func Check(rec Record, r *telemetry.Reading, l *wire.Layout) *telemetry.Refusal {
	if err := wire.DecodeReading(rec.Value, r, l); err != nil {
		return refusalOf(err)
	}
	if string(rec.Key) != r.DeviceID {
		return &telemetry.Refusal{
			Reason: telemetry.ReasonDeviceMismatch, Field: "device_id",
			Message: fmt.Sprintf("is %q but the record's key is %q", r.DeviceID, clip(rec.Key)),
		}
	}
	reference := max(rec.Received, rec.Written)
	if ahead := r.Timestamp - reference; ahead > MaxAhead.Milliseconds() {
		return &telemetry.Refusal{
			Reason: telemetry.ReasonInvalidTimestamp, Field: "timestamp",
			Message: fmt.Sprintf("%d is %s ahead of the time it was received; want at most %s",
				r.Timestamp, (time.Duration(ahead) * time.Millisecond).Round(time.Second), MaxAhead),
		}
	}
	return nil
}

func refusalOf(err error) *telemetry.Refusal {
	if refusal, ok := errors.AsType[*telemetry.Refusal](err); ok {
		return refusal
	}
	return &telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Message: err.Error()}
}

// clip keeps a message short whatever the key is.
func clip(key []byte) []byte {
	return key[:min(len(key), telemetry.MaxDeviceIDBytes)]
}
