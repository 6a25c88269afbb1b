package relay

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// external is the NATS server that deploy/nats/hub.conf describes, with keys made for the test.
type external struct {
	t    *testing.T
	srv  *server.Server
	leaf string
	keys map[string]string // files with seeds, by the names in the file
}

func startExternal(t *testing.T) *external {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/nats/hub.conf")
	require.NoError(t, err)
	e := &external{t: t, keys: map[string]string{}}
	dir := t.TempDir()
	text := regexp.MustCompile(`UKEY_OF_[A-Z_]+`).ReplaceAllStringFunc(string(raw), func(name string) string {
		kp, err := nkeys.CreateUser()
		require.NoError(t, err)
		seed, err := kp.Seed()
		require.NoError(t, err)
		public, err := kp.PublicKey()
		require.NoError(t, err)
		e.keys[name] = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(e.keys[name], seed, 0o600))
		return public
	})
	text = strings.NewReplacer("127.0.0.1:4230", "127.0.0.1:-1", "127.0.0.1:7422", "127.0.0.1:-1").Replace(text)
	conf := filepath.Join(dir, "hub.conf")
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	o, err := server.ProcessConfigFile(conf)
	require.NoError(t, err)
	o.NoSigs, o.NoLog = true, true
	e.srv, err = server.NewServer(o)
	require.NoError(t, err)
	e.srv.Start()
	require.True(t, e.srv.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { e.srv.Shutdown(); e.srv.WaitForShutdown() })
	varz, err := e.srv.Varz(nil)
	require.NoError(t, err)
	e.leaf = fmt.Sprintf("127.0.0.1:%d", varz.LeafNode.Port)
	return e
}

func (e *external) gateway(id, name string, want *expected) *gateway {
	e.t.Helper()
	seed, err := os.ReadFile(e.keys[name])
	require.NoError(e.t, err)
	return newKeyed(e.t, id, "1111111111111111", string(seed), e.leaf, want)
}

// program connects as one.
func (e *external) program(name string, violations chan<- error) *nats.Conn {
	e.t.Helper()
	key, err := nats.NkeyOptionFromSeed(e.keys[name])
	require.NoError(e.t, err)
	nc, err := nats.Connect(e.srv.ClientURL(), key, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	require.NoError(e.t, err)
	e.t.Cleanup(nc.Close)
	return nc
}

func TestExternalHubWithAccounts(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	p, want := newCluster(t), newExpected()
	p.cfg.HubURL, p.cfg.HubKeyFile = e.srv.ClientURL(), e.keys["UKEY_OF_BRIDGE"]
	b := p.bridge(nil)
	a, stolen := e.gateway("gw-a", "UKEY_OF_GW_A", want), e.gateway("gw-b", "UKEY_OF_GW_B", want)
	a.storeMany(20, 10)
	stolen.storeMany(20, 10)
	want.check(t, p)

	// What a stolen gateway says about another one, and asks of it, gets nowhere.
	violations := make(chan error, 100)
	portal := e.program("UKEY_OF_PORTAL", violations)
	beats, err := portal.SubscribeSync(wire.StatusSubjects)
	require.NoError(t, err)
	require.NoError(t, portal.Flush())
	_, err = a.nc.Subscribe(wire.DevicesSubject("gw-a"), func(m *nats.Msg) { _ = m.Respond([]byte("taken")) })
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		m, err := b.nc.Request(wire.DevicesSubject("gw-a"), nil, waitTimeout)
		return err == nil && string(m.Data) == "taken"
	}, waitTimeout, 10*time.Millisecond, "the bridge hands over records of devices")
	name := wire.PackStream("gw-a")
	for _, subject := range []string{
		"$JS.gw-a.API.STREAM.INFO." + name, "$JS.gw-a.API.STREAM.PURGE." + name, "$JS.gw-a.API.STREAM.DELETE." + name, wire.PackSubject("gw-a"),
		wire.DevicesSubject("gw-a"),
	} {
		_, err := stolen.nc.Request(subject, nil, waitTimeout)
		require.ErrorIs(t, err, nats.ErrNoResponders, subject)
	}
	require.NoError(t, stolen.nc.Publish(wire.StatusSubject("gw-a"), []byte("forged")))
	require.NoError(t, stolen.nc.Publish(wire.LiveSubject("gw-a"), []byte("forged")))
	own := false
	for !own {
		m, err := beats.NextMsg(waitTimeout)
		require.NoError(t, err)
		require.NotEqual(t, "forged", string(m.Data))
		own = m.Subject == wire.StatusSubject("gw-b")
	}
	a.storeMany(20, 10)
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"))

	// core and portal have the rights of their roles and no other.
	core := e.program("UKEY_OF_CORE", violations)
	_, err = core.Subscribe(wire.ExplainSubject, func(m *nats.Msg) { _ = m.Respond([]byte("because")) })
	require.NoError(t, err)
	require.NoError(t, core.Flush())
	answer, err := portal.Request(wire.ExplainSubject, nil, waitTimeout)
	require.NoError(t, err)
	require.Equal(t, "because", string(answer.Data))
	require.Empty(t, violations)
	for nc, subjects := range map[*nats.Conn][]string{
		portal: {wire.LiveSubject("gw-a"), wire.DevicesSubject("gw-a"), "$JS.gw-a.API.STREAM.PURGE." + name}, core: {wire.StatusSubject("gw-a"), "$JS.gw-a.API.STREAM.PURGE." + name},
	} {
		for _, subject := range subjects {
			require.NoError(t, nc.Publish(subject, nil))
			require.ErrorIs(t, <-violations, nats.ErrPermissionViolation, subject)
		}
	}

	// A connection without a key of the file is refused.
	_, err = nats.Connect(e.srv.ClientURL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	stranger := newKeyed(t, "gw-c", "1111111111111111", "", e.leaf, newExpected())
	_, err = stranger.nc.Request("$JS.gw-a.API.STREAM.INFO."+name, nil, waitTimeout)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	require.Zero(t, stranger.srv.NumLeafNodes())
}
