package relay

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

// monitored is a monitor of gateways that exist only as heartbeats.
type monitored struct {
	*monitor
	t      *testing.T
	b      *bridge
	beats  map[string]uint64 // newest pack of the gateways whose heartbeats arrive
	silent map[string]bool
}

func newMonitored(t *testing.T) *monitored {
	t.Helper()
	r, err := roster.New(roster.Options{Log: slog.New(slog.DiscardHandler), Expire: time.Hour})
	require.NoError(t, err)
	b := &bridge{t: t, reg: prometheus.NewRegistry()}
	m := newMembership()
	m.enter(nil)
	return &monitored{monitor: newMonitor(r, lane.NewProgress(), m, b.reg), t: t, b: b, beats: map[string]uint64{}, silent: map[string]bool{}}
}

// pass lets time go by, with a heartbeat of each gateway and a look each second.
func (w *monitored) pass(d time.Duration) {
	w.t.Helper()
	for range d / time.Second {
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		for gateway, last := range w.beats {
			if w.silent[gateway] {
				continue
			}
			data, err := wire.GatewayStatus{Gateway: gateway, LastSeq: last}.Encode()
			require.NoError(w.t, err)
			_, err = w.roster.Observe(wire.StatusSubject(gateway), data)
			require.NoError(w.t, err)
		}
		w.check(time.Now(), 1)
	}
}

// has makes lane 0 work, with a gateway committed and fetched up to some pack.
func (w *monitored) has(gateway string, committed, fetched uint64) {
	w.progress.Own(0)
	w.progress.Begin(0, checkpoint.Checkpoint{Gateway: gateway, Seq: committed})
	w.progress.Fetched(checkpoint.Checkpoint{Gateway: gateway, Seq: fetched})
}

func (w *monitored) ready(why string) {
	w.t.Helper()
	require.NoError(w.t, w.stuck(time.Now()), why)
}

func (w *monitored) notReady(says string) {
	w.t.Helper()
	err := w.stuck(time.Now())
	require.ErrorIs(w.t, err, errNotReady)
	require.ErrorContains(w.t, err, says)
}

func TestBridgeIsNotReadyWhileWorkWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonitored(t)
		w.beats["gw"] = 5
		w.pass(time.Minute)
		w.ready("the lane is not ours")
		w.b.reaches(1, "bridge_gateways_known")

		w.has("gw", 0, 0)
		w.pass(10 * time.Second)
		w.ready("it has just started")
		w.b.reaches(5, "bridge_gateway_lag_packs", "gateway", "gw")
		w.b.reaches(9, "bridge_gateway_unbridged_age_seconds", "gateway", "gw")
		w.pass(10 * time.Second)
		w.notReady("no checkpoint moved")
		w.has("gw", 1, 1)
		w.pass(time.Second)
		w.ready("it moved")

		w.progress.Disown(0)
		w.pass(2 * time.Second)
		w.ready("the work is another bridge's now")
		require.Empty(t, w.gateways)
	})
}

func TestFetchedPackMustBeCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonitored(t)
		w.beats["stuck"], w.beats["busy"] = 5, 100
		w.has("stuck", 3, 5)
		for i := range uint64(10) {
			w.has("busy", i, i+1)
			w.pass(time.Second)
		}
		w.ready("not for long enough")
		for i := range uint64(10) {
			w.has("busy", 10+i, 11+i)
			w.pass(time.Second)
		}
		w.notReady("gateway stuck")
		w.has("stuck", 5, 5)
		w.pass(time.Second)
		w.ready("they were committed")
	})
}

// One gateway that cannot be read, or whose line comes and goes, must not take the bridge
// away from the others.
func TestOneBadGatewayDoesNotMakeTheBridgeUnready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonitored(t)
		w.beats["broken"], w.beats["good"], w.beats["flapping"], w.beats["alone"] = 9, 7, 9, 9
		w.has("broken", 3, 3)
		w.has("good", 7, 7)
		w.has("flapping", 3, 3)
		for i := range 20 {
			w.silent["flapping"] = i%2 == 0
			w.pass(7 * time.Second)
			w.ready("good has nothing to do")
		}
		delete(w.beats, "good") // vanishes
		delete(w.beats, "broken")
		w.pass(time.Minute)
		w.silent["flapping"] = true
		w.pass(time.Minute)
		w.ready("no gateway is reachable")
	})
}

func TestLanesMustBeAssignedAndOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonitored(t)
		release := w.members.claim(2)
		w.pass(10 * time.Second)
		w.ready("it may take a while to open")
		w.pass(10 * time.Second)
		w.notReady("lane 2 assigned but not open")
		w.progress.Own(2)
		w.pass(time.Second)
		w.ready("it is open")

		release()
		w.progress.Disown(2)
		w.members.leave()
		w.pass(10 * time.Second)
		w.ready("a rebalance takes a while")
		w.pass(10 * time.Second)
		w.notReady("not in the consumer group")
		w.members.enter(nil)
		w.pass(time.Second)
		w.ready("it is a member again")
	})
}
