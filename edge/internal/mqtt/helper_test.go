package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	waitTimeout = mqtttest.Timeout
	topic       = "devices/device_001/telemetry"
	maxPacket   = 1 << 20
)

// store keeps published messages and answers at once, or when a test calls release.
type store struct {
	mu     sync.Mutex
	msgs   []Publish
	gate   chan struct{} // passing on waits for it
	hold   bool
	held   []func(Code)
	reply  Code
	reason string
}

// sink is the Receiver of one client.
type sink struct {
	st *store
	c  *Client
}

func (s sink) Publish(p *Publish) {
	if s.st.gate != nil {
		<-s.st.gate
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	m := *p
	m.Payload = slices.Clone(p.Payload)
	s.st.msgs = append(s.st.msgs, m)
	answer := func(code Code) {
		if m.QoS > 0 {
			s.c.Answer(m.QoS, m.ID, code, s.st.reason)
		}
	}
	if s.st.hold {
		s.st.held = append(s.st.held, answer)
		return
	}
	answer(s.st.reply)
}

// messages returns the published messages.
func (st *store) messages() []Publish {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.msgs)
}

// payloads returns the payloads of the published messages.
func (st *store) payloads() []string {
	out := []string{}
	for _, m := range st.messages() {
		out = append(out, string(m.Payload))
	}
	return out
}

// release answers the held messages.
func (st *store) release(code Code) {
	st.mu.Lock()
	held := st.held
	st.held = nil
	st.mu.Unlock()
	for _, answer := range held {
		answer(code)
	}
}

func newServer(t *testing.T, st *store) *Server {
	t.Helper()
	s, err := New(Options{
		NewReceiver: func(c *Client) Receiver { return sink{st, c} }, MaxPacket: maxPacket, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return s
}

// start serves on a port until the test ends.
func start(t *testing.T, st *store) (s *Server, addr string) {
	t.Helper()
	s = newServer(t, st)
	ln := listen(t)
	s.Serve(ln)
	stopAfter(t, s)
	return s, ln.Addr().String()
}

func stopAfter(t *testing.T, s *Server) {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(t.Context()))) })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return ln
}

// bubble is a server whose clients connect in memory, for tests in which time passes.
type bubble struct {
	*Server
	t  *testing.T
	st *store
}

func newBubble(t *testing.T) *bubble {
	t.Helper()
	b := &bubble{Server: newServer(t, &store{}), t: t, st: &store{}}
	b.newReceiver = func(c *Client) Receiver { return sink{b.st, c} }
	return b
}

// open returns a connection on which nothing was sent; nothing bounds its waits.
func (b *bubble) open(version byte) *mqtttest.Client {
	ours, theirs := net.Pipe()
	c := mqtttest.Wrap(b.t, theirs, version)
	require.NoError(b.t, c.SetDeadline(time.Time{}))
	b.readers.Go(func() { b.serve(ours) }) // last: a stopped server closes at once, and a closed pipe takes no deadline
	return c
}

func (b *bubble) connect(version byte, change func(*packets.Packet)) *mqtttest.Client {
	c := b.open(version)
	c.Hello(change)
	return c
}

// session connects with a client id that keeps its session for expiry, in seconds, and a will.
func (b *bubble) session(clean bool, expiry, willDelay uint32) *mqtttest.Client {
	return b.connect(5, func(pk *packets.Packet) {
		mqtttest.As("device")(pk)
		pk.Connect.Clean = clean
		pk.Properties.SessionExpiryInterval = expiry
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte("will")
		pk.Connect.WillProperties.WillDelayInterval = willDelay
	})
}

// stop ends the server before its bubble ends.
func (b *bubble) stop() { require.NoError(b.t, b.Close(b.t.Context())) }

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// scripted is a connection with given input that keeps the output.
type scripted struct {
	net.Conn
	in  io.Reader
	mu  sync.Mutex
	out bytes.Buffer
}

func (c *scripted) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c *scripted) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *scripted) Close() error                     { return nil }
func (c *scripted) CloseWrite() error                { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }
func (c *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// acks counts the PUBACKs and PUBRECs in a server's output by QoS and packet id.
func acks(t *testing.T, out []byte) map[string]int {
	t.Helper()
	n := map[string]int{}
	for len(out) > 0 {
		cur := &cursor{rest: out[1:]}
		body := cur.next(cur.varint("length"), "body")
		require.Nil(t, cur.err)
		switch out[0] >> 4 {
		case typePuback:
			n[fmt.Sprintf("1 %d", int(body[0])<<8|int(body[1]))]++
		case typePubrec:
			n[fmt.Sprintf("2 %d", int(body[0])<<8|int(body[1]))]++
		}
		out = cur.rest
	}
	return n
}
