package ingest

import (
	"time"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/mapping"
	"industrial-iot-monitor/edge/internal/mqtt"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// mqttSender offers the messages of one MQTT client to the collector. It is the Responder
// of QoS 1; twice is that of QoS 2.
type mqttSender struct {
	collector *Collector
	mapper    Mapper
	client    *mqtt.Client
	twice     qos2
	check     validator
	msg       Message
}

func newMQTTSender(c *Collector, m Mapper, client *mqtt.Client) *mqttSender {
	s := &mqttSender{collector: c, mapper: m, client: client}
	s.twice.s = s
	if pass, ok := client.Identity().(*devices.Pass); ok {
		s.check.sender, s.check.may = pass.Device(), pass.MayPublish
	}
	return s
}

// Publish implements mqtt.Receiver.
func (s *mqttSender) Publish(p *mqtt.Publish) {
	m := &s.msg
	m.Received = time.Now()
	m.ID, m.ContentType, m.asked = p.MessageID, p.ContentType, s.collector.askedBy(p.TraceParent, p.TraceState)
	m.Ticket = Ticket{Protocol: MQTT, Packet: p.ID}
	switch p.QoS {
	case 1:
		m.Ticket.To = s
	case 2:
		m.Ticket.To = &s.twice
	}
	if from, ok := wire.SenderOfSubject(p.Topic, '/'); ok {
		s.check.accept(m, from, p.Payload, contentEncoding(m.ContentType))
	} else if !s.check.other(m, s.mapper, mapping.Topics, p.Topic, p.Payload, contentEncoding(m.ContentType)) {
		wrongTopic(m, p.Topic, p.Payload)
	}
	defer s.check.release()
	if r := s.collector.Offer(m); r != nil && p.QoS > 0 { // a refused QoS 0 message is counted
		m.Ticket.To.Answer(&m.Ticket, 0, r)
	}
}

// Answer implements Responder for QoS 1.
func (s *mqttSender) Answer(t *Ticket, seq uint64, r *telemetry.Refusal) { s.answer(1, t, seq, r) }

// qos2 is the Responder of a client's QoS 2 messages.
type qos2 struct{ s *mqttSender }

// Answer implements Responder.
func (q *qos2) Answer(t *Ticket, seq uint64, r *telemetry.Refusal) { q.s.answer(2, t, seq, r) }

// answer acknowledges a stored message. MQTT 3 has no code for a dead letter: it is
// acknowledged like a reading, since a resend cannot help.
func (s *mqttSender) answer(qos byte, t *Ticket, seq uint64, r *telemetry.Refusal) {
	if r == nil || seq != 0 && s.client.Version() < 5 {
		s.client.Answer(qos, t.Packet, mqtt.Success, t.Batch.describe())
		return
	}
	code := mqtt.PayloadFormatInvalid
	switch {
	case seq == 0:
		code = mqtt.QuotaExceeded
	case r.Reason == telemetry.ReasonInvalidTopic:
		code = mqtt.TopicNameInvalid
	case r.Reason == telemetry.ReasonNotAllowed:
		code = mqtt.NotAuthorized
	}
	s.client.Answer(qos, t.Packet, code, r.Error())
}
