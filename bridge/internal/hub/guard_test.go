package hub

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

const waitTimeout = 180 * time.Second

// leaf starts a gateway's server that dials addr with these credentials.
func leaf(t *testing.T, addr, name, user, password string) *server.Server {
	t.Helper()
	remote := &url.URL{Scheme: "nats-leaf", Host: addr}
	if user != "" {
		remote.User = url.UserPassword(user, password)
	}
	so := &server.Options{ServerName: name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	so.LeafNode.ReconnectInterval = 50 * time.Millisecond
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}
	srv, err := server.NewServer(so)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { stopLeaf(srv) })
	return srv
}

func stopLeaf(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// refusals counts the refused installations.
type refusals struct {
	mu   sync.Mutex
	seen map[string]int
}

func (r *refusals) add(gateway, instance, _ string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[gateway+"/"+instance]++
}

func (r *refusals) of(gateway, instance string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[gateway+"/"+instance]
}

func guarded(t *testing.T, log *slog.Logger) (*Hub, *refusals) {
	t.Helper()
	r := &refusals{seen: map[string]int{}}
	h, err := New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: log, Refused: r.add})
	require.NoError(t, err)
	t.Cleanup(h.Shutdown)
	return h, r
}

func connected(t *testing.T, h *Hub, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return h.Leafs() == n }, waitTimeout, 5*time.Millisecond, "%d gateways are connected", n)
}

// crosses reports whether a message published at gateway gw-a arrives at its line.
func crosses(t *testing.T, h *Hub, from *server.Server, subject string) bool {
	t.Helper()
	return arrives(t, lineOf(t, h, "gw-a"), from, subject)
}

// lineOf returns the line of a gateway once it is there.
func lineOf(t *testing.T, h *Hub, gateway string) (nc *nats.Conn) {
	t.Helper()
	require.Eventually(t, func() (there bool) {
		var err error
		nc, err = h.Line(gateway)
		return err == nil
	}, waitTimeout, 5*time.Millisecond, "%s has a line", gateway)
	return nc
}

// arrives reports whether a message published at a gateway arrives at a connection to the hub.
func arrives(t *testing.T, in *nats.Conn, from *server.Server, subject string) bool {
	t.Helper()
	sub, err := in.SubscribeSync(subject)
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Unsubscribe()) }()
	require.NoError(t, in.Flush())
	out, err := nats.Connect(from.ClientURL())
	require.NoError(t, err)
	defer out.Close()
	for range 20 { // the interest travels first
		require.NoError(t, out.Publish(subject, nil))
		if _, err := sub.NextMsg(50 * time.Millisecond); err == nil {
			return true
		}
	}
	return false
}

func TestSecondInstallationOfAGatewayIsRefused(t *testing.T) {
	h, refused := guarded(t, quiet())
	for _, name := range []string{"gw-a", "elsewhere"} { // whatever its server is called
		t.Run("called "+name, func(t *testing.T) {
			first := leaf(t, h.LeafAddr(), "gw-a", "gw-a", "1111")
			connected(t, h, 1)
			before := refused.of("gw-a", "2222")
			second := leaf(t, h.LeafAddr(), name, "gw-a", "2222")
			require.Eventually(t, func() bool { return refused.of("gw-a", "2222") > before+2 }, waitTimeout, 5*time.Millisecond, "it keeps trying")
			require.Equal(t, 1, h.Leafs())
			require.True(t, crosses(t, h, first, "one"))
			require.False(t, crosses(t, h, second, "two"), "nothing of the second one crosses")

			stopLeaf(first)
			connected(t, h, 1) // the second one's turn
			require.True(t, crosses(t, h, second, "three"))
			stopLeaf(second)
			connected(t, h, 0)
		})
	}
}

// The instance id of a gateway is its password at the hub: who reads it in a log takes the
// gateway's place.
func TestRefusalLogsNoCredentials(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	h, refused := guarded(t, slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug})))
	leaf(t, h.LeafAddr(), "gw-a", "gw-a", "first-secret")
	connected(t, h, 1)
	leaf(t, h.LeafAddr(), "gw-a", "gw-a", "second-secret")
	require.Eventually(t, func() bool { return refused.of("gw-a", "second-secret") > 2 }, waitTimeout, 5*time.Millisecond)
	h.Shutdown()
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, strings.Count(out.String(), "level=ERROR"), "one line, however often it tries")
	require.Contains(t, out.String(), "connection refused")
	require.NotContains(t, out.String(), "secret")
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestOthersAreLetIn(t *testing.T) {
	h, _ := guarded(t, quiet())
	for i, id := range []string{"gw-b", "gw-c"} {
		srv := leaf(t, h.LeafAddr(), fmt.Sprintf("server-%d", i), id, "same")
		connected(t, h, i+1)
		require.True(t, arrives(t, lineOf(t, h, id), srv, "hello"))
	}
	nc, err := nats.Connect(h.URL(), nats.UserInfo("core", "whatever"))
	require.NoError(t, err, "a client with credentials is let in too")
	nc.Close()
}

// The line of a gateway goes dead without a word: the hub still holds its connection when
// the gateway dials again.
func TestSameInstallationComesBackAtOnce(t *testing.T) {
	h, refused := guarded(t, quiet())
	for _, name := range []string{"gw-a", "renamed"} {
		t.Run("called "+name, func(t *testing.T) {
			line := newDeadLine(t, h.LeafAddr())
			leaf(t, line.ln.Addr().String(), "gw-a", "gw-a", "1111")
			connected(t, h, 1)
			old := h.leafIDs(t)
			line.die()
			again := leaf(t, h.LeafAddr(), name, "gw-a", "1111")
			start := time.Now()
			require.Eventually(t, func() bool {
				ids := h.leafIDs(t)
				return len(ids) == 1 && ids[0] != old[0]
			}, waitTimeout, 5*time.Millisecond, "the old connection is closed")
			require.True(t, crosses(t, h, again, "back"))
			t.Logf("back after %s", time.Since(start).Round(time.Millisecond))
			require.Zero(t, refused.of("gw-a", "1111"))
			stopLeaf(again)
			connected(t, h, 0)
		})
	}
}

// leafIDs returns the connections of gateways.
func (h *Hub) leafIDs(t *testing.T) []uint64 {
	t.Helper()
	z, err := h.srv.Leafz(&server.LeafzOptions{})
	require.NoError(t, err)
	var ids []uint64
	for _, l := range z.Leafs {
		ids = append(ids, l.ID)
	}
	return ids
}

// deadLine forwards bytes until it dies, and keeps its connections open then.
type deadLine struct {
	ln   net.Listener
	dead chan struct{}
	once sync.Once
	wg   sync.WaitGroup
}

func newDeadLine(t *testing.T, to string) *deadLine {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &deadLine{ln: ln, dead: make(chan struct{})}
	done := make(chan struct{})
	l.wg.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() { l.carry(a, to, done) })
		}
	})
	t.Cleanup(func() {
		l.die()
		close(done)
		_ = ln.Close()
		l.wg.Wait()
	})
	return l
}

func (l *deadLine) die() { l.once.Do(func() { close(l.dead) }) }

func (l *deadLine) carry(a net.Conn, to string, done <-chan struct{}) {
	defer func() { _ = a.Close() }()
	b, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = b.Close() }()
	pipe := func(from, to net.Conn) {
		buf := make([]byte, 4<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			select {
			case <-l.dead:
			default:
				_, _ = to.Write(buf[:n])
			}
		}
	}
	l.wg.Go(func() { pipe(a, b) })
	l.wg.Go(func() { pipe(b, a) })
	<-done
}
