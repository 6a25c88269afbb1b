package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const t0 = int64(1_700_000_000_000)

// clock is a clock that tests move.
type clock struct{ ms int64 }

func newModel(o Options) (*Model, *clock) {
	c := &clock{t0}
	o.Now = func() time.Time { return time.UnixMilli(c.ms) }
	return New(o), c
}

func payload(id string, ts int64, building string) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":%q,"floor":3,"room":"301"},"sensors":{},"device_info":{"model":"M2"}}`, id, ts, building)
}

func entry(id string, ts, received int64) wire.FrameEntry {
	return wire.FrameEntry{Device: id, Timestamp: ts, Received: received, Payload: payload(id, ts, "A栋")}
}

func apply(t *testing.T, p *Model, entries ...wire.FrameEntry) {
	t.Helper()
	var b wire.FrameBuilder
	b.Reset("gw-a")
	for _, e := range entries {
		b.Add(e)
	}
	data := append([]byte(nil), b.Finish()...)
	f, err := wire.OpenFrame(data)
	require.NoError(t, err)
	n, err := p.ApplyFrame(f)
	require.NoError(t, err)
	require.Len(t, entries, n)
	for i := range data {
		data[i] = 'x' // nothing of the frame may be kept
	}
}

// recorder is an observer that records its notifications.
type recorder struct{ added, removed, described, readings, alerts []string }

func (r *recorder) Added(d *Device)     { r.added = append(r.added, d.ID) }
func (r *recorder) Removed(d *Device)   { r.removed = append(r.removed, d.ID) }
func (r *recorder) Described(d *Device) { r.described = append(r.described, d.ID+" "+d.Meta().Name) }

func (r *recorder) Readings(u []*Device) {
	for _, d := range u {
		r.readings = append(r.readings, fmt.Sprintf("%s@%d", d.ID, d.Timestamp()))
	}
}
func (r *recorder) Alert(a *Alert) { r.alerts = append(r.alerts, a.AlertID+" "+string(a.Status)) }

func TestNewestReadingWins(t *testing.T) {
	p, _ := newModel(Options{})
	r := &recorder{}
	p.Observe(r)
	backfill := entry("d1", t0-50, t0)
	backfill.Backfill = true
	newerBackfill := entry("d1", t0+200, t0+300)
	newerBackfill.Backfill = true
	same := entry("d1", t0+200, t0+300)
	sameButOther := entry("d1", t0+200, t0+300)
	sameButOther.Payload = payload("d1", t0+200, "B栋")
	apply(t, p,
		entry("d1", t0, t0), entry("d2", t0, t0),
		entry("d1", t0-100, t0+100), // out of order
		backfill,                    // old
		newerBackfill,               // waited, and yet the newest
		same,                        // sent again by a replay
		sameButOther,
	)
	d1 := fmt.Sprint("d1@", t0+200)
	require.Equal(t, []string{fmt.Sprint("d1@", t0+200), fmt.Sprint("d2@", t0), d1, d1}, r.readings)
	require.Equal(t, []string{"d1", "d2"}, r.added)
	require.Equal(t, Counts{Frames: 1, Readings: 7, Backfilled: 2, Outdated: 3}, p.Totals())
	p.View(func() {
		d := p.Device("d1")
		require.Equal(t, sameButOther.Payload, d.Payload())
		require.Equal(t, "gw-a", d.Gateway())
		require.Equal(t, t0+300, d.Received())
		require.False(t, d.Backfill())
		require.Same(t, d, p.DeviceAt(d.Index))
	})
}

func TestClockThatWasPutRightDoesNotFreezeADevice(t *testing.T) {
	p, _ := newModel(Options{})
	apply(t, p, entry("d1", t0+300_000, t0)) // five minutes ahead
	apply(t, p, entry("d1", t0+1000, t0+1000))
	p.View(func() { require.Equal(t, t0+1000, p.Device("d1").Timestamp()) })
	apply(t, p, entry("d1", t0+500, t0+1100)) // merely out of order
	p.View(func() { require.Equal(t, t0+1000, p.Device("d1").Timestamp()) })
}

func TestSeenIsNeverInTheFuture(t *testing.T) {
	p, _ := newModel(Options{})
	apply(t, p, entry("d1", t0+300_000, t0))
	p.View(func() { require.Equal(t, t0, p.Device("d1").Seen()) })
	p.ApplyState(telemetry.DeviceState{DeviceID: "d2", LastSeen: t0 - 5})
	p.View(func() { require.Equal(t, t0-5, p.Device("d2").Seen()) })
}

func TestPlaceComesFromReadingsAndStates(t *testing.T) {
	p, _ := newModel(Options{})
	p.ApplyState(telemetry.DeviceState{DeviceID: "d1", Location: telemetry.Location{Building: "C栋", Room: "1"}, Info: telemetry.DeviceInfo{Model: "M1"}, Gateway: "gw-c"})
	p.View(func() {
		d := p.Device("d1")
		require.Equal(t, "C栋", d.Location().Building)
		require.Equal(t, "M1", d.Info().Model)
		require.Equal(t, "gw-c", d.Gateway())
		require.False(t, d.HasReading())
	})
	apply(t, p, entry("d1", t0, t0))
	p.View(func() {
		d := p.Device("d1")
		require.Equal(t, telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}, d.Location())
		require.Equal(t, "M2", d.Info().Model)
	})
	moved := entry("d1", t0+100_000, t0+100_000)
	moved.Payload = payload("d1", t0+100_000, "B栋")
	unknown := entry("d1", t0+200_000, t0+200_000)
	unknown.Payload = []byte(`{"device_id":"d1"}`)
	apply(t, p, moved, unknown)
	p.View(func() { require.Equal(t, "B栋", p.Device("d1").Location().Building) })
}

func TestPresence(t *testing.T) {
	p, c := newModel(Options{})
	presence := func(id string) (out telemetry.Presence) {
		p.View(func() { out = p.Device(id).Presence(c.ms) })
		return out
	}
	apply(t, p, entry("d1", t0, t0))
	require.Equal(t, telemetry.PresenceOnline, presence("d1"), "heard lately")
	c.ms += heardLately
	require.Equal(t, PresenceUnknown, presence("d1"), "not heard, and core said nothing")
	p.ApplyState(telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOffline, Since: t0 + 15_000, LastSeen: t0})
	require.Equal(t, telemetry.PresenceOffline, presence("d1"))
	apply(t, p, entry("d1", t0+60_000, t0+60_000))
	require.Equal(t, telemetry.PresenceOnline, presence("d1"), "a live reading is ahead of core's word")
	p.ApplyState(telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOnline, Since: t0 + 60_000, LastSeen: t0 + 60_000})
	c.ms += 1_000_000
	require.Equal(t, telemetry.PresenceOnline, presence("d1"), "core knows the interval; we do not second-guess it")
	p.Remove("d1", 0)
	p.Remove("unknown", 0)
	p.View(func() {
		require.Nil(t, p.Device("d1"))
		require.False(t, p.DeviceAt(0).Known())
		require.False(t, p.DeviceAt(0).HasReading())
	})
	require.Zero(t, p.Stats().Devices.Total)
	apply(t, p, entry("d1", c.ms, c.ms))
	require.Equal(t, Presences{Total: 1, Online: 1}, p.Stats().Devices)
}

func TestGatewaysAgeByOurClock(t *testing.T) {
	p, c := newModel(Options{})
	p.ApplyHeartbeat(wire.GatewayStatus{Gateway: "gw-b", Time: 1})
	p.ApplyHeartbeat(wire.GatewayStatus{Gateway: "gw-a", Time: 1})
	c.ms += GatewaySilentAfter
	p.ApplyHeartbeat(wire.GatewayStatus{Gateway: "gw-b", Time: 2})
	c.ms++
	gs := p.Gateways()
	require.Equal(t, "gw-a", gs[0].Gateway)
	require.True(t, gs[0].Silent(c.ms))
	require.False(t, gs[1].Silent(c.ms))
	s := p.Stats()
	require.Equal(t, 2, s.Gateways)
	require.Equal(t, 1, s.Silent)
}

func TestStatsCountWhatIsThere(t *testing.T) {
	p, c := newModel(Options{})
	for i := range 10 {
		e := entry(fmt.Sprint("d", i), t0, t0-20)
		if i >= 7 {
			e.Payload = payload(fmt.Sprint("d", i), t0, "B栋")
		}
		apply(t, p, e)
	}
	p.ApplyState(telemetry.DeviceState{DeviceID: "d0", Presence: telemetry.PresenceOffline, Since: t0, LastSeen: t0})
	p.ApplyAlert(alert(t, "a", "d1", telemetry.AlertActive, 1), true)
	p.ApplyAlert(alert(t, "b", "d9", telemetry.AlertActive, 1), true)
	p.ApplyAlert(alert(t, "b", "d9", telemetry.AlertCleared, 2), true)
	c.ms += 1000
	s := p.Stats()
	require.Equal(t, Presences{Total: 10, Online: 9, Offline: 1}, s.Devices)
	require.Equal(t, [5]int{0, 1, 0, 0, 0}, s.Active)
	require.Equal(t, 2, s.Kept)
	require.Equal(t, "A栋", s.Buildings[0].Name)
	require.Equal(t, Presences{Total: 7, Online: 6, Offline: 1}, s.Buildings[0].Devices)
	require.Equal(t, 1, s.Buildings[0].Calling)
	require.Equal(t, 0, s.Buildings[1].Calling)
	require.Equal(t, int64(10), s.Received.Aged)
	require.InDelta(t, 20, s.Received.Mean, 0.001)
	require.InDelta(t, 10, s.Received.PerSecond, 0.001)
}

// gathered returns the values of the model's metrics by name and labels.
func gathered(t *testing.T, m *Model) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(m.Collector()))
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, v := range f.GetMetric() {
			name := f.GetName()
			for _, l := range v.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = v.GetGauge().GetValue() + v.GetCounter().GetValue() + float64(v.GetHistogram().GetSampleCount())
		}
	}
	return got
}

func TestMetricsShowTheSameFigures(t *testing.T) {
	p, _ := newModel(Options{})
	old := entry("d2", t0, t0)
	old.Backfill = true
	apply(t, p, entry("d1", t0, t0-10), old)
	p.ApplyAlert(alert(t, "a", "d1", telemetry.AlertActive, 1), true)
	got := gathered(t, p)
	require.Equal(t, map[string]float64{
		"portal_frames_total": 1, "portal_readings_total live": 1, "portal_readings_total backfill": 1,
		"portal_readings_outdated_total": 0, "portal_readings_refused_total": 0, "portal_readings_removed_total": 0, "portal_reading_age_seconds": 1,
		"portal_devices online": 1, "portal_devices offline": 0, "portal_devices unknown": 1,
		"portal_alert_records_total news": 1, "portal_alert_records_total repeated": 0,
		"portal_active_alerts critical": 0, "portal_active_alerts high": 1, "portal_active_alerts medium": 0,
		"portal_active_alerts low": 0, "portal_active_alerts other": 0, "portal_alarms no": 1, "portal_alarms yes": 0, "portal_alarms_aside": 0,
	}, got)
}

func TestDamagedFrameIsAppliedAsFarAsItGoes(t *testing.T) {
	p, _ := newModel(Options{})
	var b wire.FrameBuilder
	b.Reset("gw-a")
	b.Add(entry("d1", t0, t0))
	b.Add(entry("d2", t0, t0))
	data := b.Finish()
	f, err := wire.OpenFrame(data[:len(data)-5])
	require.NoError(t, err)
	n, err := p.ApplyFrame(f)
	require.ErrorIs(t, err, wire.ErrDamagedFrame)
	require.Equal(t, 1, n)
	require.Equal(t, 1, p.Stats().Devices.Total)
}

func BenchmarkStats(b *testing.B) {
	p := New(Options{})
	for i := range 100_000 {
		p.ApplyState(telemetry.DeviceState{DeviceID: fmt.Sprint("device_", i), Presence: telemetry.PresenceOnline, Location: telemetry.Location{Building: fmt.Sprint(i % 3)}})
	}
	for b.Loop() {
		p.Stats()
	}
}
