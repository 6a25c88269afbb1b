// Package intake turns records of device-data into readings that the other stages may
// trust. Gateways check readings too, but anyone with access to the topic can write
// anything. It does no I/O and nothing in it blocks.
package intake

import (
	"errors"
	"fmt"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Intake accepts one record at a time and reuses its buffers. It is not safe for
// concurrent use.
type Intake struct {
	// Limits set the statuses; nil leaves them as the devices sent them. They do not change.
	Limits Limits
	// Sensors is the catalogue by which units are converted; nil leaves values and units as
	// the devices sent them. The owner may change it between two records.
	Sensors *sensors.Catalogue
	// Unknown are the kinds of the last reading's sensors whose units are unknown, valid
	// until the next one.
	Unknown []*sensors.Kind
	// Reading is the reading of the last record accepted, valid until the next one.
	Reading telemetry.Reading

	kinds   kinds
	layout  wire.Layout
	changes []wire.SensorChange
	scratch []byte
}

// Accept decodes and checks a record that came from o and returns value with numbers in
// the units of the catalogue and the statuses that the limits give, valid until the next
// call. Every other byte stays as the device sent it. For a record that is no reading it
// returns the refusal instead. Then place the reading in time: Origin.Place.
//
// The key must be the reading's device, because key and partition keep a device's
// readings in order. Whatever a wrong clock can show is accepted as a timestamp: see
// telemetry.ValidDeviceTimestamp.
func (in *Intake) Accept(key, value []byte, o *Origin) (payload []byte, refusal *telemetry.Refusal) {
	r := &in.Reading
	if err := wire.DecodeReading(value, r, &in.layout); err != nil {
		return nil, refusalOf(err)
	}
	if string(key) != r.DeviceID {
		return nil, &telemetry.Refusal{
			Reason: telemetry.ReasonDeviceMismatch, Field: "device_id",
			Message: fmt.Sprintf("is %q but the record's key is %q", r.DeviceID, clip(key)),
		}
	}
	if o.Received == 0 {
		o.Received = o.Written
	}
	in.settle()
	if len(in.changes) == 0 {
		return value, nil
	}
	in.scratch = wire.AppendChanged(in.scratch[:0], value, &in.layout, in.changes)
	return in.scratch, nil
}

func refusalOf(err error) *telemetry.Refusal {
	if refusal, ok := errors.AsType[*telemetry.Refusal](err); ok {
		return refusal
	}
	return &telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Message: err.Error()}
}

// clip bounds the part of a key that a message quotes.
func clip(key []byte) []byte {
	return key[:min(len(key), telemetry.MaxDeviceIDBytes)]
}
