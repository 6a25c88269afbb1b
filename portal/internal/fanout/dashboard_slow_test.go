package fanout

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// alertsOf reads n alert deltas and requires that their numbers follow from.
func (p *dash) alertsOf(n int, from uint64) (ids []string) {
	p.tb.Helper()
	for range n {
		m := p.of("delta", "alerts")
		from++
		require.Equal(p.tb, from, m.Seq, "no alert is left out or doubled")
		ids = append(ids, m.alert(p.tb).AlertID)
	}
	return ids
}

func TestAlertsMissedWhileAwayAreReplayed(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	p := b.dashboard()
	p.subscribe("alerts")
	seq := p.snapshot("alerts")[0].Seq
	b.raise("a1", "d1", telemetry.AlertActive, 1)
	require.Equal(t, []string{"a1"}, p.alertsOf(1, seq))
	require.NoError(t, p.ws.Close())
	for i := range 5 {
		b.raise(fmt.Sprint("missed", i), "d1", telemetry.AlertActive, int64(i))
	}
	b.raise("a1", "d1", telemetry.AlertCleared, 9)

	q := b.dashboard()
	m := q.ask(wants{Type: "subscribe", ID: "r", Topics: []string{"alerts", "fleet"}, Resume: &place{
		Epoch: q.hello.Epoch, Seq: map[string]uint64{"alerts": seq + 1, "fleet": 1, "stats": 1},
	}})
	require.Equal(t, map[string]bool{"alerts": true, "fleet": false}, m.Recovered)
	require.Equal(t, []string{"missed0", "missed1", "missed2", "missed3", "missed4", "a1"}, q.alertsOf(6, seq+1))
	b.raise("new", "d1", telemetry.AlertActive, 10)
	require.Equal(t, []string{"new"}, q.alertsOf(1, seq+7))

	r := b.dashboard() // nothing was missed
	m = r.ask(wants{Type: "subscribe", ID: "r", Topics: []string{"alerts"}, Resume: &place{r.hello.Epoch, map[string]uint64{"alerts": seq + 8}}})
	require.Equal(t, map[string]bool{"alerts": true}, m.Recovered)
	b.raise("newer", "d1", telemetry.AlertActive, 11)
	require.Equal(t, []string{"newer"}, r.alertsOf(1, seq+8))
}

func TestWhatCannotBeReplayedIsSaidPlainly(t *testing.T) {
	o := quickPublisher()
	o.Limits.Alerts = 3
	b := newBenchWith(t, Limits{}, o)
	for i := range 10 {
		b.raise(fmt.Sprint("a", i), "d1", telemetry.AlertActive, int64(i))
	}
	for name, from := range map[string]place{
		"too long ago":      {b.publisher.Epoch(), map[string]uint64{"alerts": 2}},
		"of another portal": {"0123456789abcdef", map[string]uint64{"alerts": 9}},
		"from the future":   {b.publisher.Epoch(), map[string]uint64{"alerts": 11}},
		"without an epoch":  {"", map[string]uint64{"alerts": 9}},
	} {
		p := b.dashboard()
		m := p.ask(wants{Type: "subscribe", ID: "r", Topics: []string{"alerts"}, Resume: &from})
		require.Equal(t, map[string]bool{"alerts": false}, m.Recovered, name)
		s := p.next()
		require.Equal(t, "snapshot", s.Type, name)
		require.Equal(t, uint64(10), s.Seq, name)
		var v struct{ Alerts []telemetry.Alert }
		require.NoError(t, json.Unmarshal(s.Data, &v))
		require.Len(t, v.Alerts, 10, "all that are not normal")
	}
	p := b.dashboard()
	m := p.ask(wants{Type: "subscribe", ID: "r", Topics: []string{"alerts"}, Resume: &place{b.publisher.Epoch(), map[string]uint64{"alerts": 7}}})
	require.Equal(t, map[string]bool{"alerts": true}, m.Recovered)
	require.Equal(t, []string{"a7", "a8", "a9"}, p.alertsOf(3, 7))
}

func TestRestartedPortalRecoversNothing(t *testing.T) {
	a := newBenchWith(t, Limits{}, quickPublisher())
	p := a.dashboard()
	p.subscribe("alerts")
	from := place{p.hello.Epoch, map[string]uint64{"alerts": p.snapshot("alerts")[0].Seq}}
	a.stop()
	p.expectClose(CloseShutdown)
	b := newBenchWith(t, Limits{}, quickPublisher())
	q := b.dashboard()
	require.NotEqual(t, from.Epoch, q.hello.Epoch)
	m := q.ask(wants{Type: "subscribe", ID: "r", Topics: []string{"alerts"}, Resume: &from})
	require.Equal(t, map[string]bool{"alerts": false}, m.Recovered)
	q.snapshot("alerts")
}

// clogDash pushes until a client that follows device/big and does not read is stuck in a
// write.
func clogDash(b *bench, p *dash) {
	b.tb.Helper()
	ts := int64(1)
	b.push(entry("big", ts, 60_000))
	p.subscribe("device/big")
	written, since := int64(-1), time.Now()
	require.Eventually(b.tb, func() bool {
		ts++
		b.push(entry("big", ts, 60_000))
		if now := b.broadcaster.Stats().Bytes; now != written {
			written, since = now, time.Now()
		}
		return time.Since(since) > 1500*time.Millisecond
	}, waitTimeout, 5*time.Millisecond)
}

func TestClientThatFallsBehindIsToldAndCatchesUp(t *testing.T) {
	b := newBenchWith(t, Limits{WriteStallTimeout: time.Hour}, quickPublisher())
	for i := range 200 {
		b.state(fmt.Sprintf("d%03d", i), "A栋", telemetry.PresenceOnline)
	}
	p, other := b.dashboard(), b.dashboard()
	p.subscribe("fleet", "alerts")
	p.snapshot("fleet")
	clogDash(b, p) // it has stopped reading
	other.subscribe("fleet")
	for i := range 20 {
		b.raise(fmt.Sprint("a", i), "d000", telemetry.AlertActive, int64(i))
	}
	for i := range 40 { // each round is a delta
		b.state("d001", "A栋", []telemetry.Presence{telemetry.PresenceOnline, telemetry.PresenceOffline}[i%2])
		want := []float64{1, 2}[i%2]
		other.until(func(m dashMessage) bool {
			return m.Topic == "fleet" && (m.Type == "snapshot" || i == 0 || containsState(t, m, 1, want))
		})
	}
	var lagged, snapshots, alerts int
	view := fleetView{}
	p.until(func(m dashMessage) bool {
		switch {
		case m.Type == "lagged" && m.Topic == "fleet":
			lagged += m.Dropped
		case m.Type == "snapshot" && m.Topic == "fleet":
			if m.Part == 1 {
				clear(view)
			}
			snapshots++
			view.apply(t, m)
		case m.Type == "delta" && m.Topic == "fleet" && snapshots > 0:
			view.apply(t, m)
		case m.Type == "delta" && m.Topic == "alerts":
			alerts++
		}
		return snapshots > 0 && alerts == 20 && len(view) == 201 && view.row("d001")[6] == 2.0
	})
	require.Positive(t, lagged)
	families, err := b.reg.Gather()
	require.NoError(t, err)
	total := 0.0
	for _, f := range families {
		if f.GetName() == "portal_dashboard_dropped_total" {
			require.Len(t, f.GetMetric(), 10, "one series for each kind of topic")
			for _, m := range f.GetMetric() {
				total += m.GetCounter().GetValue()
			}
		}
	}
	require.GreaterOrEqual(t, total, float64(lagged))
}

func containsState(tb testing.TB, m dashMessage, index, state float64) bool {
	tb.Helper()
	var d struct{ States [][]float64 }
	require.NoError(tb, json.Unmarshal(m.Data, &d))
	return slices.ContainsFunc(d.States, func(s []float64) bool { return s[0] == index && s[1] == state })
}

func TestDashboardThatDoesNotTakeAlertsIsClosedWith4008(t *testing.T) {
	o := quickPublisher()
	o.Limits.QueueBytes = 20_000
	b := newBenchWith(t, Limits{WriteStallTimeout: time.Hour}, o)
	p, q := b.dashboard(), b.dashboard()
	p.subscribe("alerts")
	q.subscribe("alerts")
	seq := q.snapshot("alerts")[0].Seq
	clogDash(b, p)
	const n = 300
	var reading sync.WaitGroup
	reading.Go(func() {
		for i := range uint64(n) {
			m, err := q.tryNext(waitTimeout)
			if err != nil || m.Seq != seq+i+1 {
				t.Errorf("alert %d: %v %+v", i, err, m)
				return
			}
		}
	})
	for i := range n {
		b.raise(fmt.Sprint("a", i), "d1", telemetry.AlertActive, int64(i))
		if i%20 == 0 { // the quick one is to keep up
			require.Eventually(t, func() bool { return b.broadcaster.Stats().Alerts >= int64(i) }, waitTimeout, time.Millisecond)
		}
	}
	reading.Wait()
	p.expectClose(CloseSlow)
	require.Equal(t, int64(1), b.broadcaster.Stats().ClosedSlow)
	require.Eventually(t, func() bool { return b.broadcaster.counts.dialects[dashboardDialect].ends[endedSlow].Load() == 1 }, waitTimeout, time.Millisecond)
}

func TestStalledDashboardIsClosedWith4008(t *testing.T) {
	b := newBenchWith(t, Limits{WriteStallTimeout: 2 * time.Second, CloseTimeout: waitTimeout}, quickPublisher())
	p, q := b.dashboard(), b.dashboard()
	q.subscribe("device/small")
	clogDash(b, p)
	var sent int64
	require.Eventually(t, func() bool {
		sent++
		b.push(entry("small", sent, 1))
		return b.broadcaster.Stats().ClosedSlow == 1
	}, waitTimeout, 20*time.Millisecond)
	p.expectClose(CloseSlow)
	require.NoError(t, q.ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	b.push(entry("small", sent+1, 1))
	q.until(func(m dashMessage) bool { return containsTime(m, sent+1) })
}

func containsTime(m dashMessage, ts int64) bool {
	var v struct{ Reading struct{ Timestamp int64 } }
	return m.Topic == "device/small" && json.Unmarshal(m.Data, &v) == nil && v.Reading.Timestamp == ts
}

func TestSilentDashboardIsClosedWith4012(t *testing.T) {
	b := newBench(t, Limits{PingInterval: 50 * time.Millisecond, PongTimeout: 500 * time.Millisecond})
	p := b.dashboard()
	p.ws.SetPingHandler(func(string) error { return nil })
	p.expectClose(CloseNoPong)
}

func TestDashboardIsToldWhatWasRaisedBeforeTheEnd(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	p := b.dashboard()
	p.subscribe("alerts")
	seq := p.snapshot("alerts")[0].Seq
	b.raise("last", "d1", telemetry.AlertActive, 1)
	go b.stop()
	require.Equal(t, []string{"last"}, p.alertsOf(1, seq))
	p.expectClose(CloseShutdown)
	b.stop()
}

// Clients that come, ask for everything, leave and come back while the plant changes see
// numbers without gaps and never an alert twice.
func TestManyClientsComeAndGo(t *testing.T) {
	const clients, rounds = 12, 4
	b := newBenchWith(t, Limits{RateBurst: 1e6}, quickPublisher())
	for i := range 50 {
		b.state(fmt.Sprintf("d%02d", i), "A栋", telemetry.PresenceOnline)
	}
	stop := make(chan struct{})
	var busy, all sync.WaitGroup
	busy.Go(func() {
		for ts := int64(1); ; ts++ {
			select {
			case <-stop:
				return
			default:
			}
			var es []wire.FrameEntry
			for d := range 50 {
				es = append(es, entry(fmt.Sprintf("d%02d", d), ts, 10))
			}
			b.push(es...)
			b.raise(fmt.Sprint("a", ts), "d01", telemetry.AlertActive, ts)
			b.raise(fmt.Sprint("a", ts), "d01", telemetry.AlertCleared, ts+1)
		}
	})
	for k := range clients {
		all.Go(func() { comeAndGo(t, b, k, rounds) })
	}
	all.Wait()
	close(stop)
	busy.Wait()
	require.Eventually(t, func() bool { return b.publisher.Clients() == 0 }, waitTimeout, 5*time.Millisecond)
}

func comeAndGo(t *testing.T, b *bench, k, rounds int) {
	t.Helper()
	from := &place{Seq: map[string]uint64{}}
	for round := range rounds {
		p := b.dashboard()
		m := p.ask(wants{
			Type: "subscribe", ID: "s", Resume: from,
			Topics: []string{"fleet", "alerts", "stats", "sensor/battery", fmt.Sprintf("device/d%02d", k), "building/A栋"},
		})
		seqs := map[string]uint64{}
		if m.Recovered["alerts"] {
			seqs["alerts"] = from.Seq["alerts"]
		}
		lagged := map[string]uint64{}
		for range 60 * (round + 1) {
			m := p.next()
			switch m.Type {
			case "snapshot":
				seqs[m.Topic] = m.Seq
			case "lagged":
				lagged[m.Topic] = uint64(m.Dropped)
			case "delta":
				if want := seqs[m.Topic] + lagged[m.Topic] + 1; m.Seq != want {
					t.Errorf("client %d: %s came with %d, want %d", k, m.Topic, m.Seq, want)
				}
				seqs[m.Topic], lagged[m.Topic] = m.Seq, 0
			}
		}
		if seqs["alerts"] == 0 {
			t.Errorf("client %d: no alerts", k)
		}
		from = &place{p.hello.Epoch, map[string]uint64{"alerts": seqs["alerts"]}}
		if err := p.ws.Close(); err != nil {
			t.Error(err)
		}
	}
}
