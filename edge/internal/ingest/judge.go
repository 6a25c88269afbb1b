package ingest

import (
	"errors"
	"fmt"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// keptBytes is how much of a message that is too large is kept as a dead letter.
const keptBytes = wire.MaxReadingBytes

// keptNameBytes is how much of a device id or topic that breaks the rules is kept.
const keptNameBytes = telemetry.MaxDeviceIDBytes

// judge decides about messages. It is for one goroutine: it decodes into a reading of
// its own, again and again.
type judge struct{ reading telemetry.Reading }

// judge checks a message published under the name of device and fills what m says
// about it: device, payload, refusal.
func (j *judge) judge(m *Message, device string, payload []byte) {
	m.Device, m.Payload, m.Refusal = device, payload, nil
	err := wire.DecodeReading(payload, &j.reading, nil)
	switch {
	case err != nil:
		m.Refusal = asRefusal(err)
	case j.reading.DeviceID != device && !telemetry.ValidDeviceID(device):
		m.Refusal = &telemetry.Refusal{
			Reason:  telemetry.ReasonInvalidDevice,
			Message: fmt.Sprintf("published as device %q; want 1 to %d of A-Z a-z 0-9 _ -", clip(device), telemetry.MaxDeviceIDBytes),
		}
	case j.reading.DeviceID != device:
		m.Refusal = &telemetry.Refusal{
			Reason: telemetry.ReasonDeviceMismatch, Field: "device_id",
			Message: fmt.Sprintf("%q in the body, %q in the subject or topic; want the same", j.reading.DeviceID, clip(device)),
		}
	default:
		return
	}
	m.clip()
}

// wrongTopic is the judgement about a message that was not published as a reading.
func wrongTopic(m *Message, topic string, payload []byte) {
	m.Device, m.Payload = "", payload
	m.Refusal = &telemetry.Refusal{
		Reason:  telemetry.ReasonInvalidTopic,
		Message: fmt.Sprintf("published to %q; readings go to %s", clip(topic), wire.TelemetryTopic("<device_id>")),
	}
	m.clip()
}

// clip cuts what a dead letter keeps to a size that every stage behind can carry.
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
