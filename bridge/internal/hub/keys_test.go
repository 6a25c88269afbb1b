package hub

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/registry"
	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/wire"
)

// guardedHub is a hub at which everybody has to prove who they are.
type guardedHub struct {
	*Hub
	t    *testing.T
	reg  *registry.Registry
	kept sync.Map // records by key
}

func newGuardedHub(t *testing.T, mode registry.Mode) *guardedHub {
	t.Helper()
	g := &guardedHub{t: t}
	var h atomic.Pointer[Hub]
	var err error
	g.reg, err = registry.New(registry.Options{
		Mode: mode, Log: quiet(), Registry: prometheus.NewRegistry(),
		Keep: func(_ context.Context, key string, value []byte) error { g.kept.Store(key, value); return nil },
		Changed: func() {
			if h := h.Load(); h != nil {
				go h.Recheck()
			}
		},
	})
	require.NoError(t, err)
	g.reg.Complete()
	g.Hub, err = New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: quiet(), Gate: g.reg})
	require.NoError(t, err)
	h.Store(g.Hub)
	t.Cleanup(g.Shutdown)
	return g
}

// key is an nkey.
type key struct{ seed, public string }

func newKey(t *testing.T) key {
	t.Helper()
	kp, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err := kp.Seed()
	require.NoError(t, err)
	public, err := kp.PublicKey()
	require.NoError(t, err)
	return key{string(seed), public}
}

func (k key) option(t *testing.T) nats.Option {
	t.Helper()
	kp, err := nkeys.FromSeed([]byte(k.seed))
	require.NoError(t, err)
	return nats.Nkey(k.public, kp.Sign)
}

func (g *guardedHub) set(r access.Gateway) {
	g.reg.Apply(access.GatewayRecordKey(r.ID), r.Encode())
}

func (g *guardedHub) enrol(id string, k key) {
	g.set(access.Gateway{ID: id, Keys: []access.Key{{Public: k.public}}})
}

func (g *guardedHub) program(name string, role access.Role, k key) {
	c := access.Client{Name: name, Role: role, Public: k.public}
	g.reg.Apply(access.ClientRecordKey(name), c.Encode())
}

// dial starts a gateway's server that dials as id with a key, empty for none, and a password.
func (g *guardedHub) dial(id string, k key, password string) *server.Server {
	g.t.Helper()
	return dialling(g.t, g.LeafAddr(), func(o *server.RemoteLeafOpts, remote *url.URL) {
		remote.User, o.Nkey = url.UserPassword(id, password), k.seed
	})
}

func dialling(t *testing.T, addr string, set func(*server.RemoteLeafOpts, *url.URL)) *server.Server {
	t.Helper()
	remote := &url.URL{Scheme: "nats-leaf", Host: addr}
	o := &server.RemoteLeafOpts{URLs: []*url.URL{remote}}
	set(o, remote)
	so := &server.Options{ServerName: "gateway", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	so.LeafNode.ReconnectInterval = 50 * time.Millisecond
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{o}
	srv, err := server.NewServer(so)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { stopLeaf(srv) })
	return srv
}

// refusedLeaf waits until a gateway was refused, and requires that it is not connected.
func (g *guardedHub) refusedLeaf(srv *server.Server, why string) {
	g.t.Helper()
	require.Eventually(g.t, func() bool {
		g.guard.mu.Lock()
		defer g.guard.mu.Unlock()
		for line := range g.guard.logged {
			if strings.HasPrefix(line, "gateway ") && strings.Contains(line, why) {
				return true
			}
		}
		return false
	}, waitTimeout, 5*time.Millisecond, why)
	require.Zero(g.t, srv.NumLeafNodes())
	g.guard.mu.Lock()
	clear(g.guard.logged)
	g.guard.mu.Unlock()
	stopLeaf(srv)
}

func inAtOnce(t *testing.T, srv *server.Server) {
	t.Helper()
	require.Eventually(t, func() bool { return srv.NumLeafNodes() == 1 }, waitTimeout, 5*time.Millisecond, "it is connected")
}

func TestGatewayWithoutItsKeyIsRefused(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	right, wrong := newKey(t), newKey(t)
	g.enrol("gw-a", right)
	g.set(access.Gateway{ID: "gw-r", Keys: []access.Key{{Public: right.public}}, Revoked: 1})

	g.refusedLeaf(g.dial("gw-a", key{}, "1111"), access.ErrNoKey.Error())
	g.refusedLeaf(g.dial("gw-a", wrong, "1111"), access.ErrKey.Error())
	g.refusedLeaf(g.dial("gw-x", right, "1111"), access.ErrUnknown.Error())
	g.refusedLeaf(g.dial("gw-r", right, "1111"), access.ErrRevoked.Error())
	g.refusedLeaf(g.dial("../a", right, "1111"), errID.Error())
	inAtOnce(t, g.dial("gw-a", right, "1111"))
}

func TestSignatureOfAnotherNonceProvesNothing(t *testing.T) {
	right := newKey(t)
	kp, err := nkeys.FromSeed([]byte(right.seed))
	require.NoError(t, err)
	sign := func(nonce string) string {
		signature, err := kp.Sign([]byte(nonce))
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(signature)
	}
	for name, tt := range map[string]struct {
		opts server.ClientOpts
		key  string
		err  error
	}{
		"right":               {server.ClientOpts{Nkey: right.public, Sig: sign("now")}, right.public, nil},
		"no key":              {server.ClientOpts{}, "", nil},
		"an old nonce":        {server.ClientOpts{Nkey: right.public, Sig: sign("then")}, "", errSignature},
		"another's signature": {server.ClientOpts{Nkey: newKey(t).public, Sig: sign("now")}, "", errSignature},
		"no signature":        {server.ClientOpts{Nkey: right.public}, "", errSignature},
		"no base64":           {server.ClientOpts{Nkey: right.public, Sig: "!"}, "", errSignature},
		"no key, but claimed": {server.ClientOpts{Nkey: "UABC", Sig: sign("now")}, "", errSignature},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := provedKey(&connection{opts: tt.opts})
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.key, got)
		})
	}
}

// connection is one that was given the nonce "now".
type connection struct {
	server.ClientAuthentication

	opts server.ClientOpts
}

func (c *connection) GetOpts() *server.ClientOpts { return &c.opts }
func (c *connection) GetNonce() []byte            { return []byte("now") }

func TestClaimWorksOnce(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	secret := access.NewSecret()
	open := func(until time.Time) *access.Open {
		return &access.Open{Hash: access.HashOf(secret), Until: until.UnixMilli()}
	}
	g.set(access.Gateway{ID: "gw-a", Claim: open(time.Now().Add(time.Hour))})
	g.set(access.Gateway{ID: "gw-late", Claim: open(time.Now().Add(-time.Second))})
	g.set(access.Gateway{ID: "gw-other", Claim: &access.Open{Hash: access.HashOf("another"), Until: time.Now().Add(time.Hour).UnixMilli()}})
	first, second := newKey(t), newKey(t)

	g.refusedLeaf(g.dial("gw-a", key{}, access.ClaimPassword(secret)), access.ErrNoKey.Error())
	g.refusedLeaf(g.dial("gw-a", first, access.ClaimPassword("guess")), access.ErrSpent.Error())
	g.refusedLeaf(g.dial("gw-late", first, access.ClaimPassword(secret)), access.ErrExpired.Error())
	g.refusedLeaf(g.dial("gw-other", first, access.ClaimPassword(secret)), access.ErrSpent.Error())

	srv := g.dial("gw-a", first, access.ClaimPassword(secret))
	inAtOnce(t, srv)
	kept, ok := g.kept.Load(access.GatewayRecordKey("gw-a"))
	require.True(t, ok, "it is written down before the gateway is in")
	require.Contains(t, fmt.Sprintf("%s", kept), first.public)
	g.refusedLeaf(g.dial("gw-a", second, access.ClaimPassword(secret)), access.ErrSpent.Error())
	stopLeaf(srv)
	inAtOnce(t, g.dial("gw-a", first, "1111"))
}

func TestClaimThatTwoUseAtOnceIsUsedByOne(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	secret := access.NewSecret()
	g.set(access.Gateway{ID: "gw-a", Claim: &access.Open{Hash: access.HashOf(secret), Until: time.Now().Add(time.Hour).UnixMilli()}})
	const racers = 8
	var won atomic.Int32
	var running sync.WaitGroup
	for range racers {
		k := newKey(t)
		running.Go(func() {
			if known, _, err := g.reg.Gateway("gw-a", k.public, secret); err == nil && known {
				won.Add(1)
			}
		})
	}
	running.Wait()
	require.Equal(t, int32(1), won.Load())
}

// The one that came first under a gateway's id kept the real one out.
func TestStrangerKeepsNobodyOut(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	right := newKey(t)
	g.enrol("gw-b", right)
	stranger := g.dial("gw-b", newKey(t), "1111")
	g.refusedLeaf(stranger, access.ErrKey.Error())
	first := g.dial("gw-b", right, "1111")
	inAtOnce(t, first)
	// Its line breaks without a word, and it comes back.
	old := g.leafIDs(t)
	again := g.dial("gw-b", right, "2222")
	require.Eventually(t, func() bool {
		ids := g.leafIDs(t)
		return len(ids) == 1 && ids[0] != old[0]
	}, waitTimeout, 5*time.Millisecond, "the newer one")
	stopLeaf(first)
	inAtOnce(t, again)
}

func TestRevokedGatewayIsCut(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	k := newKey(t)
	g.enrol("gw-a", k)
	srv := g.dial("gw-a", k, "1111")
	inAtOnce(t, srv)
	g.set(access.Gateway{ID: "gw-a", Keys: []access.Key{{Public: k.public}}, Revoked: time.Now().UnixMilli()})
	require.Eventually(t, func() bool { return g.Leafs() == 0 }, waitTimeout, time.Millisecond)
	g.refusedLeaf(srv, access.ErrRevoked.Error())
}

func TestProgramsHaveTheRightsOfTheirRole(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	keys := map[access.Role]key{}
	for _, role := range access.Roles() {
		keys[role] = newKey(t)
		g.program(string(role), role, keys[role])
	}
	gw := newKey(t)
	g.enrol("gw-a", gw)
	inAtOnce(t, g.dial("gw-a", gw, "1111"))

	connect := func(role access.Role, user string) (*nats.Conn, error) {
		return nats.Connect(g.URL(), keys[role].option(t), nats.UserInfo(user, ""), nats.MaxReconnects(0))
	}
	_, err := nats.Connect(g.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization, "no key")
	_, err = nats.Connect(g.URL(), nats.UserInfo("hub", "guess"))
	require.ErrorIs(t, err, nats.ErrAuthorization, "the hub's own name")
	_, err = nats.Connect(g.URL(), newKey(t).option(t))
	require.ErrorIs(t, err, nats.ErrAuthorization, "a strange key")
	for _, role := range []access.Role{access.RoleCore, access.RolePortal} {
		_, err = connect(role, BridgeUser("gw-a"))
		require.ErrorIs(t, err, nats.ErrAuthorization, "%s reads a gateway", role)
	}
	reader, err := connect(access.RoleBridge, BridgeUser("gw-a"))
	require.NoError(t, err)
	reader.Close()

	plant := g.porter.plant // may do everything
	for role, r := range rights {
		violations := make(chan error, 10)
		nc, err := nats.Connect(g.URL(), keys[role].option(t), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		all, err := plant.SubscribeSync(">")
		require.NoError(t, err)
		require.NoError(t, plant.Flush())
		for _, subject := range r.say {
			require.NoError(t, nc.Publish(concrete(subject), []byte(role)))
		}
		for _, subject := range r.hear {
			sub, err := nc.SubscribeSync(subject)
			require.NoError(t, err)
			require.NoError(t, nc.Flush())
			require.NoError(t, plant.Publish(concrete(subject), []byte("heard")))
			m, err := sub.NextMsg(waitTimeout)
			require.NoError(t, err, "%s hears %s", role, subject)
			require.Equal(t, "heard", string(m.Data))
			require.NoError(t, sub.Unsubscribe())
		}
		said := map[string]bool{}
		for range r.say {
			m, err := all.NextMsg(waitTimeout)
			require.NoError(t, err)
			if string(m.Data) == string(role) {
				said[m.Subject] = true
			}
		}
		require.Len(t, said, len(r.say), "%s says what it may", role)
		require.Empty(t, violations)
		for _, subject := range []string{wire.StatusSubject("gw-a"), wire.PackSubject("gw-a"), "$JS.gw-a.API.INFO", "anything", strings.TrimSuffix(wire.Inboxes, ">") + "x"} {
			require.NoError(t, nc.Publish(subject, nil))
			require.ErrorIs(t, <-violations, nats.ErrPermissionViolation, "%s says %s", role, subject)
		}
		_, err = nc.Subscribe(">", func(*nats.Msg) {})
		require.NoError(t, err)
		require.ErrorIs(t, <-violations, nats.ErrPermissionViolation, "%s hears everything", role)
		require.NoError(t, all.Unsubscribe())
	}
}

// concrete is a subject that a pattern matches.
func concrete(pattern string) string {
	out := []byte(pattern)
	for i, c := range out {
		if c == '*' || c == '>' {
			out[i] = 'x'
		}
	}
	return string(out)
}

// Only the hub's own connection may do everything, not a program that takes its name.
func TestNameOfTheHubGivesNoRights(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	k := newKey(t)
	g.program("bridge-2", access.RoleBridge, k)
	violations := make(chan error, 1)
	nc, err := nats.Connect(g.URL(), k.option(t), nats.UserInfo(hubUser, ""), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	require.NoError(t, nc.Publish(wire.StatusSubject("gw-a"), nil))
	require.ErrorIs(t, <-violations, nats.ErrPermissionViolation)
}

func TestAnsweringIsAllowedToWhoWasAsked(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	connect := func(role access.Role) *nats.Conn {
		k := newKey(t)
		g.program(string(role), role, k)
		nc, err := nats.Connect(g.URL(), k.option(t))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	core, portal := connect(access.RoleCore), connect(access.RolePortal)
	_, err := core.Subscribe(wire.ExplainSubject, func(m *nats.Msg) { _ = m.Respond([]byte("because")) })
	require.NoError(t, err)
	require.NoError(t, core.Flush())
	m, err := portal.Request(wire.ExplainSubject, nil, waitTimeout)
	require.NoError(t, err)
	require.Equal(t, "because", string(m.Data))
}

func TestRevokedProgramIsCut(t *testing.T) {
	g := newGuardedHub(t, registry.Required)
	k := newKey(t)
	g.program("portal", access.RolePortal, k)
	closed := make(chan struct{})
	nc, err := nats.Connect(g.URL(), k.option(t), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	g.reg.Apply(access.ClientRecordKey("portal"), nil)
	<-closed
	_, err = nats.Connect(g.URL(), k.option(t))
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func TestObserveLetsInWhoHasNoKeyYet(t *testing.T) {
	g := newGuardedHub(t, registry.Observe)
	right := newKey(t)
	g.enrol("gw-a", right)
	inAtOnce(t, g.dial("gw-old", key{}, "1111"))
	require.Equal(t, []string{"gw-old"}, g.reg.Unproved())
	g.refusedLeaf(g.dial("gw-a", key{}, "1111"), access.ErrNoKey.Error())
	inAtOnce(t, g.dial("gw-a", right, "1111"))
	stranger := g.dial("gw-old", newKey(t), "2222")
	g.refusedLeaf(stranger, errTwin.Error())
	nc, err := nats.Connect(g.URL())
	require.NoError(t, err, "a program without a key")
	nc.Close()

	secret := access.NewSecret()
	g.set(access.Gateway{ID: "gw-old", Claim: &access.Open{Hash: access.HashOf(secret), Until: time.Now().Add(time.Hour).UnixMilli()}})
	require.Eventually(t, func() bool { return g.Leafs() == 2 }, waitTimeout, time.Millisecond, "it stays until it has a key")
	inAtOnce(t, g.dial("gw-old", newKey(t), access.ClaimPassword(secret)))
	require.Empty(t, g.reg.Unproved())
}

func TestNobodyIsLetInBeforeTheRecordsWereRead(t *testing.T) {
	for _, mode := range []registry.Mode{registry.Observe, registry.Required} {
		r, err := registry.New(registry.Options{
			Mode: mode, Log: quiet(), Registry: prometheus.NewRegistry(), Changed: func() {},
			Keep: func(context.Context, string, []byte) error { return nil },
		})
		require.NoError(t, err)
		require.ErrorIs(t, r.Ready(), access.ErrUnread)
		_, _, err = r.Gateway("gw-a", "", "")
		require.ErrorIs(t, err, access.ErrUnread)
	}
}
