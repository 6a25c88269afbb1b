package ingest

import (
	"errors"
	"fmt"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// keptBytes is how much of a message a dead letter keeps.
const keptBytes = wire.MaxReadingBytes

// keptNameBytes is how much of an invalid device id or topic is kept.
const keptNameBytes = telemetry.MaxDeviceIDBytes

// validator checks messages. It reuses one reading for all of them, so it is for one
// goroutine.
type validator struct{ reading telemetry.Reading }

// message validates a payload published as device and sets device, payload and refusal
// of m.
func (v *validator) message(m *Message, device string, payload []byte) {
	m.Device, m.Payload, m.Refusal = device, payload, nil
	err := wire.DecodeReading(payload, &v.reading, nil)
	switch {
	case err != nil:
		m.Refusal = asRefusal(err)
	case v.reading.DeviceID != device && !telemetry.ValidDeviceID(device):
		m.Refusal = &telemetry.Refusal{
			Reason:  telemetry.ReasonInvalidDevice,
			Message: fmt.Sprintf("published as device %q; want 1 to %d of A-Z a-z 0-9 _ -", clip(device), telemetry.MaxDeviceIDBytes),
		}
	case v.reading.DeviceID != device:
		m.Refusal = &telemetry.Refusal{
			Reason: telemetry.ReasonDeviceMismatch, Field: "device_id",
			Message: fmt.Sprintf("%q in the body, %q in the subject or topic; want the same", v.reading.DeviceID, clip(device)),
		}
	default:
		return
	}
	m.clip()
}

// wrongTopic refuses a message that was not published as a reading.
func wrongTopic(m *Message, topic string, payload []byte) {
	m.Device, m.Payload = "", payload
	m.Refusal = &telemetry.Refusal{
		Reason:  telemetry.ReasonInvalidTopic,
		Message: fmt.Sprintf("published to %q; readings go to %s", clip(topic), wire.TelemetryTopic("<device_id>")),
	}
	m.clip()
}

// clip cuts a dead letter to a size that every later stage can carry.
func (m *Message) clip() {
	m.Device = clip(m.Device)
	if len(m.Payload) > keptBytes {
		m.Payload = m.Payload[:keptBytes]
		m.Refusal.Message += fmt.Sprintf(" (the first %d bytes are kept)", keptBytes)
	}
}

func clip(s string) string {
	if len(s) > keptNameBytes {
		s = s[:keptNameBytes]
	}
	return strings.ToValidUTF8(s, "?")
}

func asRefusal(err error) *telemetry.Refusal {
	if r, ok := errors.AsType[*telemetry.Refusal](err); ok {
		return r
	}
	return &telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Message: err.Error()}
}
