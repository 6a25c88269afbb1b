package lane

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/internal/wire"
)

// screens receives what goes to core's live stage.
func (g *testGateway) screens() *screens {
	g.t.Helper()
	sub, err := g.nc.SubscribeSync(wire.FreshSubject(g.gateway))
	require.NoError(g.t, err)
	return &screens{t: g.t, sub: sub}
}

type screens struct {
	t   testing.TB
	sub *nats.Subscription
}

// next returns the counter of the next pack.
func (s *screens) next() uint64 {
	s.t.Helper()
	msg, err := s.sub.NextMsg(waitTimeout)
	require.NoError(s.t, err)
	p, err := wire.OpenPack(msg.Data)
	require.NoError(s.t, err)
	return p.Header.Counter
}

// nothing requires that no pack was sent.
func (s *screens) nothing(nc *nats.Conn) {
	s.t.Helper()
	require.NoError(s.t, nc.Flush())
	n, _, err := s.sub.Pending()
	require.NoError(s.t, err)
	require.Zero(s.t, n)
}

// runLive runs the live path of a lane that is not run.
func (r *running) runLive() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.lane.o.Live.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); require.NoError(r.t, <-done) })
}

func TestPacksGoToScreensBeforeTheyAreCommitted(t *testing.T) {
	r := newRunning(t, func(o *Options) { o.CommitMin, o.CommitMax = time.Hour, time.Hour })
	s := r.screens()
	r.testGateway.store(3, 1)
	r.run()
	for want := range uint64(3) {
		require.Equal(t, want+1, s.next())
	}
	require.Zero(t, r.metric("bridge_transactions_total"))
}

// TestScreensStayLiveWithoutKafka: while lanes do not open, or do not commit, a scout reads
// the newest packs; each pack is sent once.
func TestScreensStayLiveWithoutKafka(t *testing.T) {
	r := newRunning(t, nil)
	s := r.screens()
	r.testGateway.store(5, 1)
	r.beat(r.roster, "")
	r.runLive()
	require.Equal(t, uint64(5), s.next(), "the newest pack first")
	for want := uint64(6); want < 30; want++ {
		r.testGateway.store(1, 1)
		require.Equal(t, want, s.next())
	}
	r.runLane()
	r.reaches(29)
	for want := range uint64(4) {
		require.Equal(t, want+1, s.next(), "those before it are fresh, too")
	}
	require.Eventually(t, func() bool { return r.lane.o.Live.gateway("gw-a").caughtUp(29, time.Now()) }, waitTimeout, time.Millisecond)
	r.testGateway.store(3, 1)
	for want := uint64(30); want < 33; want++ {
		require.Equal(t, want, s.next())
	}
	r.reaches(32)
	s.nothing(r.nc)
}

func TestDelayedPacksGoToScreensThroughKafka(t *testing.T) {
	r := newRunning(t, nil)
	s := r.screens()
	r.storeOld(1)
	r.testGateway.store(1, 1)
	r.run()
	require.Equal(t, uint64(2), s.next())
	r.reaches(2)
	s.nothing(r.nc)
}

// storeOld stores packs that waited in the gateway.
func (g *testGateway) storeOld(packs int) {
	g.t.Helper()
	for range packs {
		old := readings(1)
		old[0].Received = time.Now().Add(-wire.BackfillAge - time.Second).UnixMilli()
		g.put(g.build(old...))
	}
}

// TestNewestPacksOvertakeABacklog: on the way to screens only.
func TestNewestPacksOvertakeABacklog(t *testing.T) {
	r := newRunning(t, func(o *Options) { o.MaxReadings = 1 })
	s := r.screens()
	r.store.gate = make(chan struct{}) // the backlog waits for Kafka
	open := sync.OnceFunc(func() { close(r.store.gate) })
	t.Cleanup(open)
	const backlog = waitingPacks + behindPacks + 10
	r.storeOld(backlog)
	r.testGateway.store(1, 1)
	r.runLive()
	r.run()
	require.Equal(t, uint64(backlog+1), s.next())
	r.shows(1, "bridge_live_scouts")
	r.testGateway.store(1, 1)
	require.Equal(t, uint64(backlog+2), s.next())
	open()
	r.reaches(backlog + 2)
	r.shows(0, "bridge_live_scouts")
	require.Len(t, r.store.in(topics.DeviceData), backlog+2, "Kafka gets them in order, once")
	s.nothing(r.nc)
}

func TestWhenAScoutIsWanted(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	sent := func(g *liveGateway, upTo uint64) *liveGateway { g.sent = spans{{1, upTo}}; return g }
	t.Run("nothing waits", func(t *testing.T) {
		g := sent(&liveGateway{}, 10)
		require.False(t, g.wants(10, now))
		require.False(t, g.wants(9, now), "a heartbeat is older than the packs")
		require.True(t, g.wants(11, now))
		g.scouting = true
		require.False(t, g.wants(11, now), "one is on its way")
	})
	t.Run("the lane reads", func(t *testing.T) {
		g := sent(&liveGateway{reading: true, reached: 10}, 10)
		require.False(t, g.wants(10+behindPacks, now), "they are on their way")
		require.False(t, g.wants(10+behindPacks, now.Add(behindFor)))
		require.True(t, g.wants(10+behindPacks, now.Add(behindFor+1)), "that takes too long")
		require.True(t, g.wants(11+behindPacks, now), "too many")
		g.reached = 11 + behindPacks
		require.False(t, g.wants(11+behindPacks, now.Add(time.Hour)), "they waited, and screens get them through Kafka")
		require.False(t, g.wants(12+behindPacks, now.Add(2*time.Hour)), "the wait starts again")
	})
	t.Run("the lane begins with a backlog", func(t *testing.T) {
		g := sent(&liveGateway{}, 10)
		g.read(true, 10, 10+behindPacks)
		require.False(t, g.wants(10, now))
		g.read(true, 10, 11+behindPacks)
		require.True(t, g.wants(10, now), "no heartbeat is needed")
	})
	t.Run("the lane is held up", func(t *testing.T) {
		g := sent(&liveGateway{reading: true, reached: 10, held: now}, 10)
		require.False(t, g.wants(11, now.Add(heldFor-1)))
		require.True(t, g.wants(11, now.Add(heldFor)))
		require.True(t, g.wants(8, now.Add(heldFor)), "no heartbeat is needed")
		g.hold(false)
		require.False(t, g.wants(8, now.Add(time.Hour)))
	})
}

func TestWhenTheLaneHasCaughtUp(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	g := &liveGateway{reading: true, reached: 10, sent: spans{{1, 10}}}
	require.True(t, g.caughtUp(10, now))
	require.True(t, g.caughtUp(9, now), "a heartbeat is older than the packs")
	require.False(t, g.caughtUp(11, now), "a pack has not arrived that the gateway has")
	g.sent = spans{{1, 12}}
	require.False(t, g.caughtUp(10, now), "screens are ahead of the lane")
	g.reached = 12
	require.True(t, g.caughtUp(10, now))
	g.held = now.Add(-heldFor)
	require.False(t, g.caughtUp(10, now), "it is held up")
}

func TestWhereAScoutStarts(t *testing.T) {
	tests := []struct {
		name  string
		g     *liveGateway
		heard uint64
		after bool // after the last pack sent, else at the newest
	}{
		{"nothing was sent", &liveGateway{}, 3, false},
		{"few packs follow", &liveGateway{sent: spans{{1, 10}}}, 10 + scoutPacks, true},
		{"many packs follow", &liveGateway{sent: spans{{1, 10}}}, 11 + scoutPacks, false},
		{"the stream may have lost its end", &liveGateway{sent: spans{{1, 10}}}, 9, false},
		{"the lane reads another stream", &liveGateway{sent: spans{{1, 10}}, reading: true, reached: 3}, 9, false},
		{"the heartbeat is older than the lane's packs", &liveGateway{sent: spans{{1, 10}}, reading: true, reached: 10}, 9, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			done, ok := tt.g.resumes(tt.heard)
			require.Equal(t, tt.g.newest(), done)
			require.Equal(t, tt.after, ok)
		})
	}
}

// TestScreensStayLiveWhileTheLaneIsHeldUp: its puller stands before Kafka, and no heartbeat
// tells of the next pack.
func TestScreensStayLiveWhileTheLaneIsHeldUp(t *testing.T) {
	r := newRunning(t, func(o *Options) { o.MaxReadings = 1 })
	s := r.screens()
	r.store.gate = make(chan struct{})
	r.runLive()
	r.run()
	t.Cleanup(func() { close(r.store.gate) })
	for want := range uint64(waitingPacks + 50) {
		r.beat(r.roster, r.instance) // older than the pack
		r.testGateway.store(1, 1)
		require.Equal(t, want+1, s.next())
	}
	r.shows(1, "bridge_live_scouts")
}

func TestOneScoutPerGateway(t *testing.T) {
	g := &liveGateway{}
	require.True(t, g.claim())
	require.False(t, g.claim())
	g.release()
	require.True(t, g.claim())
}

// TestStreamThatLostItsEndIsShownAgain: its sequences are used twice, by different packs.
func TestStreamThatLostItsEndIsShownAgain(t *testing.T) {
	g := &liveGateway{}
	for seq := uint64(1); seq <= 10; seq++ {
		require.True(t, g.note(seq, 1))
	}
	require.True(t, g.note(11, 2), "a gateway that restarted")
	require.False(t, g.note(9, 1), "its older packs are known")
	require.True(t, g.note(5, 3))
	require.True(t, g.note(6, 3))
	require.False(t, g.note(6, 3))
	for epoch := range uint64(100) {
		g.note(1000+epoch, 10+epoch)
	}
	require.Len(t, g.epochs, keptEpochs)
}

func TestScoutThatFallsBehindStartsAgain(t *testing.T) {
	r := newRunning(t, nil)
	r.testGateway.store(3, 1)
	s := r.screens()
	data, err := wire.GatewayStatus{Gateway: "gw-a", LastSeq: 1000}.Encode()
	require.NoError(t, err)
	_, err = r.roster.Observe(wire.StatusSubject("gw-a"), data)
	require.NoError(t, err)
	scout := newScout(r.lane.o.Live, r.lane.o.Live.gateway("gw-a"))
	require.ErrorIs(t, scout.read(t.Context()), errStale)
	require.Equal(t, uint64(3), s.next())
	r.nc.Close()
	require.ErrorIs(t, scout.read(t.Context()), nats.ErrConnectionClosed)
}

// A pack that the hub does not take still arrives by Kafka. Only a broken line ends the scout.
func TestPackThatCannotBeShown(t *testing.T) {
	p := play(t)
	l := testLive(t, p.nc, emptyRoster(t), prometheus.NewRegistry())
	s := newScout(l, l.gateway("gw-a"))
	at := func(seq uint64) string { return fmt.Sprintf("$JS.ACK.S.C.1.%d.1.0.0", seq) }
	large := wire.PackEntry{Device: "d", Payload: make([]byte, hub.MaxPayload+1)}
	g := &testGateway{t: t, epoch: epochA}
	pass := func(reply string, data []byte) error {
		return s.pass(&nats.Msg{Sub: &nats.Subscription{}, Reply: reply, Data: data})
	}
	require.NoError(t, pass(at(7), g.build(large)), "too large for the hub")
	require.ErrorContains(t, pass("no position", g.build(readings(1)...)), "reading a pack's sequence")
	require.NoError(t, pass(at(8), []byte("no pack")))
	require.Equal(t, uint64(7), s.g.newest())
	require.NoError(t, pass(at(8), g.build(readings(1)...)))
	p.nc.Close()
	require.ErrorIs(t, pass(at(9), g.build(readings(1)...)), nats.ErrConnectionClosed)
}

func TestLiveNeedsItsOptions(t *testing.T) {
	_, err := NewLive(LiveOptions{})
	require.ErrorContains(t, err, "required")
}
