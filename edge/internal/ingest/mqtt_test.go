package ingest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/mqtt"
	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
)

const topic = "devices/device_001/telemetry"

// startMQTT runs an intake for the collector until the test ends.
func startMQTT(t *testing.T, c *Collector) *MQTTIntake {
	t.Helper()
	m, err := ListenMQTT(MQTTOptions{Addr: "127.0.0.1:0", Collector: c, Log: discard(), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	m.Serve()
	t.Cleanup(func() { require.NoError(t, m.Close(context.WithoutCancel(t.Context()))) })
	return m
}

// connectMQTT connects a client that speaks packet by packet.
func connectMQTT(t *testing.T, m *MQTTIntake, version byte, change func(*packets.Packet)) *mqtttest.Client {
	t.Helper()
	return mqtttest.Connect(t, m.Addr().String(), version, change)
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
	subscriber.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1, Filters: packets.Subscriptions{{Filter: "#"}}})
	require.Equal(t, packets.Suback, subscriber.Read().FixedHeader.Type)
	acknowledged := 0
	for _, version := range []byte{4, 5} {
		client := connectMQTT(t, m, version, nil)
		for id := uint16(1); id <= 3; id++ {
			client.Publish(topic, 1, id<<7, fresh("device_001"))
			require.Equal(t, id<<7, client.Read().PacketID)
			acknowledged++
			require.GreaterOrEqual(t, store.readings(t), acknowledged)
			client.Publish(topic, 2, 10+id, fresh("device_001"))
			rec := client.Read()
			require.Equal(t, packets.Pubrec, rec.FixedHeader.Type)
			acknowledged++
			require.GreaterOrEqual(t, store.readings(t), acknowledged)
			require.Zero(t, rec.ReasonCode)
			client.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: 10 + id})
			require.Equal(t, packets.Pubcomp, client.Read().FixedHeader.Type)
		}
		client.Publish(topic, 0, 0, fresh("device_001"))
	}
	require.Eventually(t, func() bool { return c.Stats() == Stats{Accepted: 14, Unpromised: 2} }, waitTimeout, time.Millisecond)
	require.Equal(t, 14, store.readings(t))
	subscriber.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	require.Equal(t, packets.Pingresp, subscriber.Read().FixedHeader.Type, "nothing is delivered to subscribers")
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
	client.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	client.Disconnected()
	require.EqualValues(t, 1, c.Stats().Unpromised, "DISCONNECT discards the will")

	client = connectMQTT(t, m, 4, will)
	m.StopIntake()
	require.NoError(t, client.Close())
	require.NoError(t, m.Close(t.Context()))
	require.EqualValues(t, 1, c.Stats().Unpromised, "a stop is no loss of the client")
}

func TestMQTT5GetsReasonCodes(t *testing.T) {
	store := &memStore{}
	m := startMQTT(t, runCollector(t, Options{Store: store}))
	five, four := connectMQTT(t, m, 5, nil), connectMQTT(t, m, 4, nil)
	tests := []struct {
		topic, payload string
		code           byte
	}{
		{topic, "", 0},
		{topic, "bad", packets.ErrPayloadFormatInvalid.Code},
		{"elsewhere", "", packets.ErrTopicNameInvalid.Code},
	}
	for i, tt := range tests {
		for qos := range byte(2) {
			id := uint16(2*i+int(qos)) + 1
			five.Publish(tt.topic, qos+1, id, tt.payload+fresh("device_001"))
			ack := five.Read()
			require.Equal(t, []byte{packets.Puback, packets.Pubrec}[qos], ack.FixedHeader.Type)
			require.Equal(t, id, ack.PacketID)
			require.Equal(t, tt.code, ack.ReasonCode)
			require.Equal(t, tt.code != 0, ack.Properties.ReasonString != "")

			four.Publish(tt.topic, qos+1, id, tt.payload+fresh("device_001"))
			require.Equal(t, id, four.Read().PacketID, "MQTT 3 has no reason codes: a dead letter is acknowledged")
		}
	}
	require.Equal(t, 12, store.count())
}

func TestMQTTClientsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := runCollector(t, Options{Store: &memStore{}})
	m, err := ListenMQTT(MQTTOptions{Addr: "127.0.0.1:0", Collector: c, Log: discard(), Registerer: reg})
	require.NoError(t, err)
	m.Serve()
	t.Cleanup(func() { require.NoError(t, m.Close(context.WithoutCancel(t.Context()))) })
	clients := func() float64 {
		families, err := reg.Gather()
		require.NoError(t, err)
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "edge_mqtt_clients" })
		return families[i].GetMetric()[0].GetGauge().GetValue()
	}
	require.Zero(t, clients())
	first := connectMQTT(t, m, 4, nil)
	connectMQTT(t, m, 5, nil)
	require.Eventually(t, func() bool { return clients() == 2 }, waitTimeout, time.Millisecond)
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return clients() == 1 }, waitTimeout, time.Millisecond)
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
			five.Publish(topic, qos, id, fresh("device_001"))
			ack := five.Read()
			require.Equal(t, packets.ErrQuotaExceeded.Code, ack.ReasonCode)
			require.Equal(t, id, ack.PacketID)
			require.Contains(t, ack.Properties.ReasonString, bufferIsFull)
		}
	}
	for qos := byte(1); qos <= 2; qos++ {
		four := connectMQTT(t, m, 4, nil)
		four.Publish(topic, qos, 1, fresh("device_001"))
		four.Disconnected()
	}
	require.Zero(t, store.count())
	hasRoom()
	require.Eventually(t, func() bool { return c.Refusing() == nil }, waitTimeout, time.Millisecond)
	five.Publish(topic, 1, 9, fresh("device_001"))
	require.Zero(t, five.Read().ReasonCode)
}

// The replies in flight are sent, later messages are neither stored nor acknowledged, and
// a QoS 2 client whose message is still being stored does not block the stop.
func TestStopOfTheMQTTIntake(t *testing.T) {
	c, release := blockedCollector(t)
	m := startMQTT(t, c)
	one, two, late := connectMQTT(t, m, 4, nil), connectMQTT(t, m, 4, nil), connectMQTT(t, m, 4, nil)
	one.Publish(topic, 1, 1, fresh("device_001"))
	require.Eventually(t, func() bool { return !c.Waiting().IsZero() }, waitTimeout, time.Millisecond)
	two.Publish(topic, 2, 1, fresh("device_001"))
	require.Eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.open.b.Count() == 1 }, waitTimeout, time.Millisecond)

	m.StopIntake()
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", m.Addr().String())
	require.Error(t, err)
	for qos := byte(0); qos <= 2; qos++ {
		late.Publish(topic, qos, 1+uint16(qos), fresh("device_001"))
	}
	require.NoError(t, m.Close(t.Context()))
	late.Disconnected()
	two.Disconnected()
	release()
	require.Eventually(t, func() bool { return c.Stats().Accepted == 2 }, waitTimeout, time.Millisecond)
	require.NoError(t, m.Close(t.Context()), "a second call does nothing")
}

func TestReplyOfTheLastPackArrivesBeforeTheMQTTServerCloses(t *testing.T) {
	c, release := blockedCollector(t)
	m := startMQTT(t, c)
	client := connectMQTT(t, m, 4, nil)
	client.Publish(topic, 1, 7, fresh("device_001"))
	require.Eventually(t, func() bool { return !c.Waiting().IsZero() }, waitTimeout, time.Millisecond)
	m.StopIntake()
	release()
	require.Eventually(t, func() bool { return c.Waiting().IsZero() }, waitTimeout, time.Millisecond)
	require.NoError(t, m.Close(t.Context()))
	require.EqualValues(t, 7, client.Read().PacketID)
	client.Disconnected()
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

// TestMQTTMessageIDReachesTheCollector: the user property message-id and the content type
// are fields of the message, of one alone.
func TestMQTTMessageIDReachesTheCollector(t *testing.T) {
	s := newMQTTSender(New(Options{Store: &memStore{}, Log: discard()}), nil, &mqtt.Client{})
	s.Publish(&mqtt.Publish{Topic: topic, Payload: []byte(good()), MessageID: "m-1", ContentType: "application/json"})
	require.Equal(t, []string{"m-1", "application/json"}, []string{s.msg.ID, s.msg.ContentType})
	s.Publish(&mqtt.Publish{Topic: topic, Payload: []byte(good())})
	require.Equal(t, []string{"", ""}, []string{s.msg.ID, s.msg.ContentType})
}
