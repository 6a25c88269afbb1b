package natsconn_test

import (
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/natsconn"
)

const waitTimeout = 180 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server; port 0 picks a free one.
func start(t *testing.T, port int, change func(*server.Options)) *server.Server {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	o := &server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { stop(s) })
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func port(t *testing.T, s *server.Server) int {
	t.Helper()
	_, p, err := net.SplitHostPort(s.Addr().String())
	require.NoError(t, err)
	n, err := strconv.Atoi(p)
	require.NoError(t, err)
	return n
}

func connect(t *testing.T, o natsconn.Options) (*nats.Conn, *logtest.Buffer) {
	t.Helper()
	var log logtest.Buffer
	o.Name = "test"
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Extra = append(o.Extra, nats.ReconnectWait(10*time.Millisecond))
	nc, err := natsconn.Connect(o)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc, &log
}

// receives waits until a message published by nc comes back to it.
func receives(t *testing.T, nc *nats.Conn) {
	t.Helper()
	sub, err := nc.SubscribeSync(nats.NewInbox())
	require.NoError(t, err)
	require.NoError(t, nc.Publish(sub.Subject, []byte("x")))
	_, err = sub.NextMsg(waitTimeout)
	require.NoError(t, err)
}

func TestReconnectsToARestartedServer(t *testing.T) {
	s := start(t, 0, nil)
	var again atomic.Int32
	nc, log := connect(t, natsconn.Options{URL: s.ClientURL(), MustConnect: true, OnReconnect: func() { again.Add(1) }})
	receives(t, nc)
	require.Zero(t, again.Load(), "the first connection is no reconnect")

	for i := range 2 {
		p := port(t, s)
		stop(s)
		require.Eventually(t, nc.IsReconnecting, waitTimeout, time.Millisecond)
		s = start(t, p, nil)
		require.Eventually(t, func() bool { return again.Load() == int32(i+1) }, waitTimeout, time.Millisecond)
		receives(t, nc)
	}
	require.Contains(t, log.String(), "NATS connection lost, reconnecting")
	require.Contains(t, log.String(), "NATS reconnected")
}

func TestServerMayComeLater(t *testing.T) {
	s := start(t, 0, nil)
	p, url := port(t, s), s.ClientURL()
	stop(s)

	var again atomic.Int32
	nc, log := connect(t, natsconn.Options{URL: url, OnReconnect: func() { again.Add(1) }})
	require.False(t, nc.IsConnected())
	require.Contains(t, log.String(), "NATS unreachable, retrying")

	start(t, p, nil)
	require.Eventually(t, nc.IsConnected, waitTimeout, time.Millisecond)
	receives(t, nc)
	require.Zero(t, again.Load(), "a late first connection is no reconnect")
	require.Eventually(t, func() bool { return strings.Contains(log.String(), `level=INFO msg="NATS connected"`) }, waitTimeout, time.Millisecond)
}

func TestMustConnectFailsAtOnce(t *testing.T) {
	_, err := natsconn.Connect(natsconn.Options{
		URL: "nats://127.0.0.1:1,nats://127.0.0.1:2", Name: "test", Log: slog.New(slog.DiscardHandler), MustConnect: true,
	})
	require.ErrorIs(t, err, nats.ErrNoServers)
}

func TestRedactHidesEverySecretAndNamesEveryHost(t *testing.T) {
	for url, want := range map[string]string{
		"nats://hub:4222":                          "nats://hub:4222",
		"nats://user:secret@a:1,nats://secret@b:2": "nats://xxxxx@a:1,nats://xxxxx@b:2",
		"a:1,user:secret@b:2":                      "xxxxx@b:2",
		"secret@a:1":                               "xxxxx@a:1",
		"nats://user:secret,secret@a:1":            "nats://xxxxx@a:1",
		"nats://user:secret@secret@a:1":            "nats://xxxxx@a:1",
		"nats://user:secret/%@a:1":                 "nats://xxxxx@a:1",
		"":                                         "",
	} {
		require.Equal(t, want, natsconn.Redact(url))
	}
}

// The log of a late connection and of a reconnect, and every error, are searched for the secret.
func TestSecretOfTheURLIsNeitherInLogsNorInErrors(t *testing.T) {
	for _, user := range []string{"user:secret", "secret"} {
		s := start(t, 0, nil)
		p := port(t, s)
		stop(s)
		nc, log := connect(t, natsconn.Options{URL: "nats://" + user + "@127.0.0.1:" + strconv.Itoa(p)})
		logged := func(text string) func() bool { return func() bool { return strings.Contains(log.String(), text) } }
		for _, until := range []string{"NATS connected", "NATS reconnected"} {
			s = start(t, p, nil)
			require.Eventually(t, logged(until), waitTimeout, time.Millisecond)
			stop(s)
			require.Eventually(t, nc.IsReconnecting, waitTimeout, time.Millisecond)
		}
		nc.Close()
		require.Contains(t, log.String(), "nats://xxxxx@127.0.0.1:")
		require.NotContains(t, log.String(), "secret")

		for _, url := range []string{"nats://" + user + "@127.0.0.1:1", "nats://" + user + "@127.0.0.1:x", "nats://user:secret/x@127.0.0.1:1"} {
			_, err := natsconn.Connect(natsconn.Options{URL: url, Name: "test", Log: slog.New(slog.DiscardHandler), MustConnect: true})
			require.ErrorContains(t, err, "xxxxx@127.0.0.1:")
			require.NotContains(t, err.Error(), "secret")
		}
	}
}

func TestRequiredOptionsAreChecked(t *testing.T) {
	_, err := natsconn.Connect(natsconn.Options{Name: "test"})
	require.ErrorContains(t, err, "Options.Log")
	_, err = natsconn.Connect(natsconn.Options{Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "Options.Name")
}

func TestConnectsInProcess(t *testing.T) {
	s := start(t, 0, func(o *server.Options) { o.DontListen = true })
	nc, _ := connect(t, natsconn.Options{InProcess: s, MustConnect: true})
	receives(t, nc)
}

func TestUserIsCheckedAndRefusalIsNotFinal(t *testing.T) {
	users := []*server.User{{Username: "core", Password: "right"}}
	s := start(t, 0, func(o *server.Options) { o.Users = users })
	nc, log := connect(t, natsconn.Options{URL: s.ClientURL(), MustConnect: true, User: "core", Password: "right"})
	receives(t, nc)

	// The server comes back without the user, refuses many times, and then knows it again.
	p := port(t, s)
	stop(s)
	s = start(t, p, func(o *server.Options) { o.Users = []*server.User{{Username: "other", Password: "x"}} })
	require.Eventually(t, func() bool { return strings.Count(log.String(), nats.ErrAuthorization.Error()) > 5 }, waitTimeout, time.Millisecond)
	require.False(t, nc.IsClosed())
	stop(s)
	start(t, p, func(o *server.Options) { o.Users = users })
	require.Eventually(t, nc.IsConnected, waitTimeout, time.Millisecond)
	receives(t, nc)
}

func TestErrorsReachTheLog(t *testing.T) {
	s := start(t, 0, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"allowed"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"allowed"}},
		}}}
	})
	nc, log := connect(t, natsconn.Options{URL: s.ClientURL(), MustConnect: true, User: "u", Password: "p"})
	logged := func(text string) func() bool {
		return func() bool { return strings.Contains(log.String(), text) }
	}

	require.NoError(t, nc.Publish("forbidden", nil))
	require.Eventually(t, logged("Permissions Violation"), waitTimeout, time.Millisecond)

	sub, err := nc.SubscribeSync("allowed")
	require.NoError(t, err)
	require.NoError(t, sub.SetPendingLimits(1, -1))
	for range 10 {
		require.NoError(t, nc.Publish("allowed", nil))
	}
	require.Eventually(t, logged("subject=allowed"), waitTimeout, time.Millisecond)
}

func TestOwnCloseIsNotReportedAsLoss(t *testing.T) {
	s := start(t, 0, nil)
	closed := make(chan struct{})
	nc, log := connect(t, natsconn.Options{
		URL: s.ClientURL(), MustConnect: true,
		Extra: []nats.Option{nats.ClosedHandler(func(*nats.Conn) { close(closed) })},
	})
	nc.Close()
	<-closed
	require.NotContains(t, log.String(), "level=WARN")
}
