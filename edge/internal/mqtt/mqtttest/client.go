// Package mqtttest is an MQTT client for tests that speaks packet by packet, also what the
// protocol forbids. It encodes and decodes with a codec other than the gateway's.
package mqtttest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// TB is the part of testing.TB that a Client uses.
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	Fatalf(format string, args ...any)
}

// Timeout bounds every wait for the server.
const Timeout = 180 * time.Second

// Client is one connection. Every failure fails its test.
type Client struct {
	net.Conn
	tb      TB
	r       *bufio.Reader
	Version byte           // 3 for MQTT 3.1, 4 for 3.1.1, 5
	Connack packets.Packet // the answer to CONNECT
}

// Open connects to addr without sending anything.
func Open(tb TB, addr string, version byte) *Client {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatalf("connecting: %v", err)
	}
	return Wrap(tb, conn, version)
}

// Wrap makes a client of an open connection.
func Wrap(tb TB, conn net.Conn, version byte) *Client {
	tb.Helper()
	tb.Cleanup(func() { _ = conn.Close() })
	c := &Client{Conn: conn, tb: tb, r: bufio.NewReader(conn), Version: version}
	c.check(conn.SetDeadline(time.Now().Add(Timeout)))
	return c
}

// Connect opens a connection and sends a CONNECT, which change may alter.
func Connect(tb TB, addr string, version byte, change func(*packets.Packet)) *Client {
	tb.Helper()
	c := Open(tb, addr, version)
	c.Hello(change)
	return c
}

// Hello sends a CONNECT, which change may alter, and reads the answer.
func (c *Client) Hello(change func(*packets.Packet)) {
	c.tb.Helper()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60,
			ClientIdentifier: strings.ReplaceAll(fmt.Sprint(c.LocalAddr()), ":", "-"),
		},
	}
	if c.Version == 3 {
		pk.Connect.ProtocolName = []byte("MQIsdp")
	}
	if change != nil {
		change(&pk)
	}
	c.Send(pk)
	if c.Connack = c.Read(); c.Connack.FixedHeader.Type != packets.Connack {
		c.tb.Fatalf("want CONNACK, got %+v", c.Connack)
	}
}

// As sets the client id and keeps the session, in MQTT 5 for an hour.
func As(id string) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		pk.Connect.ClientIdentifier, pk.Connect.Clean = id, false
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
	}
}

func (c *Client) check(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatalf("MQTT client: %v", err)
	}
}

// Publish sends a PUBLISH.
func (c *Client) Publish(topic string, qos byte, id uint16, payload string) {
	c.tb.Helper()
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, PacketID: id, TopicName: topic, Payload: []byte(payload)})
}

// Send encodes and sends a packet.
func (c *Client) Send(pk packets.Packet) {
	c.tb.Helper()
	pk.ProtocolVersion = c.Version
	if pk.FixedHeader.Type == packets.Pubrel {
		pk.FixedHeader.Qos = 1
	}
	var buf bytes.Buffer
	encode := map[byte]func(*bytes.Buffer) error{
		packets.Connect: pk.ConnectEncode, packets.Publish: pk.PublishEncode, packets.Disconnect: pk.DisconnectEncode,
		packets.Pubrel: pk.PubrelEncode, packets.Subscribe: pk.SubscribeEncode, packets.Unsubscribe: pk.UnsubscribeEncode,
		packets.Pingreq: pk.PingreqEncode, packets.Pubrec: pk.PubrecEncode, packets.Puback: pk.PubackEncode,
		packets.Pubcomp: pk.PubcompEncode, packets.Auth: pk.AuthEncode, packets.Connack: pk.ConnackEncode,
	}[pk.FixedHeader.Type]
	c.check(encode(&buf))
	c.Raw(buf.Bytes()...)
}

// Raw sends bytes as they are.
func (c *Client) Raw(b ...byte) {
	c.tb.Helper()
	_, err := c.Write(b)
	c.check(err)
}

// Read decodes the next packet of the server.
func (c *Client) Read() packets.Packet {
	c.tb.Helper()
	head, err := c.r.ReadByte()
	c.check(err)
	pk := packets.Packet{ProtocolVersion: c.Version}
	c.check(pk.FixedHeader.Decode(head))
	n, _, err := packets.DecodeLength(c.r)
	c.check(err)
	pk.FixedHeader.Remaining = n
	body := make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	c.check(err)
	decode := map[byte]func([]byte) error{
		packets.Connack: pk.ConnackDecode, packets.Puback: pk.PubackDecode, packets.Pubrec: pk.PubrecDecode,
		packets.Pubrel: pk.PubrelDecode, packets.Pubcomp: pk.PubcompDecode, packets.Suback: pk.SubackDecode,
		packets.Unsuback: pk.UnsubackDecode, packets.Disconnect: c.disconnect(&pk, body),
		packets.Pingresp: func([]byte) error { return nil },
	}[pk.FixedHeader.Type]
	if decode == nil {
		c.tb.Fatalf("packet of type %d", pk.FixedHeader.Type)
	}
	c.check(decode(body))
	return pk
}

// disconnect decodes a DISCONNECT, which a server sends in MQTT 5 alone.
func (c *Client) disconnect(pk *packets.Packet, body []byte) func([]byte) error {
	if c.Version < 5 {
		return func([]byte) error { return errors.New("DISCONNECT from the server, which MQTT 3 does not have") }
	}
	return func([]byte) error { return pk.DisconnectDecode(body) }
}

// Disconnected waits until the server ends the connection, in MQTT 5 with a DISCONNECT, and
// returns its reason code; 0 without one. Any other packet fails the test.
func (c *Client) Disconnected() byte {
	c.tb.Helper()
	rest, err := io.ReadAll(c.r)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.tb.Fatalf("the server keeps the connection")
	case len(rest) == 0:
		return 0
	case c.Version < 5 || rest[0] != packets.Disconnect<<4 || len(rest) < 3:
		c.tb.Fatalf("unexpected bytes before the end of the connection: % x", rest)
	}
	return rest[2]
}
