package tracing

import (
	"bufio"
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// publishMQTT publishes one message by MQTT 5 with QoS 1 and user properties, and waits for its acknowledgement.
func publishMQTT(t *testing.T, addr, topic, payload string, user map[string]string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	in := bufio.NewReader(conn)
	send := func(p packets.Packet, encode func(*packets.Packet, *bytes.Buffer) error) {
		t.Helper()
		p.ProtocolVersion = 5
		var b bytes.Buffer
		require.NoError(t, encode(&p, &b))
		_, err := conn.Write(b.Bytes())
		require.NoError(t, err)
	}
	// receive returns what is behind the fixed header of the next packet; all of them are short.
	receive := func(kind byte) []byte {
		t.Helper()
		first, err := in.ReadByte()
		require.NoError(t, err)
		require.Equal(t, kind, first>>4, "the type of the packet")
		size, err := in.ReadByte()
		require.NoError(t, err)
		body := make([]byte, size)
		for i := range body {
			body[i], err = in.ReadByte()
			require.NoError(t, err)
		}
		return body
	}
	send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: "tracing"},
	}, (*packets.Packet).ConnectEncode)
	require.Zero(t, receive(packets.Connack)[1], "the reason code of the CONNACK")
	publish := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: topic, PacketID: 1, Payload: []byte(payload),
	}
	for k, v := range user {
		publish.Properties.User = append(publish.Properties.User, packets.UserProperty{Key: k, Val: v})
	}
	send(publish, (*packets.Packet).PublishEncode)
	if ack := receive(packets.Puback); len(ack) > 2 {
		require.Zero(t, ack[2], "the reason code of the PUBACK")
	}
}
