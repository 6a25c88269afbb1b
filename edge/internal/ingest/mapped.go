package ingest

import (
	"slices"
	"time"

	"industrial-iot-monitor/edge/internal/mapping"
	"industrial-iot-monitor/edge/internal/resend"
)

// Mapper turns messages in other formats into readings.
type Mapper interface {
	// Map returns what a message gives, nil if there is no mapping for its topic. The result
	// is valid until its Release.
	Map(levels mapping.Levels, topic string, payload []byte, received time.Time) *mapping.Result
	// Subjects returns the NATS subjects that have a mapping, and a channel that is closed
	// when others have.
	Subjects() (subjects []string, changed <-chan struct{})
}

// other sets what a message holds that was not published as a reading of the contract, and
// reports whether its topic has a mapping. Of a mapped message the readings are entries; what
// maps to nothing is a dead letter with the original bytes. The caller calls release once the
// message is offered.
func (v *validator) other(m *Message, mapper Mapper, levels mapping.Levels, topic string, payload []byte, encoding string) bool {
	m.Device, m.Payload, m.Refusal, m.Ticket.Batch, m.identity = "", payload, nil, nil, resend.Message{}
	if mapper == nil {
		return false
	}
	plain := payload
	if encoding != "" {
		if plain, m.Refusal = unpack(payload, encoding); m.Refusal != nil {
			m.clip(keptBatchBytes)
			return true
		}
	}
	r := mapper.Map(levels, topic, plain, m.Received)
	if r == nil {
		return false
	}
	v.mapped = r
	if len(r.Readings) == 0 && r.Refusal != nil {
		m.Refusal = r.Refusal
		m.clip(keptBatchBytes)
		return true
	}
	if i := slices.IndexFunc(r.Readings, func(d mapping.Reading) bool { return v.may != nil && !v.may(d.Device) }); i >= 0 {
		m.Refusal = v.notAllowed(r.Readings[i].Device)
		m.clip(keptBatchBytes)
		return true
	}
	m.Batch()
	for i := range r.Readings {
		m.Add(r.Readings[i].Device, r.Readings[i].Payload, nil, r.Mapping)
	}
	if r.Refusal != nil {
		rest := Message{Payload: payload, Refusal: r.Refusal}
		rest.clip(keptBatchBytes)
		m.Add("", rest.Payload, rest.Refusal, r.Mapping)
	}
	// The same message again is a resend if it says its time or has an id. A bare value that
	// comes again is a new one.
	if m.ID != "" || r.Timed {
		m.Identify(resend.Topic(topic), payload)
	}
	return true
}

// release gives the memory of a mapped message back.
func (v *validator) release() {
	if v.mapped != nil {
		v.mapped.Release()
		v.mapped = nil
	}
}
