package lane

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/wire"
)

// testGateway is a gateway's server at a hub.
type testGateway struct {
	source
	t       testing.TB
	js      jetstream.JetStream
	epoch   uint64
	counter uint64
	totals  wire.PackTotals
}

// newTestGateway starts a gateway behind a line with a delay each way.
func newTestGateway(tb testing.TB, delay time.Duration) *testGateway {
	tb.Helper()
	const id = "gw-a"
	h, err := hub.New(hub.Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(tb, err)
	tb.Cleanup(h.Shutdown)
	uplink := server.NewAccount("UPLINK")
	so := &server.Options{
		ServerName: id, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		Accounts: []*server.Account{uplink}, NoAuthUser: "uplink",
		Users:     []*server.User{{Username: "uplink", Password: "x", Account: uplink}},
		JetStream: true, JetStreamDomain: wire.Domain(id), StoreDir: tb.TempDir(),
	}
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{LocalAccount: "UPLINK", URLs: []*url.URL{{Scheme: "nats-leaf", User: url.UserPassword(id, ""), Host: slowLine(tb, h.LeafAddr(), delay)}}}}
	srv, err := server.NewServer(so)
	require.NoError(tb, err)
	srv.Start()
	tb.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(tb, srv.ReadyForConnections(time.Minute))
	account, err := srv.LookupAccount("UPLINK")
	require.NoError(tb, err)
	require.NoError(tb, account.EnableJetStream(nil, nil))
	local, err := nats.Connect("", nats.InProcessServer(srv))
	require.NoError(tb, err)
	tb.Cleanup(local.Close)
	js, err := jetstream.New(local)
	require.NoError(tb, err)
	_, err = js.CreateStream(tb.Context(), jetstream.StreamConfig{Name: wire.PackStream(id), Subjects: []string{wire.PackSubject(id)}})
	require.NoError(tb, err)
	var nc *nats.Conn
	require.Eventually(tb, func() bool { nc, err = h.Line(id); return err == nil }, time.Minute, 10*time.Millisecond)
	s := source{nc: nc, inboxes: newInboxes(nc), gateway: id}
	require.Eventually(tb, func() bool { _, err := s.view(tb.Context(), 0); return err == nil }, time.Minute, 10*time.Millisecond)
	return &testGateway{source: s, t: tb, js: js, epoch: epochA}
}

// fullSource is a gateway with a stream of packs of random bytes.
func fullSource(tb testing.TB, delay time.Duration, size, packs int) source {
	tb.Helper()
	g := newTestGateway(tb, delay)
	data := make([]byte, size)
	_, _ = rand.Read(data)
	for range packs {
		g.put(data)
	}
	return g.source
}

// put stores a message in the stream of packs.
func (g *testGateway) put(data []byte) {
	g.t.Helper()
	_, err := g.js.Publish(g.t.Context(), wire.PackSubject(g.gateway), data)
	require.NoError(g.t, err)
}

// build returns the next pack of the epoch.
func (g *testGateway) build(entries ...wire.PackEntry) []byte {
	var b wire.PackBuilder
	g.counter++
	b.Reset(g.epoch, g.counter)
	b.Follow(g.totals)
	for _, e := range entries {
		b.Add(e)
	}
	data := b.Finish()
	g.totals = b.Totals()
	return data
}

// store stores packs of n readings each.
func (g *testGateway) store(packs, n int) {
	g.t.Helper()
	for range packs {
		entries := readings(n)
		for i := range entries {
			entries[i].Received = time.Now().UnixMilli()
		}
		g.put(g.build(entries...))
	}
}

// beat delivers a heartbeat to a roster.
func (g *testGateway) beat(r *roster.Roster, instance string) {
	g.t.Helper()
	st := g.state()
	data, err := wire.GatewayStatus{
		Gateway: g.gateway, Instance: instance, Time: time.Now().UnixMilli(), Started: 1, Epoch: checkpoint.Hex(g.epoch), Counter: g.counter, Packed: g.totals,
		FirstSeq: st.FirstSeq, LastSeq: st.LastSeq, BufferLimit: 1 << 30,
	}.Encode()
	require.NoError(g.t, err)
	_, err = r.Observe(wire.StatusSubject(g.gateway), data)
	require.NoError(g.t, err)
}

func (g *testGateway) state() jetstream.StreamState {
	g.t.Helper()
	s, err := g.js.Stream(g.t.Context(), wire.PackStream(g.gateway))
	require.NoError(g.t, err)
	return s.CachedInfo().State
}

// slowLine forwards connections to an address with a delay each way.
func slowLine(tb testing.TB, to string, delay time.Duration) string {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			z, err := (&net.Dialer{}).DialContext(context.WithoutCancel(tb.Context()), "tcp", to)
			if err != nil {
				_ = a.Close()
				continue
			}
			go forward(a, z, delay)
			go forward(z, a, delay)
		}
	}()
	return ln.Addr().String()
}

func forward(from io.ReadCloser, to io.WriteCloser, delay time.Duration) {
	type chunk struct {
		due  time.Time
		data []byte
	}
	chunks := make(chan chunk, 1<<12)
	go func() {
		defer func() { _ = to.Close() }()
		for c := range chunks {
			lifecycle.Pause(context.Background(), time.Until(c.due))
			if _, err := to.Write(c.data); err != nil {
				return
			}
		}
	}()
	defer close(chunks)
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		chunks <- chunk{time.Now().Add(delay), buf[:n]}
	}
}
