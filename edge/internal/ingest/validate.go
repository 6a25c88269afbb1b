package ingest

import (
	"errors"
	"fmt"
	"strings"

	"industrial-iot-monitor/edge/internal/mapping"
	"industrial-iot-monitor/edge/internal/resend"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// keptBytes is how much of a message a dead letter keeps, keptBatchBytes how much of a batch.
const (
	keptBytes      = wire.MaxReadingBytes
	keptBatchBytes = wire.MaxBatchBytes
)

// keptNameBytes is how much of an invalid device id or topic is kept.
const keptNameBytes = telemetry.MaxDeviceIDBytes

// validator checks messages. It reuses one reading for all of them, so it is for one
// goroutine.
type validator struct {
	reading  telemetry.Reading
	elements [][]byte // of the newest batch
	mapped   *mapping.Result

	// sender is the device that has proved to be the sender, empty if none has; may reports whether it may publish
	// readings of a device, nil: of every one.
	sender string
	may    func(device string) bool
}

// accept validates a payload published by a sender, compressed with an encoding if that is not
// empty, and sets what the message holds: one reading, or many.
func (v *validator) accept(m *Message, from wire.Sender, payload []byte, encoding string) {
	plain := payload
	if m.Refusal = nil; encoding != "" {
		plain, m.Refusal = unpack(payload, encoding)
	}
	if m.Refusal == nil && from.Concentrator && !telemetry.ValidDeviceID(from.ID) {
		m.Refusal = &telemetry.Refusal{
			Reason:  telemetry.ReasonInvalidDevice,
			Message: fmt.Sprintf("published as concentrator %q; want 1 to %d of A-Z a-z 0-9 _ -", clip(from.ID), telemetry.MaxDeviceIDBytes),
		}
	}
	m.Ticket.Batch = nil
	if r := v.foreign(from); r != nil {
		m.Refusal, from = r, wire.Sender{ID: v.sender} // not a word under the name of another
	}
	if m.Refusal != nil {
		v.refuse(m, from, payload)
		return
	}
	if from.Concentrator || wire.IsArray(plain) {
		v.batch(m, from, plain)
	} else {
		v.message(m, from.ID, plain)
		if m.Refusal != nil && wire.IsLines(plain) {
			v.batch(m, from, plain)
		}
	}
	m.identify(from, plain)
}

// foreign refuses a topic that belongs to another sender.
func (v *validator) foreign(from wire.Sender) *telemetry.Refusal {
	switch {
	case v.may == nil || from.Concentrator && from.ID == v.sender || !from.Concentrator && v.may(from.ID):
		return nil
	case from.Concentrator:
		return &telemetry.Refusal{
			Reason:  telemetry.ReasonNotAllowed,
			Message: fmt.Sprintf("published as concentrator %q by %q; want its own name", clip(from.ID), v.sender),
		}
	}
	return v.notAllowed(from.ID)
}

// notAllowed refuses a reading of a device that the sender may not publish for.
func (v *validator) notAllowed(device string) *telemetry.Refusal {
	return &telemetry.Refusal{
		Reason:  telemetry.ReasonNotAllowed,
		Message: fmt.Sprintf("a reading of device %q by %q, which may not publish for it; see edge device list", clip(device), v.sender),
	}
}

// refuse sets what the message holds to a dead letter with m.Refusal.
func (v *validator) refuse(m *Message, from wire.Sender, payload []byte) {
	m.Device, m.Payload, m.Ticket.Batch = from.ID, payload, nil
	if from.Concentrator {
		m.Device = ""
	}
	m.clip(keptBatchBytes)
	m.identify(from, payload)
}

// message validates a payload published as device and sets device, payload and refusal
// of m.
func (v *validator) message(m *Message, device string, payload []byte) {
	m.Device, m.Payload, m.Refusal = device, payload, v.check(device, payload)
	if m.Refusal != nil {
		m.clip(keptBytes)
	}
}

// check validates one reading published as device, or by a concentrator if that is empty.
func (v *validator) check(device string, payload []byte) *telemetry.Refusal {
	err := wire.DecodeReading(payload, &v.reading, nil)
	switch {
	case err != nil:
		return asRefusal(err)
	case device == "" || v.reading.DeviceID == device:
		return nil
	case !telemetry.ValidDeviceID(device):
		return &telemetry.Refusal{
			Reason:  telemetry.ReasonInvalidDevice,
			Message: fmt.Sprintf("published as device %q; want 1 to %d of A-Z a-z 0-9 _ -", clip(device), telemetry.MaxDeviceIDBytes),
		}
	}
	return &telemetry.Refusal{
		Reason: telemetry.ReasonDeviceMismatch, Field: "device_id",
		Message: fmt.Sprintf("%q in the body, %q in the subject or topic; want the same", v.reading.DeviceID, clip(device)),
	}
}

// wrongTopic refuses a message that was not published as a reading.
func wrongTopic(m *Message, topic string, payload []byte) {
	m.Device, m.Payload, m.identity = "", payload, resend.Message{}
	m.Refusal = &telemetry.Refusal{
		Reason:  telemetry.ReasonInvalidTopic,
		Message: fmt.Sprintf("published to %q; readings go to %s, other messages need a mapping", clip(topic), wire.TelemetryTopic("<device_id>")),
	}
	m.clip(keptBytes)
}

// clip cuts a dead letter to a size that every later stage can carry.
func (m *Message) clip(keep int) {
	m.Device = clip(m.Device)
	if len(m.Payload) > keep {
		m.Payload = m.Payload[:keep]
		m.Refusal.Message += fmt.Sprintf(" (the first %d bytes are kept)", keep)
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
