package mqtt

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
)

// hello returns a CONNECT byte by byte.
func hello(name string, version, flags byte, rest ...byte) []byte {
	body := appendText(nil, name)
	body = append(body, version, flags, 0, 60)
	if version == protocolMQTT5 {
		body = append(body, 0)
	}
	return packet(typeConnect, 0, append(body, rest...))
}

// TestConnectIsAnsweredInTheVersionOfTheClient compares the bytes of CONNACK: MQTT 3 knows the
// codes 0 to 5 (3.1.1, section 3.2.2.3), and a malformed CONNECT gets none.
func TestConnectIsAnsweredInTheVersionOfTheClient(t *testing.T) {
	id := []byte{0, 1, 'a'}
	will := func(topic string) []byte { return append(appendText(append([]byte{}, id...), topic), 0, 0) }
	accepted3 := []byte{0x20, 2, 0, 0}
	refused3 := func(code byte) []byte { return []byte{0x20, 2, 0, code} }
	for name, tt := range map[string]struct {
		packet []byte
		want   []byte // of MQTT 3
		code   int    // of MQTT 5, -1: the connection is closed without an answer
	}{
		"3.1":                            {hello("MQIsdp", 3, 2, id...), accepted3, 0},
		"3.1.1":                          {hello("MQTT", 4, 2, id...), accepted3, 0},
		"5":                              {hello("MQTT", 5, 2, id...), nil, 0},
		"bridge of mosquitto, 3.1":       {hello("MQIsdp", 0x83, 2, id...), accepted3, 0},
		"bridge of mosquitto, 3.1.1":     {hello("MQTT", 0x84, 2, id...), accepted3, 0},
		"bridge bit with 5":              {hello("MQTT", 0x85, 2, id...), nil, 0x84},
		"version 6":                      {hello("MQTT", 6, 2, id...), nil, 0x84},
		"version 2":                      {hello("MQTT", 2, 2, id...), refused3(1), 0},
		"version 3 under the new name":   {hello("MQTT", 3, 2, id...), refused3(1), 0},
		"version 4 under the old name":   {hello("MQIsdp", 4, 2, id...), refused3(1), 0},
		"another protocol":               {hello("AMQP", 4, 2, id...), nil, -1},
		"no client id, clean, 3.1.1":     {hello("MQTT", 4, 2, 0, 0), accepted3, 0},
		"no client id, session, 3.1.1":   {hello("MQTT", 4, 0, 0, 0), refused3(2), 0},
		"no client id, 3.1":              {hello("MQIsdp", 3, 2, 0, 0), refused3(2), 0},
		"no client id, 5":                {hello("MQTT", 5, 0, 0, 0), nil, 0},
		"empty will":                     {hello("MQTT", 4, 6, will("a")...), accepted3, 0},
		"will topic with a wildcard":     {hello("MQTT", 4, 6, will("a/#")...), nil, -1},
		"will topic with a wildcard, 5":  {hello("MQTT", 5, 6, append([]byte{0, 1, 'a', 0}, will("a/#")[3:]...)...), nil, 0x90},
		"empty password":                 {hello("MQTT", 4, 0xC2, 0, 1, 'a', 0, 1, 'u', 0, 0), accepted3, 0},
		"password without user, 3.1.1":   {hello("MQTT", 4, 0x42, 0, 1, 'a', 0, 0), nil, -1},
		"password without user, 5":       {hello("MQTT", 5, 0x42, 0, 1, 'a', 0, 0), nil, 0},
		"reserved flag":                  {hello("MQTT", 4, 3, id...), nil, -1},
		"reserved flag, 5":               {hello("MQTT", 5, 3, id...), nil, 0x81},
		"will QoS without will":          {hello("MQTT", 5, 0x0A, id...), nil, 0x81},
		"will retain without will":       {hello("MQTT", 5, 0x22, id...), nil, 0x81},
		"will QoS 3":                     {hello("MQTT", 5, 0x1E, append([]byte{0, 1, 'a', 0}, will("a")[3:]...)...), nil, 0x81},
		"client id is not UTF-8":         {hello("MQTT", 5, 2, 0, 1, 0xff), nil, 0x81},
		"bytes after the end":            {hello("MQTT", 5, 2, 0, 1, 'a', 0), nil, 0x81},
		"cut":                            {hello("MQTT", 4, 2, 0, 9, 'a'), nil, -1},
		"first packet is no CONNECT":     {[]byte{0xC0, 0}, nil, -1},
		"authentication method":          {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x04\x15\x00\x01x"), id...)), nil, 0x8C},
		"authentication data alone":      {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x04\x16\x00\x01x"), id...)), nil, 0x82},
		"receive maximum 0":              {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00"), id...)), nil, 0x82},
		"maximum packet size 0":          {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x00"), id...)), nil, 0x82},
		"request problem information 2":  {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x02\x17\x02"), id...)), nil, 0x82},
		"property of another packet":     {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x03\x23\x00\x01"), id...)), nil, 0x81},
		"property twice":                 {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x06\x21\x00\x01\x21\x00\x01"), id...)), nil, 0x82},
		"property length runs over":      {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\x7f\x21\x00\x01"), id...)), nil, 0x81},
		"property length of five bytes":  {packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05\x02\x00\x00\xff\xff\xff\xff\x01"), id...)), nil, 0x81},
		"remaining length of five bytes": {[]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0x01}, nil, -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := start(t, &store{})
			c := mqtttest.Open(t, addr, 5)
			c.Raw(tt.packet...)
			switch {
			case tt.code == -1:
				require.Zero(t, c.Disconnected())
			case tt.want != nil:
				got := make([]byte, len(tt.want))
				_, err := io.ReadFull(c.Conn, got)
				require.NoError(t, err)
				require.Equal(t, tt.want, got)
			default:
				ack := c.Read()
				require.EqualValues(t, tt.code, ack.ReasonCode)
				require.Equal(t, tt.code != 0, ack.Properties.ReasonString != "")
			}
			if refused := tt.code > 0 || tt.want != nil && tt.want[3] != 0; refused {
				require.Zero(t, c.Disconnected(), "closed after the refusal, without a DISCONNECT")
			}
		})
	}
}

func TestLimitsAreAnnounced(t *testing.T) {
	_, addr := start(t, &store{})
	p := mqtttest.Connect(t, addr, 5, nil).Connack.Properties
	require.EqualValues(t, receiveMaximum, p.ReceiveMaximum)
	require.EqualValues(t, maxPacket, p.MaximumPacketSize)
	require.EqualValues(t, maxTopicAliases, p.TopicAliasMaximum)
	require.Empty(t, p.AssignedClientID)
	require.False(t, p.SessionExpiryIntervalFlag)

	p = mqtttest.Connect(t, addr, 5, func(pk *packets.Packet) {
		pk.Connect.ClientIdentifier = ""
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 48*3600, true
	}).Connack.Properties
	require.EqualValues(t, 24*3600, p.SessionExpiryInterval, "a session is kept for a day")
	require.NotEmpty(t, p.AssignedClientID)
	require.NotEqual(t, p.AssignedClientID, mqtttest.Connect(t, addr, 5, func(pk *packets.Packet) { pk.Connect.ClientIdentifier = "" }).Connack.Properties.AssignedClientID)
}

// TestSilentClientIsDisconnectedAfterOneAndAHalfKeepAlives also tries values that are too large
// and none ([MQTT-3.1.2-22]); MQTT 5 clients hear which one counts.
func TestSilentClientIsDisconnectedAfterOneAndAHalfKeepAlives(t *testing.T) {
	for _, seconds := range []uint16{1, 3, 60, 600, 601, 43691, 65535, 0} {
		for _, version := range []byte{3, 4, 5} {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t)
				c := b.connect(version, func(pk *packets.Packet) { pk.Connect.Keepalive = seconds })
				limit := time.Duration(seconds) * 1500 * time.Millisecond
				announced := version == 5 && (seconds == 0 || seconds > 600)
				if seconds == 0 || seconds > 600 {
					limit = 15 * time.Minute
				}
				require.Equal(t, announced, c.Connack.Properties.ServerKeepAliveFlag)
				if announced {
					require.EqualValues(t, 600, c.Connack.Properties.ServerKeepAlive)
				}
				pass(limit - time.Millisecond)
				c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
				require.Equal(t, packets.Pingresp, c.Read().FixedHeader.Type)
				asked := time.Now()
				code := c.Disconnected()
				require.Equal(t, limit, time.Since(asked), "keep alive %d", seconds)
				require.Equal(t, version == 5, code == byte(keepAliveTimeout))
				b.stop()
			})
		}
	}
}

// TestSlowUploadIsNoSilence sends a large message for longer than the keep alive.
func TestSlowUploadIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		c := b.connect(4, func(pk *packets.Packet) { pk.Connect.Keepalive = 2 })
		body := append(appendText(nil, topic), 0, 7)
		p := packet(typePublish, 2, append(body, make([]byte, 5*bodyStep)...))
		for len(p) > 0 {
			n := min(bodyStep, len(p))
			c.Raw(p[:n]...)
			p = p[n:]
			pass(2 * time.Second)
		}
		require.EqualValues(t, 7, c.Read().PacketID)
		b.stop()
	})
}

func TestConnectionWithoutConnectEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		opened := time.Now()
		require.Zero(t, b.open(4).Disconnected())
		require.Equal(t, connectTimeout, time.Since(opened))
		b.stop()
	})
}

// TestHalfAConnectEnds sends a large CONNECT slowly: what has come gives it no more time.
func TestHalfAConnectEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		opened := time.Now()
		c := b.open(4)
		c.Raw(typeConnect<<4, 0x80, 0x80, 0x20) // 512 KiB
		for range 4 {
			pass(time.Second)
			c.Raw(make([]byte, bodyStep)...)
		}
		require.Zero(t, c.Disconnected())
		require.Equal(t, connectTimeout, time.Since(opened))
		b.stop()
	})
}

// TestConnectDuringAStopIsRefused lets a client connect that was accepted before.
func TestConnectDuringAStopIsRefused(t *testing.T) {
	for version, code := range map[byte]byte{4: 3, 5: byte(serverShuttingDown)} {
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t)
			c := b.open(version)
			b.StopIntake()
			c.Hello(nil)
			require.Equal(t, code, c.Connack.ReasonCode)
			require.Zero(t, c.Disconnected())
			b.stop()
			require.Zero(t, b.open(version).Disconnected())
		})
	}
}

// TestClientsPacketLimitIsKept: no reason string makes a packet larger than the client accepts
// ([MQTT-3.1.2-24]), and none goes to a client that wants none ([MQTT-3.1.2-29]).
func TestClientsPacketLimitIsKept(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*packets.Packet)
		reason bool
	}{
		"no limit":           {func(*packets.Packet) {}, true},
		"room enough":        {func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 40 }, true},
		"too small":          {func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 20 }, false},
		"no problem reports": {func(pk *packets.Packet) { pk.Properties.RequestProblemInfoFlag = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := start(t, &store{reply: PayloadFormatInvalid, reason: "this is no reading at all"})
			c := mqtttest.Connect(t, addr, 5, tt.change)
			c.Publish(topic, 1, 1, "r")
			ack := c.Read()
			require.Equal(t, byte(PayloadFormatInvalid), ack.ReasonCode)
			require.Equal(t, tt.reason, ack.Properties.ReasonString != "")
		})
	}
	for version, want := range map[byte]string{4: "", 5: "2 accepted, 1 refused"} {
		_, addr := start(t, &store{reason: "2 accepted, 1 refused"})
		c := mqtttest.Connect(t, addr, version, nil)
		c.Publish(topic, 1, 1, "r")
		require.Equal(t, want, c.Read().Properties.ReasonString, "success with a remark")
	}
	st := &store{reply: PayloadFormatInvalid, reason: strings.Repeat("€", 1000)}
	_, addr := start(t, st)
	c := mqtttest.Connect(t, addr, 5, nil)
	c.Publish(topic, 1, 1, "r")
	require.Equal(t, strings.Repeat("€", maxReasonBytes/3), c.Read().Properties.ReasonString, "cut between two characters")
}

func TestServerNeedsItsOptions(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "NewReceiver")
}

func TestCloseWaitsUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		sent := make(chan struct{})
		b.writers.Go(func() { <-sent })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Close(ctx) }()
		synctest.Wait()
		require.Empty(t, done)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		close(sent)
		require.NoError(t, b.Close(t.Context()), "a second call")
	})
}

func TestClientsAreToldWhenTheServerCloses(t *testing.T) {
	s, addr := start(t, &store{})
	four, five := mqtttest.Connect(t, addr, 4, nil), mqtttest.Connect(t, addr, 5, nil)
	require.Eventually(t, func() bool { return s.Clients() == 2 }, waitTimeout, time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- s.Close(context.WithoutCancel(t.Context())) }()
	require.Zero(t, four.Disconnected())
	require.Equal(t, byte(serverShuttingDown), five.Disconnected())
	require.NoError(t, five.Close())
	require.NoError(t, <-done)
	require.Zero(t, s.Clients())
}
