package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
)

const topic = "devices/device_001/telemetry"

// startMQTT runs an intake for the collector until the test ends.
func startMQTT(t *testing.T, c *Collector) *MQTTIntake {
	t.Helper()
	m, err := ListenMQTT(MQTTOptions{Addr: "127.0.0.1:0", Collector: c, Log: discard(), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	require.NoError(t, m.Serve())
	t.Cleanup(func() { require.NoError(t, m.Close(context.WithoutCancel(t.Context()))) })
	return m
}

func good() string { return string(sample("device_001")) }

// fails makes every Put fail with err until the returned function is called.
func (s *memStore) fails(err error) (stop func()) {
	set := func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.full = errors.Is(err, broker.ErrFull)
		s.put = func(context.Context, int) error { return err }
	}
	set(err)
	return func() { set(nil) }
}

// blockedCollector runs a collector whose store blocks until release is called.
func blockedCollector(t *testing.T) (c *Collector, release func()) {
	t.Helper()
	ch := make(chan struct{})
	store := &memStore{put: func(context.Context, int) error { <-ch; return nil }}
	c = runCollector(t, Options{Store: store, StallAfter: waitTimeout})
	release = sync.OnceFunc(func() { close(ch) })
	t.Cleanup(release)
	return c, release
}

func TestMQTTReadingIsStoredBeforeTheAcknowledgement(t *testing.T) {
	store := &memStore{keep: true}
	c := runCollector(t, Options{Store: store})
	m := startMQTT(t, c)
	subscriber := connectMQTT(t, m, 4, nil)
	subscriber.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1, Filters: packets.Subscriptions{{Filter: "#"}}})
	require.Equal(t, packets.Suback, subscriber.read().FixedHeader.Type)
	acknowledged := 0
	for _, version := range []byte{4, 5} {
		client := connectMQTT(t, m, version, nil)
		for id := uint16(1); id <= 3; id++ {
			client.publish(topic, 1, id<<7, good())
			require.Equal(t, id<<7, client.read().PacketID)
			acknowledged++
			require.GreaterOrEqual(t, store.readings(t), acknowledged)
			client.publish(topic, 2, 10+id, good())
			rec := client.read()
			require.Equal(t, packets.Pubrec, rec.FixedHeader.Type)
			acknowledged++
			require.GreaterOrEqual(t, store.readings(t), acknowledged)
			require.Zero(t, rec.ReasonCode)
			client.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: 10 + id})
			require.Equal(t, packets.Pubcomp, client.read().FixedHeader.Type)
		}
		client.publish(topic, 0, 0, good())
	}
	require.Eventually(t, func() bool { return c.Stats() == Stats{Accepted: 14, Unpromised: 2} }, waitTimeout, time.Millisecond)
	require.Equal(t, 14, store.readings(t))
	subscriber.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	require.Equal(t, packets.Pingresp, subscriber.read().FixedHeader.Type, "nothing is delivered to subscribers")
}

// readings returns the number of entries stored.
func (s *memStore) readings(t *testing.T) (n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.packs {
		_, all := entries(t, p)
		n += len(all)
	}
	return n
}

func TestWillIsStoredLikeQoS0(t *testing.T) {
	store := &memStore{keep: true}
	c := runCollector(t, Options{Store: store})
	m := startMQTT(t, c)
	will := func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte(good())
	}
	require.NoError(t, connectMQTT(t, m, 4, will).Close())
	require.Eventually(t, func() bool { return c.Stats() == Stats{Accepted: 1, Unpromised: 1} }, waitTimeout, time.Millisecond)
	_, all := entries(t, store.packs[0])
	require.Equal(t, good(), string(all[0].Payload))

	client := connectMQTT(t, m, 4, will)
	client.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	client.closed()
	require.EqualValues(t, 1, c.Stats().Unpromised, "DISCONNECT discards the will")

	client = connectMQTT(t, m, 4, will)
	m.StopIntake()
	require.NoError(t, client.Close())
	require.NoError(t, m.Close(t.Context()))
	require.EqualValues(t, 1, c.Stats().Unpromised, "a stop is no loss of the client")
}

func TestWillIsOfferedOnlyWhenItsClientIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		stopping bool
		want     int
	}{
		"lost":                {io.EOF, false, 1},
		"DISCONNECT":          {nil, false, 0},
		"lost during a stop":  {io.EOF, true, 0},
		"DISCONNECT and stop": {nil, true, 0},
	} {
		h := &mqttHook{collector: New(Options{Store: &memStore{}, Log: discard()}), stopping: make(chan struct{})}
		if c.stopping {
			h.stop()
		}
		conn := &mqttConn{will: &mqtt.Will{TopicName: topic, Payload: []byte(good())}}
		h.OnDisconnect(&mqtt.Client{Net: mqtt.ClientConnection{Conn: conn}}, c.err, false)
		require.Equal(t, c.want, h.collector.open.b.Count(), name)
	}
}

func TestMQTT5GetsReasonCodes(t *testing.T) {
	store := &memStore{}
	m := startMQTT(t, runCollector(t, Options{Store: store}))
	five, four := connectMQTT(t, m, 5, nil), connectMQTT(t, m, 4, nil)
	tests := []struct {
		topic, payload string
		code           byte
	}{
		{topic, good(), 0},
		{topic, "bad", packets.ErrPayloadFormatInvalid.Code},
		{"elsewhere", good(), packets.ErrTopicNameInvalid.Code},
	}
	for i, tt := range tests {
		for qos := range byte(2) {
			id := uint16(2*i+int(qos)) + 1
			five.publish(tt.topic, qos+1, id, tt.payload)
			ack := five.read()
			require.Equal(t, []byte{packets.Puback, packets.Pubrec}[qos], ack.FixedHeader.Type)
			require.Equal(t, id, ack.PacketID)
			require.Equal(t, tt.code, ack.ReasonCode)
			require.Equal(t, tt.code != 0, ack.Properties.ReasonString != "")

			four.publish(tt.topic, qos+1, id, tt.payload)
			require.Equal(t, id, four.read().PacketID, "MQTT 3 has no reason codes: a dead letter is acknowledged")
		}
	}
	require.Equal(t, 12, store.count())
}

func TestMQTTLimitsAreAnnounced(t *testing.T) {
	m := startMQTT(t, runCollector(t, Options{Store: &memStore{}}))
	p := connectMQTT(t, m, 5, nil).connack.Properties
	require.EqualValues(t, 16<<10, p.ReceiveMaximum)
	client := connectMQTT(t, m, 5, func(pk *packets.Packet) {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 48*3600, true
	})
	require.EqualValues(t, 24*3600, client.connack.Properties.SessionExpiryInterval, "a session is kept for a day")
	client.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, PacketID: 1, TopicName: topic, Payload: []byte(good())})
	require.Zero(t, client.read().ReasonCode, "the retain flag is ignored")
}

func TestTooLargeMQTTPacketEndsTheConnection(t *testing.T) {
	m := startMQTT(t, runCollector(t, Options{Store: &memStore{}}))
	client := connectMQTT(t, m, 4, nil)
	header := packets.FixedHeader{Type: packets.Publish, Remaining: broker.MaxPayload + 1}
	var buf bytes.Buffer
	header.Encode(&buf)
	_, err := client.Write(buf.Bytes())
	require.NoError(t, err)
	client.closed() // without waiting for the payload
}

func TestMQTTClientsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := runCollector(t, Options{Store: &memStore{}})
	m, err := ListenMQTT(MQTTOptions{Addr: "127.0.0.1:0", Collector: c, Log: discard(), Registerer: reg})
	require.NoError(t, err)
	require.NoError(t, m.Serve())
	t.Cleanup(func() { require.NoError(t, m.Close(context.WithoutCancel(t.Context()))) })
	clients := func() float64 {
		families, err := reg.Gather()
		require.NoError(t, err)
		require.Equal(t, "edge_mqtt_clients", families[0].GetName())
		return families[0].GetMetric()[0].GetGauge().GetValue()
	}
	require.Zero(t, clients())
	first := connectMQTT(t, m, 4, nil)
	connectMQTT(t, m, 5, nil)
	require.Eventually(t, func() bool { return clients() == 2 }, waitTimeout, time.Millisecond)
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return clients() == 1 }, waitTimeout, time.Millisecond)
}

// The server has one listener. A client of any other could not be answered.
func TestClientOfAnotherListenerIsRefused(t *testing.T) {
	store := &memStore{}
	h := &mqttHook{collector: New(Options{Store: store, Log: discard()}), stopping: make(chan struct{})}
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	cl := &mqtt.Client{Net: mqtt.ClientConnection{Conn: ours}}
	require.Error(t, h.OnConnect(cl, packets.Packet{}))
	_, err := h.OnPublish(cl, packets.Packet{TopicName: topic, Payload: []byte(good())})
	require.ErrorIs(t, err, packets.ErrRejectPacket)
	h.OnDisconnect(cl, errors.New("lost"), false)
	require.Zero(t, h.collector.open.b.Count())
}

func TestCloseOfTheMQTTIntakeWaitsForQueuedReplies(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := New(Options{Store: &memStore{}, Log: discard()})
			m, err := ListenMQTT(MQTTOptions{Addr: "127.0.0.1:0", Collector: c, Log: discard()})
			require.NoError(t, err)
			m.served.Store(true)
			sent := make(chan struct{})
			m.ln.writers.Go(func() { <-sent })
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- m.Close(ctx) }()
			synctest.Wait()
			require.Empty(t, done)
			if late {
				cancel()
				require.ErrorIs(t, <-done, context.Canceled)
				close(sent)
				return
			}
			close(sent)
			require.NoError(t, <-done)
			cancel()
		})
	}
}

// MQTT 5 clients get a reason code, older ones are disconnected.
func TestFullBufferByMQTTVersion(t *testing.T) {
	store := &memStore{}
	c := runCollector(t, Options{Store: store, RetryEvery: time.Millisecond})
	m := startMQTT(t, c)
	five := connectMQTT(t, m, 5, nil)
	hasRoom := store.fails(fmt.Errorf("%w: test", broker.ErrFull))
	// The first message is refused by the failed write, the others by Offer.
	for id := uint16(1); id <= 3; id++ {
		for qos := byte(1); qos <= 2; qos++ {
			five.publish(topic, qos, id, good())
			ack := five.read()
			require.Equal(t, packets.ErrQuotaExceeded.Code, ack.ReasonCode)
			require.Equal(t, id, ack.PacketID)
			require.Contains(t, ack.Properties.ReasonString, bufferIsFull)
		}
	}
	for qos := byte(1); qos <= 2; qos++ {
		four := connectMQTT(t, m, 4, nil)
		four.publish(topic, qos, 1, good())
		four.closed()
	}
	require.Zero(t, store.count())
	hasRoom()
	require.Eventually(t, func() bool { return c.Refusing() == nil }, waitTimeout, time.Millisecond)
	five.publish(topic, 1, 9, good())
	require.Zero(t, five.read().ReasonCode)
}

// The replies in flight are sent, later messages are neither stored nor acknowledged, and
// a QoS 2 client whose message is still being stored does not block the stop.
func TestStopOfTheMQTTIntake(t *testing.T) {
	c, release := blockedCollector(t)
	m := startMQTT(t, c)
	one, two, late := connectMQTT(t, m, 4, nil), connectMQTT(t, m, 4, nil), connectMQTT(t, m, 4, nil)
	one.publish(topic, 1, 1, good())
	require.Eventually(t, func() bool { return !c.Waiting().IsZero() }, waitTimeout, time.Millisecond)
	two.publish(topic, 2, 1, good())
	require.Eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.open.b.Count() == 1 }, waitTimeout, time.Millisecond)

	m.StopIntake()
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", m.Addr().String())
	require.Error(t, err)
	for qos := byte(0); qos <= 2; qos++ {
		late.publish(topic, qos, 1+uint16(qos), good())
	}
	require.NoError(t, m.Close(t.Context()))
	late.closed()
	two.closed()
	release()
	require.Eventually(t, func() bool { return c.Stats().Accepted == 2 }, waitTimeout, time.Millisecond)
	require.NoError(t, m.Close(t.Context()), "a second call does nothing")
}

func TestReplyOfTheLastPackArrivesBeforeTheMQTTServerCloses(t *testing.T) {
	c, release := blockedCollector(t)
	m := startMQTT(t, c)
	client := connectMQTT(t, m, 4, nil)
	client.publish(topic, 1, 7, good())
	require.Eventually(t, func() bool { return !c.Waiting().IsZero() }, waitTimeout, time.Millisecond)
	m.StopIntake()
	release()
	require.Eventually(t, func() bool { return c.Waiting().IsZero() }, waitTimeout, time.Millisecond)
	require.NoError(t, m.Close(t.Context()))
	require.EqualValues(t, 7, client.read().PacketID)
	client.closed()
}

// A QoS 2 message waits for its outcome until the stop, and at most writeTimeout.
func TestWaitOfAQoS2MessageIsBounded(t *testing.T) {
	for _, stop := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := &mqttHook{collector: New(Options{Store: &memStore{}, Log: discard()}), closing: make(chan struct{})}
			c := &mqttConn{cl: &mqtt.Client{}}
			done := make(chan error, 1)
			go func() { done <- h.exactlyOnce(c, message(nil, 1, "r"), 1) }()
			synctest.Wait()
			if stop {
				h.close()
			} else {
				pass(writeTimeout)
			}
			synctest.Wait()
			require.Len(t, done, 1)
			require.ErrorIs(t, <-done, packets.ErrRejectPacket)
			require.Equal(t, !stop, errors.Is(c.cl.StopCause(), errRetryLater))
		})
	}
}

func TestMQTTIntakeThatNeverServed(t *testing.T) {
	c := New(Options{Store: &memStore{}, Log: discard()})
	m, err := ListenMQTT(MQTTOptions{Addr: "127.0.0.1:0", Collector: c, Log: discard()})
	require.NoError(t, err)
	_, err = ListenMQTT(MQTTOptions{Addr: m.Addr().String(), Collector: c, Log: discard()})
	require.ErrorContains(t, err, "EDGE_MQTT_ADDR="+m.Addr().String())
	require.NoError(t, m.Close(t.Context()))
	_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", m.Addr().String())
	require.Error(t, err, "the port is released")
}

func TestOnlyErrorsOfTheMQTTServerAreLogged(t *testing.T) {
	var out strings.Builder
	log := slog.New(quietHandler{slog.NewTextHandler(&out, nil)}).With("a", 1).WithGroup("g")
	log.Warn("client gone")
	require.Empty(t, out.String())
	log.Error("broken", "b", 2)
	require.Contains(t, out.String(), "a=1 g.b=2")
	silent := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError + 1})
	require.False(t, quietHandler{silent}.Enabled(t.Context(), slog.LevelError))
}

// rawClient speaks MQTT packet by packet.
type rawClient struct {
	net.Conn
	t       *testing.T
	version byte
	connack packets.Packet
	r       *bufio.Reader
}

func connectMQTT(t *testing.T, m *MQTTIntake, version byte, change func(*packets.Packet)) *rawClient {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", m.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	c := &rawClient{Conn: conn, t: t, version: version, r: bufio.NewReader(conn)}
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60, ClientIdentifier: strings.ReplaceAll(fmt.Sprint(conn.LocalAddr()), ":", "-")},
	}
	if change != nil {
		change(&pk)
	}
	c.send(pk)
	c.connack = c.read()
	require.Equal(t, packets.Connack, c.connack.FixedHeader.Type)
	return c
}

func (c *rawClient) publish(topic string, qos byte, id uint16, payload string) {
	c.t.Helper()
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, PacketID: id, TopicName: topic, Payload: []byte(payload)})
}

// closed waits until the server closes the connection, without another packet than
// DISCONNECT, which the server also sends to MQTT 3 clients when it stops.
func (c *rawClient) closed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded)
	if len(rest) > 0 {
		require.Equal(c.t, packets.Disconnect, rest[0]>>4, "% x", rest)
	}
}

func (c *rawClient) send(pk packets.Packet) {
	c.t.Helper()
	pk.ProtocolVersion = c.version
	var buf bytes.Buffer
	encode := map[byte]func(*bytes.Buffer) error{
		packets.Connect: pk.ConnectEncode, packets.Publish: pk.PublishEncode, packets.Disconnect: pk.DisconnectEncode,
		packets.Pubrel: pk.PubrelEncode, packets.Subscribe: pk.SubscribeEncode, packets.Pingreq: pk.PingreqEncode,
	}[pk.FixedHeader.Type]
	require.NoError(c.t, encode(&buf))
	_, err := c.Write(buf.Bytes())
	require.NoError(c.t, err)
}

func (c *rawClient) read() packets.Packet {
	c.t.Helper()
	head, err := c.r.ReadByte()
	require.NoError(c.t, err)
	pk := packets.Packet{ProtocolVersion: c.version}
	require.NoError(c.t, pk.FixedHeader.Decode(head))
	n, _, err := packets.DecodeLength(c.r)
	require.NoError(c.t, err)
	pk.FixedHeader.Remaining = n
	body := make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	require.NoError(c.t, err)
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Pubrec:
		err = pk.PubrecDecode(body)
	case packets.Pubcomp:
		err = pk.PubcompDecode(body)
	}
	require.NoError(c.t, err)
	return pk
}
