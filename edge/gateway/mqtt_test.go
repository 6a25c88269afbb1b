package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMQTTPublishIsStoredBeforeItIsAcknowledged(t *testing.T) {
	g, h := plant(t)
	client := connectMQTT(t, g)
	var want []string
	for qos := range byte(3) {
		for n := range 10 {
			payload := reading("device_001", 1640995200000+int64(qos)*100+int64(n))
			token := client.Publish(wire.TelemetryTopic("device_001"), qos, n%2 == 0, payload)
			require.True(t, token.WaitTimeout(waitTimeout))
			require.NoError(t, token.Error())
			want = append(want, string(payload))
			if qos > 0 {
				require.NotZero(t, h.count(t, g.cfg.ID, string(payload)), "stored before the acknowledgement")
			}
		}
	}
	requireStored(t, map[string][]string{"device_001": want}, h.entries(t, g.cfg.ID))
	stats := g.collector.Stats()
	require.EqualValues(t, 30, stats.Accepted)
	require.EqualValues(t, 10, stats.Unpromised)
}

// count returns how often a payload is in the stream.
func (h *hub) count(t *testing.T, gateway, payload string) int {
	t.Helper()
	n := 0
	for _, e := range h.entries(t, gateway) {
		if string(e.Payload) == payload {
			n++
		}
	}
	return n
}

func TestManyMQTTPublishesOfOneClientShareAPack(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL, cfg.Linger = h.url(), 200*time.Millisecond
	g := start(t, cfg)
	client := connectMQTT(t, g)
	var tokens []paho.Token
	for n := range 50 {
		tokens = append(tokens, client.Publish(wire.TelemetryTopic("device_001"), 1, false, reading("device_001", 1640995200000+int64(n))))
	}
	for _, token := range tokens {
		require.True(t, token.WaitTimeout(waitTimeout))
		require.NoError(t, token.Error())
	}
	all := h.entries(t, cfg.ID)
	require.Len(t, all, 50)
	require.Less(t, all[49].Seq, uint64(25), "publishes share packs")
}

func TestMQTTOnOtherTopicsIsRefusedAndNotDelivered(t *testing.T) {
	g, h := plant(t)
	client := connectMQTT(t, g)
	heard := make(chan paho.Message, 10)
	token := client.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { heard <- m })
	require.True(t, token.WaitTimeout(waitTimeout))
	require.NoError(t, token.Error())
	topics := []string{"devices/device_001/status", "devices/a/b/telemetry", "devices//telemetry", "telemetry", "homeassistant/sensor/x/config"}
	for _, topic := range topics {
		token := client.Publish(topic, 1, true, reading("device_001", 1640995200000))
		require.True(t, token.WaitTimeout(waitTimeout))
	}
	token = client.Publish(wire.TelemetryTopic("device_001"), 1, true, reading("device_001", 1640995200000))
	require.True(t, token.WaitTimeout(waitTimeout))
	all := h.entries(t, g.cfg.ID)
	require.Len(t, all, len(topics)+1)
	for i, topic := range topics {
		require.Equal(t, telemetry.ReasonInvalidTopic, all[i].Refusal.Reason)
		require.Contains(t, all[i].Refusal.Message, topic)
	}
	require.Nil(t, all[len(topics)].Refusal)
	late := connectMQTTAs(t, g, "late")
	token = late.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { heard <- m })
	require.True(t, token.WaitTimeout(waitTimeout))
	select {
	case m := <-heard:
		require.Fail(t, "a message was delivered", "%s", m.Topic())
	case <-time.After(50 * time.Millisecond):
	}
}

func TestWillIsStoredLikeQoS0(t *testing.T) {
	g, h := plant(t)
	c := connectRaw(t, g, 4, func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, wire.TelemetryTopic("device_001"), []byte(good())
	})
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return g.collector.Stats().Unpromised == 1 }, waitTimeout, 5*time.Millisecond)
	require.Equal(t, good(), string(h.entries(t, g.cfg.ID)[0].Payload))

	c = connectRaw(t, g, 4, func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, wire.TelemetryTopic("device_001"), []byte(good())
	})
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	_, err := c.r.ReadByte()
	require.Error(t, err, "the server closes")
	require.EqualValues(t, 1, g.collector.Stats().Unpromised, "DISCONNECT discards the will")
}

func TestMQTT5GetsReasonCodes(t *testing.T) {
	g, h := plant(t)
	c := connectRaw(t, g, 5, nil)
	tests := []struct {
		topic, payload string
		code           byte
	}{
		{wire.TelemetryTopic("device_001"), good(), 0},
		{wire.TelemetryTopic("device_001"), "bad", packets.ErrPayloadFormatInvalid.Code},
		{"elsewhere", good(), packets.ErrTopicNameInvalid.Code},
	}
	for i, tt := range tests {
		for qos := range byte(2) {
			id := uint16(2*i+int(qos)) + 1
			c.publish(tt.topic, qos+1, id, tt.payload)
			ack := c.read()
			require.Equal(t, []byte{packets.Puback, packets.Pubrec}[qos], ack.FixedHeader.Type)
			require.Equal(t, id, ack.PacketID)
			require.Equal(t, tt.code, ack.ReasonCode)
			if tt.code != 0 {
				require.NotEmpty(t, ack.Properties.ReasonString)
			}
		}
	}
	require.Len(t, h.entries(t, g.cfg.ID), 6)
}

func TestFullBufferByMQTTVersion(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL, cfg.BufferBytes = h.url(), 1<<20
	g := start(t, cfg)
	five := connectRaw(t, g, 5, nil)
	fill := func() byte {
		five.publish(wire.TelemetryTopic("device_001"), 1, 1, string(pad(good(), 60<<10)))
		return five.read().ReasonCode
	}
	require.Eventually(t, func() bool { return fill() != 0 }, waitTimeout, time.Microsecond)
	require.Equal(t, packets.ErrQuotaExceeded.Code, fill())
	five.publish(wire.TelemetryTopic("device_001"), 2, 1, good())
	require.Equal(t, packets.ErrQuotaExceeded.Code, five.read().ReasonCode)
	stored := len(h.entries(t, cfg.ID))
	for qos := byte(1); qos <= 2; qos++ {
		three := connectRaw(t, g, 4, nil)
		three.publish(wire.TelemetryTopic("device_001"), qos, 1, good())
		_, err := three.r.ReadByte()
		require.Error(t, err, "no acknowledgement, the connection is closed")
	}
	require.Len(t, h.entries(t, cfg.ID), stored)
	require.NoError(t, h.stream(t, cfg.ID).Purge(t.Context()))
	require.Eventually(t, func() bool { return fill() == 0 }, waitTimeout, 50*time.Millisecond)
}

// rawClient speaks MQTT packet by packet.
type rawClient struct {
	net.Conn
	t       *testing.T
	version byte
	r       *bufio.Reader
}

func connectRaw(t *testing.T, g *Gateway, version byte, change func(*packets.Packet)) *rawClient {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.MQTTAddr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	c := &rawClient{conn, t, version, bufio.NewReader(conn)}
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60, ClientIdentifier: strings.ReplaceAll(fmt.Sprint(conn.LocalAddr()), ":", "-")},
	}
	if change != nil {
		change(&pk)
	}
	c.send(pk)
	require.Equal(t, packets.Connack, c.read().FixedHeader.Type)
	return c
}

func (c *rawClient) publish(topic string, qos byte, id uint16, payload string) {
	c.t.Helper()
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, PacketID: id, TopicName: topic, Payload: []byte(payload)})
}

func (c *rawClient) send(pk packets.Packet) {
	c.t.Helper()
	pk.ProtocolVersion = c.version
	var buf bytes.Buffer
	encode := map[byte]func(*bytes.Buffer) error{
		packets.Connect: pk.ConnectEncode, packets.Publish: pk.PublishEncode, packets.Disconnect: pk.DisconnectEncode,
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
	}
	require.NoError(c.t, err)
	return pk
}
