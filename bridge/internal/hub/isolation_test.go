package hub

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// box is a gateway with packs, and a program on it that says whatever it likes.
type box struct {
	id  string
	srv *server.Server
	nc  *nats.Conn
	js  jetstream.JetStream
}

func newBox(t *testing.T, h *Hub, id string) *box {
	t.Helper()
	uplink := server.NewAccount("UPLINK")
	so := &server.Options{
		ServerName: id, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Accounts: []*server.Account{uplink}, NoAuthUser: "uplink",
		Users:     []*server.User{{Username: "uplink", Password: "x", Account: uplink}},
		JetStream: true, JetStreamDomain: wire.Domain(id), StoreDir: t.TempDir(),
	}
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		LocalAccount: "UPLINK", URLs: []*url.URL{{Scheme: "nats-leaf", User: url.UserPassword(id, "1111"), Host: h.LeafAddr()}},
	}}
	srv, err := server.NewServer(so)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { stopLeaf(srv) })
	account, err := srv.LookupAccount("UPLINK")
	require.NoError(t, err)
	require.NoError(t, account.EnableJetStream(nil, nil))
	b := &box{id: id, srv: srv}
	b.nc, err = nats.Connect(srv.ClientURL())
	require.NoError(t, err)
	t.Cleanup(b.nc.Close)
	b.js, err = jetstream.New(b.nc)
	require.NoError(t, err)
	_, err = b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: wire.PackStream(id), Subjects: []string{wire.PackSubject(id)}})
	require.NoError(t, err)
	_, err = b.js.Publish(t.Context(), wire.PackSubject(id), []byte("pack"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return h.packs(t, id) == 1 }, waitTimeout, 10*time.Millisecond, "its line reaches its stream")
	return b
}

// packs returns how many packs a gateway has, as its line sees it; -1 while that does not reach it.
func (h *Hub) packs(t *testing.T, gateway string) int {
	t.Helper()
	nc, err := h.Line(gateway)
	if err != nil {
		return -1
	}
	js, err := jetstream.NewWithDomain(nc, wire.Domain(gateway))
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), wire.PackStream(gateway))
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

// ear hears everything that an account of the hub, or a gateway, lets it hear.
func ear(t *testing.T, nc *nats.Conn) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(">")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return sub
}

func (h *Hub) inPlant(t *testing.T) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(h.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// A stolen gateway asks for another one's packs, by the domain of its store.
func TestGatewayCannotTouchThePacksOfAnother(t *testing.T) {
	h, _ := guarded(t, quiet())
	newBox(t, h, "gw-a")
	stolen := newBox(t, h, "gw-b")
	js, err := jetstream.NewWithDomain(stolen.nc, wire.Domain("gw-a"))
	require.NoError(t, err)
	name := wire.PackStream("gw-a")
	for what, try := range map[string]func() error{
		"info":     func() error { _, err := js.Stream(t.Context(), name); return err },
		"delete":   func() error { return js.DeleteStream(t.Context(), name) },
		"consumer": func() error { _, err := js.CreateConsumer(t.Context(), name, jetstream.ConsumerConfig{}); return err },
		"purge": func() error {
			_, err := stolen.nc.Request("$JS.gw-a.API.STREAM.PURGE."+name, nil, waitTimeout)
			return err
		},
		"read": func() error {
			_, err := stolen.nc.Request("$JS.gw-a.API.DIRECT.GET."+name+".1", nil, waitTimeout)
			return err
		},
		"store": func() error {
			_, err := stolen.nc.Request(wire.PackSubject("gw-a"), []byte("forged"), waitTimeout)
			return err
		},
	} {
		require.ErrorIs(t, try(), nats.ErrNoResponders, what)
	}
	require.Equal(t, 1, h.packs(t, "gw-a"))
}

// A stolen gateway speaks for another one, for core and for the plant, and listens to everything.
func TestGatewaySpeaksAndHearsForItselfAlone(t *testing.T) {
	h, _ := guarded(t, quiet())
	other, stolen := newBox(t, h, "gw-a"), newBox(t, h, "gw-b")
	plant := h.inPlant(t)
	centre, neighbour, own := ear(t, plant), ear(t, other.nc), ear(t, stolen.nc)

	for _, subject := range []string{
		wire.StatusSubject("gw-a"), wire.LedgerSubject("gw-b"), wire.LiveSubject("gw-b"), wire.FreshSubject("gw-b"), wire.PeersSubject,
		wire.AggregateSubject, "alerts.critical", wire.ExplainSubject, wire.PackSubject("gw-a"), "processes.core", "processes.edge.loglevel",
	} {
		require.NoError(t, stolen.nc.Publish(subject, []byte(`{"gateway":"gw-a"}`)))
	}
	forged, err := json.Marshal(wire.Vitals{Program: "edge", Instance: "gw-a"})
	require.NoError(t, err)
	require.NoError(t, stolen.nc.Publish(wire.VitalsSubject("edge"), forged))
	require.NoError(t, plant.Publish(wire.LiveSubject("gw-a"), []byte("of the plant")))

	// What may pass comes after all this on the same line.
	vitals, err := json.Marshal(wire.Vitals{Program: "edge", Instance: "gw-b"})
	require.NoError(t, err)
	require.NoError(t, stolen.nc.Publish(wire.VitalsSubject("edge"), vitals))
	require.NoError(t, stolen.nc.Publish(wire.StatusSubject("gw-b"), []byte("beat")))
	heard := map[string]string{}
	for len(heard) < 3 {
		m, err := centre.NextMsg(waitTimeout)
		require.NoError(t, err)
		heard[m.Subject] = string(m.Data)
	}
	require.Equal(t, map[string]string{
		wire.LiveSubject("gw-a"): "of the plant", wire.VitalsSubject("edge"): string(vitals), wire.StatusSubject("gw-b"): "beat",
	}, heard)

	require.NoError(t, other.nc.Publish("end", nil))
	m, err := neighbour.NextMsg(waitTimeout)
	require.NoError(t, err)
	require.Equal(t, "end", m.Subject, "nothing came before it")
	require.NoError(t, stolen.nc.Flush())
	for n, _, err := own.Pending(); n > 0; n-- {
		require.NoError(t, err)
		m, err := own.NextMsg(waitTimeout)
		require.NoError(t, err)
		require.NotContains(t, string(m.Data), "of the plant")
	}
}

func TestQuestionReachesItsGatewayAlone(t *testing.T) {
	h, _ := guarded(t, quiet())
	a, b := newBox(t, h, "gw-a"), newBox(t, h, "gw-b")
	for _, x := range []*box{a, b} {
		for _, subject := range []string{wire.LogLevelSubject("edge"), wire.TraceSubject} {
			_, err := x.nc.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte(x.id)) })
			require.NoError(t, err)
		}
		require.NoError(t, x.nc.Flush())
	}
	plant := h.inPlant(t)
	ask := func(subject string, question any) (string, error) {
		q, err := json.Marshal(question)
		require.NoError(t, err)
		m, err := plant.Request(subject, q, 3*askTimeout)
		if err != nil {
			return "", err
		}
		return string(m.Data), nil
	}
	for _, id := range []string{"gw-a", "gw-b"} {
		for subject, question := range map[string]any{
			wire.LogLevelSubject("edge"): wire.LogLevelRequest{Instance: id, Level: "debug"},
			wire.TraceSubject:            wire.TraceRequest{Instance: id, DeviceID: "d"},
		} {
			require.Eventually(t, func() bool { answer, _ := ask(subject, question); return answer == id }, waitTimeout, time.Millisecond, "the interest travels first")
		}
	}
}

func TestLineToAStrangerIsRefused(t *testing.T) {
	h, _ := guarded(t, quiet())
	_, err := h.Line("gw-a")
	require.ErrorIs(t, err, ErrNoLine)
	for _, user := range []string{BridgeUser(""), BridgeUser("a.b"), BridgeUser(">")} {
		_, err := nats.Connect(h.URL(), nats.UserInfo(user, ""))
		require.ErrorIs(t, err, nats.ErrAuthorization, user)
	}
	for _, id := range []string{"", "a.b", "*"} {
		leaf(t, h.LeafAddr(), "stranger", id, "1111")
	}
	leaf(t, h.LeafAddr(), "gw-a", "gw-a", "1111")
	lineOf(t, h, "gw-a")
	connected(t, h, 1)
}
