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
	tx, err := kafka.NewProducer(t.Context(), slog.New(slog.DiscardHandler), kafka.Config{Cluster: kafka.At(p.brokers...)}, "old", p.cfg.TxnPrefix+"0")
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

// fresh receives the packs that a bridge sends to screens.
func (b *bridge) fresh() func() uint64 {
	b.t.Helper()
	nc, err := nats.Connect(b.HubURL())
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	packs, err := nc.SubscribeSync(wire.FreshSubjects)
	require.NoError(b.t, err)
	require.NoError(b.t, nc.Flush())
	return func() uint64 {
		b.t.Helper()
		msg, err := packs.NextMsg(waitTimeout)
		require.NoError(b.t, err)
		require.Equal(b.t, wire.FreshSubject("gw-a"), msg.Subject)
		pack, err := wire.OpenPack(msg.Data)
		require.NoError(b.t, err)
		return pack.Header.Counter
	}
}

// Screens do not wait for Kafka, which gets everything once and in order.
func TestScreensDoNotWaitForKafka(t *testing.T) {
	p, want := newCluster(t), newExpected()
	gate := newGate()
	b := p.bridge(func(_ int32, inner lane.Producer) lane.Producer { return gated{inner, gate} })
	t.Cleanup(gate.open)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(5, 10)
	want.check(t, p)
	next := b.fresh()
	gate.shut()
	for range 50 {
		require.Equal(t, g.store(reading("device_001", `{"fresh":1}`)), next())
	}
	gate.open()
	want.check(t, p)
}

// A bridge that starts while Kafka is away cannot know its lanes. Screens are live all the
// same.
func TestScreensAreLiveWhenKafkaWasNeverThere(t *testing.T) {
	p, want := newClusterAt(t, []string{"127.0.0.1:1"}), newExpected()
	b := p.bridge(nil)
	next := b.fresh()
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	for range 3 {
		require.Equal(t, g.store(reading("device_001", `{"fresh":1}`)), next())
	}
	require.ErrorIs(t, b.Ready(), errNotReady)
}

func TestOneBridgeServesTheScreensOfALane(t *testing.T) {
	m := newMembership()
	require.False(t, m.serves(0, m.start.Add(alone)), "Kafka may be about to answer")
	require.True(t, m.serves(0, m.start.Add(alone+1)), "it is away")
	m.enter([]int32{1, 2})
	for lane, want := range map[int32]bool{0: false, 1: true, 2: true} {
		require.Equal(t, want, m.serves(lane, time.Now()))
	}
	m.leave()
	require.True(t, m.serves(1, time.Now()), "until the group assigns the lanes again")
	m.enter([]int32{2})
	require.False(t, m.serves(1, time.Now()))
	m.enter(nil)
	require.False(t, m.serves(2, time.Now()))
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
