package ingest

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// errRetryLater is the reason for disconnecting an MQTT 3 client.
var errRetryLater = errors.New("the gateway cannot accept the message now")

// mqttHook receives the events of the MQTT server. Its methods run on the goroutine that
// reads the client.
type mqttHook struct {
	mqtt.HookBase
	collector *Collector
	log       *slog.Logger
	stopping  chan struct{} // no more messages are accepted
	closing   chan struct{} // no more replies are sent
	stopOnce  sync.Once
	closeOnce sync.Once
}

func (h *mqttHook) stop()  { h.stopOnce.Do(func() { close(h.stopping) }) }
func (h *mqttHook) close() { h.closeOnce.Do(func() { close(h.closing) }) }

func (h *mqttHook) isStopping() bool {
	select {
	case <-h.stopping:
		return true
	default:
		return false
	}
}

// ID implements mqtt.Hook.
func (h *mqttHook) ID() string { return "ingest" }

// Provides implements mqtt.Hook.
func (h *mqttHook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnConnect, mqtt.OnDisconnect, mqtt.OnPublish:
		return true
	}
	return false
}

// allowed decides who may use MQTT: everybody.
func (h *mqttHook) allowed(*mqtt.Client) bool { return true }

// OnConnectAuthenticate implements mqtt.Hook.
func (h *mqttHook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	return h.allowed(cl)
}

// OnACLCheck implements mqtt.Hook.
func (h *mqttHook) OnACLCheck(cl *mqtt.Client, _ string, _ bool) bool { return h.allowed(cl) }

// OnConnect removes the will from the server, which would publish it to subscribers.
func (h *mqttHook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	c, ok := cl.Net.Conn.(*mqttConn)
	if !ok {
		return errors.New("unexpected connection type")
	}
	c.cl = cl
	if will := cl.Properties.Will; will.Flag != 0 {
		c.will = &will
		cl.Properties.Will = mqtt.Will{}
	}
	return nil
}

// OnDisconnect offers the will of a lost client to the collector, as QoS 0.
func (h *mqttHook) OnDisconnect(cl *mqtt.Client, err error, _ bool) {
	c, ok := cl.Net.Conn.(*mqttConn)
	if !ok || c.will == nil || err == nil || h.isStopping() {
		return
	}
	m := h.message(c, c.will.TopicName, c.will.Payload)
	_ = h.collector.Offer(m) // counted; the client is gone
}

// message validates a publish into the connection's message.
func (h *mqttHook) message(c *mqttConn, topic string, payload []byte) *Message {
	m := &c.msg
	m.Received = time.Now()
	m.Ticket = Ticket{Protocol: MQTT}
	if device, ok := wire.DeviceOfSubject(topic, '/'); ok {
		c.check.message(m, device, payload)
	} else {
		wrongTopic(m, topic, payload)
	}
	return m
}

// OnPublish offers a message to the collector. The server then ignores it
// (ErrRejectPacket: no acknowledgement, no subscribers, no change to the quotas) and
// Answer writes the PUBACK. Only QoS 2 continues with the server's own exchange, once
// the message is stored.
func (h *mqttHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c, ok := cl.Net.Conn.(*mqttConn)
	if !ok || h.isStopping() {
		return pk, packets.ErrRejectPacket
	}
	m := h.message(c, pk.TopicName, pk.Payload)
	switch pk.FixedHeader.Qos {
	case 0:
		_ = h.collector.Offer(m) // counted; QoS 0 has no reply
		return pk, packets.ErrRejectPacket
	case 1:
		m.Ticket.To, m.Ticket.Packet = c, pk.PacketID
		if r := h.collector.Offer(m); r != nil {
			c.Answer(&m.Ticket, 0, r)
		}
		return pk, packets.ErrRejectPacket
	default:
		return pk, h.exactlyOnce(c, m, pk.PacketID)
	}
}

// outcome is the arguments of Answer.
type outcome struct {
	seq uint64
	r   *telemetry.Refusal
}

// waiter is a Responder that one goroutine waits for.
type waiter chan outcome

// Answer implements Responder.
func (w waiter) Answer(_ *Ticket, seq uint64, r *telemetry.Refusal) { w <- outcome{seq, r} }

// exactlyOnce waits until a QoS 2 message is stored, then lets the server send the
// PUBREC. If the outcome stays unknown for writeTimeout, the client is disconnected.
func (h *mqttHook) exactlyOnce(c *mqttConn, m *Message, id uint16) error {
	w := make(waiter, 1)
	m.Ticket.To = w
	out := outcome{}
	if r := h.collector.Offer(m); r != nil {
		out.r = r
	} else {
		timeout := time.NewTimer(writeTimeout)
		defer timeout.Stop()
		select {
		case out = <-w:
		case <-timeout.C:
			c.cl.Stop(errRetryLater)
			return packets.ErrRejectPacket
		case <-h.closing:
			return packets.ErrRejectPacket
		}
	}
	if out.r == nil || (out.seq != 0 && c.cl.Properties.ProtocolVersion < 5) {
		return packets.CodeSuccessIgnore // PUBREC, no subscribers
	}
	c.refuse(packets.Pubrec, id, out.seq, out.r)
	return packets.ErrRejectPacket
}

// Answer implements Responder for QoS 1.
func (c *mqttConn) Answer(t *Ticket, seq uint64, r *telemetry.Refusal) {
	if r == nil || (seq != 0 && c.cl.Properties.ProtocolVersion < 5) {
		// A PUBACK without a reason code is the same four bytes in every version.
		_, _ = c.Write([]byte{packets.Puback << 4, 2, byte(t.Packet >> 8), byte(t.Packet)}) // a lost client resends
		return
	}
	c.refuse(packets.Puback, t.Packet, seq, r)
}

// refuse replies with a reason code in MQTT 5 and disconnects older clients.
func (c *mqttConn) refuse(ack byte, id uint16, seq uint64, r *telemetry.Refusal) {
	if c.cl.Properties.ProtocolVersion < 5 {
		c.cl.Stop(errRetryLater)
		return
	}
	code := packets.ErrPayloadFormatInvalid
	switch {
	case seq == 0:
		code = packets.ErrQuotaExceeded
	case r.Reason == telemetry.ReasonInvalidTopic:
		code = packets.ErrTopicNameInvalid
	}
	_ = c.cl.WritePacket(packets.Packet{ // a lost client resends
		FixedHeader: packets.FixedHeader{Type: ack},
		PacketID:    id,
		ReasonCode:  code.Code,
		Properties:  packets.Properties{ReasonString: r.Error()},
	})
}
