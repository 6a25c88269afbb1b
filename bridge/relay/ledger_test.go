package relay

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// ledgers keeps the newest ledger of each gateway, as published at the hub.
type ledgers struct {
	t  *testing.T
	mu sync.Mutex
	of map[string]wire.GatewayLedger
}

func (b *bridge) ledgers(t *testing.T) *ledgers {
	t.Helper()
	l := &ledgers{t: t, of: map[string]wire.GatewayLedger{}}
	nc, err := nats.Connect(b.HubURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	_, err = nc.Subscribe(wire.LedgerSubjects, func(m *nats.Msg) {
		got, err := wire.DecodeGatewayLedger(m.Data)
		if err != nil || m.Subject != wire.LedgerSubject(got.Gateway) {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.of[got.Gateway] = got
	})
	require.NoError(t, err)
	return l
}

// becomes waits for a ledger.
func (l *ledgers) becomes(gateway, what string, ok func(wire.GatewayLedger) bool) wire.GatewayLedger {
	l.t.Helper()
	get := func() wire.GatewayLedger {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.of[gateway]
	}
	if !waitFor(func() bool { return ok(get()) }) {
		require.Fail(l.t, "no such ledger of "+gateway+": "+what, "%+v", get())
	}
	return get()
}

func waitFor(ok func() bool) bool {
	timeout := time.After(waitTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return true
		}
		select {
		case <-timeout:
			return false
		case <-tick.C:
		}
	}
}

func TestLedgerAddsUpAcrossRestarts(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(20, 10)
	g.store(
		reading("device_001", `{"ok":1}`),
		refused("device_001", `{`, telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON, Message: "no"}),
	)
	old := reading("device_001", `{"old":1}`)
	old.Received -= 60_000
	g.store(old)
	l := b.ledgers(t)
	l.becomes("gw-a", "one epoch", func(l wire.GatewayLedger) bool { return l.Total.Committed == 202 })
	g.stop()
	g.start()
	g.storeMany(5, 10)
	full := func(l wire.GatewayLedger) bool { return l.Total.Committed == 252 && l.Total.Accepted == 252 }
	first := l.becomes("gw-a", "two epochs", full)
	require.Equal(t, wire.LedgerCounts{Accepted: 252, Packed: 252, Bridged: 252, Committed: 252, Refused: 1, Late: 1}, first.Total)
	require.Len(t, first.Epochs, 2)
	require.Equal(t, uint64(202), first.Epochs[0].Committed)
	require.Equal(t, uint64(50), first.Epochs[1].Committed)
	require.Zero(t, first.Difference)

	b.stop()
	b = p.bridge(nil)
	again := b.ledgers(t).becomes("gw-a", "the same after a restart of the bridge", full)
	require.Equal(t, first.Total, again.Total)
	require.Equal(t, first.Epochs, again.Epochs)
	b.reaches(252, "bridge_ledger_readings", "gateway", "gw-a", "state", "committed")
	b.reaches(0, "bridge_ledger_difference", "gateway", "gw-a")
	want.check(t, p)
}

func TestLedgerShowsReadingsThatWereDropped(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	l := b.ledgers(t)
	g.storeMany(3, 10)
	counter, totals := g.packed.get()
	totals.Readings += 4 // which were in none of its packs
	g.packed.set(counter, totals)
	l.becomes("gw-a", "four are nowhere", func(l wire.GatewayLedger) bool { return l.Difference == 4 })
	b.reaches(4, "bridge_ledger_difference", "gateway", "gw-a")
}

// A plant that runs is upgraded: its checkpoints are of the first version.
func TestUpgradedBridgeGoesOnFromOldCheckpoints(t *testing.T) {
	p, want := newCluster(t), newExpected()
	p.cfg.Lanes = 1
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(30, 10)
	want.check(t, p)
	b.stop()

	records := kafkatest.ReadAll(t, p.brokers, p.topics.Checkpoints, 1, waitTimeout)
	var c map[string]any
	for _, r := range records {
		if string(r.Key) == "gw-a" {
			c = nil
			require.NoError(t, json.Unmarshal(r.Value, &c))
		}
	}
	require.InDelta(t, 30, c["seq"], 0)
	c["v"] = 1
	delete(c, "accounts")
	first, err := json.Marshal(c)
	require.NoError(t, err)
	tx, err := kafka.NewProducer(t.Context(), slog.New(slog.DiscardHandler), p.brokers, "old", p.cfg.TxnPrefix+"0")
	require.NoError(t, err)
	require.NoError(t, tx.Begin())
	require.NoError(t, tx.SendTo(0, &sarama.ProducerMessage{Topic: p.topics.Checkpoints, Key: sarama.StringEncoder("gw-a"), Value: sarama.ByteEncoder(first)}))
	require.NoError(t, tx.Commit())
	require.NoError(t, tx.Close())

	b = p.bridge(nil)
	g.storeMany(10, 10)
	want.check(t, p)
	got := b.ledgers(t).becomes("gw-a", "it goes on", func(l wire.GatewayLedger) bool { return l.Total.Committed == 400 })
	require.Zero(t, got.Difference)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"))
}

// While a backlog drains, new packs go ahead on the live path; Kafka gets everything
// once and in order.
func TestNewestPacksGoAheadOfABacklog(t *testing.T) {
	p, want := newCluster(t), newExpected()
	p.cfg.Batch = 50
	gate := newGate()
	b := p.bridge(func(_ int32, inner lane.Producer) lane.Producer { return gated{inner, gate} })
	t.Cleanup(gate.open)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(5, 10)
	want.check(t, p)
	nc, err := nats.Connect(b.HubURL())
	require.NoError(t, err)
	defer nc.Close()
	ahead, err := nc.SubscribeSync(wire.AheadSubjects)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())

	gate.shut()
	g.storeMany(50, 10) // the backlog
	b.reaches(1, "bridge_ahead_gateways")
	fresh := g.store(reading("device_001", `{"fresh":1}`))
	for seen := uint64(0); seen < fresh; {
		msg, err := ahead.NextMsg(waitTimeout)
		require.NoError(t, err)
		require.Equal(t, wire.AheadSubject("gw-a"), msg.Subject)
		pack, err := wire.OpenPack(msg.Data)
		require.NoError(t, err)
		seen = pack.Header.Counter
		require.GreaterOrEqual(t, seen, fresh-1, "it begins with the newest pack that there was")
	}

	gate.open()
	want.check(t, p)
	b.reaches(0, "bridge_ahead_gateways")
	g.storeMany(5, 10)
	want.check(t, p)
	_, err = ahead.NextMsg(100 * time.Millisecond)
	require.ErrorIs(t, err, nats.ErrTimeout, "it is not behind any more")
}

// gate holds up commits while it is shut.
type gate struct {
	mu   sync.Mutex
	cond *sync.Cond
	on   bool
}

func newGate() *gate {
	g := &gate{}
	g.cond = sync.NewCond(&g.mu)
	return g
}

func (g *gate) set(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = on
	g.cond.Broadcast()
}

func (g *gate) shut() { g.set(true) }
func (g *gate) open() { g.set(false) }

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.on {
		g.cond.Wait()
	}
}

// gated is a producer whose transactions start only while the gate is open.
type gated struct {
	lane.Producer
	gate *gate
}

func (g gated) Begin() error {
	g.gate.pass()
	return g.Producer.Begin()
}
