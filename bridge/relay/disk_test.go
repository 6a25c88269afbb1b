package relay

import (
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
)

func TestNewDiskIsALossAndNothingIsDoubled(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(30, 10)
	want.check(t, p)
	g.wipe()
	g.storeMany(20, 10) // their sequences were used before
	want.check(t, p)
	require.Eventually(t, func() bool { return b.metric("bridge_losses_total", "gateway", "gw-a") == 1 }, waitTimeout, 20*time.Millisecond)
	b.stop()
	b = p.bridge(nil)
	g.storeMany(20, 10) // beyond the old checkpoint
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"), "a loss is reported once")
}

// The disk lost what was written last. Part of it was bridged before; new packs take
// the same sequences.
func TestLostTailIsALossAndNothingIsDoubled(t *testing.T) {
	for name, after := range map[string]int{"stream stays shorter": 5, "stream grows beyond": 40} {
		t.Run(name, func(t *testing.T) {
			p, want := newCluster(t), newExpected()
			b := p.bridge(nil)
			g := newGateway(t, "gw-a", b.LeafAddr(), want)
			g.storeMany(20, 10)
			want.check(t, p)
			g.stop()
			copied := g.save()
			g.start()
			g.storeMany(20, 10)
			want.check(t, p)
			b.stop() // so that it cannot look at the stream before it has grown
			g.stop()
			g.restore(copied)
			g.start()
			g.storeMany(after, 10)
			b = p.bridge(nil)
			want.check(t, p)
			require.Eventually(t, func() bool { return b.metric("bridge_losses_total", "gateway", "gw-a") == 1 }, waitTimeout, 20*time.Millisecond)
			require.Zero(t, b.metric("bridge_lost_packs_total", "gateway", "gw-a"), "all that is gone from the disk was in kafka")
		})
	}
}

// Packs that the bridge never read are lost with the disk: only the heartbeats show it.
func TestLossOfUnbridgedPacksIsSeenByHeartbeats(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	p.cfg.Batch = 20 // so that the bridge is busy soon
	stuck := make(chan struct{})
	var freeze atomic.Bool
	b := p.bridge(func(_ int32, inner lane.Producer) lane.Producer { return freezing{inner, &freeze, stuck} })
	l := newLine(t, b.LeafAddr())
	g := newGateway(t, "gw-a", l.addr(), want)
	g.storeMany(10, 10)
	want.check(t, p)
	g.stop()
	copied := g.save()
	g.start()
	freeze.Store(true)
	never := newExpected() // these are acknowledged and then lost
	g.want = never
	const packs = 500 // more than the bridge fetches while kafka does not answer
	g.storeMany(packs, 2)
	require.Eventually(t, func() bool {
		heard := b.roster.Heard("gw-a")
		last := heard[len(heard)-1]
		return last.LastSeq == 10+packs && last.Counter == packs
	}, waitTimeout, 20*time.Millisecond)
	g.stop()
	g.restore(copied)
	g.want = want
	g.start()
	g.storeMany(5, 10)
	close(stuck)
	require.Eventually(t, func() bool { return b.metric("bridge_losses_total", "gateway", "gw-a") >= 1 }, waitTimeout, 20*time.Millisecond)
	require.Eventually(t, func() bool { return b.metric("bridge_lost_packs_total", "gateway", "gw-a") > 0 }, waitTimeout, 20*time.Millisecond)
	fetched := packs - b.metric("bridge_lost_packs_total", "gateway", "gw-a") // in time, and so in kafka
	maps.Copy(want.readings, never.readings)
	got := kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, 10*10+2*fetched+5*10, waitTimeout)
	seen := map[string]bool{}
	for _, r := range got {
		require.False(t, seen[nameOf(r)], "doubled")
		seen[nameOf(r)] = true
		require.Contains(t, want.readings, nameOf(r))
	}
	lost := 0
	for n := range want.readings {
		if !seen[n] {
			require.Contains(t, never.readings, n)
			lost++
		}
	}
	require.Equal(t, lost, 2*b.metric("bridge_lost_packs_total", "gateway", "gw-a"), "two readings a pack")
	b.reaches(lost, "bridge_ledger_readings", "gateway", "gw-a", "state", "damaged")
}

// freezing is a producer whose commits wait.
type freezing struct {
	lane.Producer
	on   *atomic.Bool
	thaw <-chan struct{}
}

func (f freezing) Commit() error {
	if f.on.Load() {
		<-f.thaw
	}
	return f.Producer.Commit()
}

func TestPacksRemovedBySomebodyAreALoss(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(10, 10)
	want.check(t, p)
	b.stop()
	g.want = newExpected()
	g.storeMany(7, 10)
	ctx, cancel := g.deadline()
	defer cancel()
	s, err := g.js.Stream(ctx, wire.PackStream("gw-a"))
	require.NoError(t, err)
	require.NoError(t, s.Purge(ctx))
	g.want = want
	b = p.bridge(nil)
	g.storeMany(3, 10)
	want.check(t, p)
	b.reaches(1, "bridge_losses_total", "gateway", "gw-a")
	b.reaches(7, "bridge_lost_packs_total", "gateway", "gw-a")
}

func TestHoleInTheStreamIsALoss(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(5, 10)
	want.check(t, p)
	b.stop()
	g.storeMany(2, 10)
	g.want = newExpected()
	g.storeMany(2, 10)
	last := g.state().LastSeq
	g.want = want
	g.storeMany(2, 10)
	ctx, cancel := g.deadline()
	defer cancel()
	s, err := g.js.Stream(ctx, wire.PackStream("gw-a"))
	require.NoError(t, err)
	require.NoError(t, s.DeleteMsg(ctx, last))
	require.NoError(t, s.DeleteMsg(ctx, last-1))
	b = p.bridge(nil)
	want.check(t, p)
	b.reaches(1, "bridge_losses_total", "gateway", "gw-a")
	b.reaches(2, "bridge_lost_packs_total", "gateway", "gw-a")
}

func TestDamagedPackIsNotedAndPassed(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(3, 5)
	counter, totals := g.packed.get()
	seq := g.put([]byte("IOTP this is not a pack")) // the one that was damaged held two readings
	totals.Readings += 2
	g.packed.set(counter+1, totals)
	g.storeMany(3, 5)
	require.Eventually(t, func() bool { return b.metric("bridge_records_total") == 30 }, waitTimeout, 20*time.Millisecond)
	b.stop()
	b2 := p.bridge(nil)
	g.storeMany(1, 5)
	want.checkReadings(t, p)
	notes := kafkatest.ReadAll(t, p.brokers, p.topics.DeadLetters, 1, waitTimeout)
	require.Len(t, notes, 1)
	require.Equal(t, "damaged_pack", notes[0].Header(wire.HeaderReason))
	require.Equal(t, fmt.Sprint(seq), notes[0].Header(wire.HeaderSeq))
	require.Equal(t, "gw-a", notes[0].Header(wire.HeaderGateway))
	require.Equal(t, "IOTP this is not a pack", string(notes[0].Value))
	b.reaches(1, "bridge_damaged_packs_total")
	b2.reaches(2, "bridge_ledger_readings", "gateway", "gw-a", "state", "damaged")
	b2.reaches(1, "bridge_ledger_packs", "gateway", "gw-a", "state", "damaged")
	b2.reaches(len(want.readings), "bridge_ledger_readings", "gateway", "gw-a", "state", "committed")
	require.Zero(t, b2.metric("bridge_ledger_difference"))
	b.reaches(1, "bridge_losses_total", "gateway", "gw-a")
	b.reaches(1, "bridge_lost_packs_total", "gateway", "gw-a")
	require.Zero(t, b2.metric("bridge_losses_total", "gateway", "gw-a"))
}
