package processor

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/gateways"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

// TestBackfillIsNeitherLatencyNorSignOfLife lets a gateway send its buffer: the time the
// readings waited is no latency of the pipeline, and they do not show that its live
// readings get through.
func TestBackfillIsNeitherLatencyNorSignOfLife(t *testing.T) {
	tk := newTestTask(t)
	reg := prometheus.NewRegistry()
	tk.p.metrics = newMetrics(reg, tk.p)
	c := &core{Processor: tk.p, reg: reg}
	tk.p.gateways.Expect("gw-a")
	now := time.Now().UnixMilli()

	old := now - 3_600_000
	m := backfilled(message(0, "d1", old, 20), "gw-a", old)
	m.Timestamp = time.UnixMilli(now)
	processOne(tk, m)
	gw := tk.watchdog.sources["gw-a"]
	require.Zero(t, gw.live)
	require.InDelta(t, now, gw.backfilled, 60_000)
	tk.tick(now)
	require.Empty(t, tk.p.gateways.Live())
	require.Zero(t, c.value(t, "core_end_to_end_seconds"))

	backfill := gw.backfilled
	processOne(tk, from(message(1, "d1", now, 20), "gw-a"), from(message(2, "d1", now-1, 20), "gw-a"))
	require.Equal(t, now, gw.live, "the newest")
	require.Equal(t, backfill, gw.backfilled)
	require.InDelta(t, 2, c.value(t, "core_end_to_end_seconds"), 0)
	tk.tick(now)
	require.Equal(t, map[string]int64{"gw-a": now}, tk.p.gateways.Live())
	require.Zero(t, gw.live, "reported once")
}

func TestForgedGatewayNamesAreBounded(t *testing.T) {
	w := newWatchdog(nil, nil)
	known := w.source([]byte("gw-a"))
	require.Equal(t, "gw-a", known.name)
	require.Same(t, w.source(nil), w.source([]byte("no name!")))
	for i := range maxSources + 10 {
		w.source(fmt.Append(nil, "gw-", i))
	}
	require.Len(t, w.sources, maxSources)
	require.Equal(t, intake.Direct, w.source([]byte("gw-new")).name)
	require.Same(t, known, w.source([]byte("gw-a")))
}

// TestSilenceIsJudgedOnlyWhenItsReasonIsClear has a device that is offline since 0, with a
// window of 31 s, and looks at it at 100 s.
func TestSilenceIsJudgedOnlyWhenItsReasonIsClear(t *testing.T) {
	const now = 100_000
	up := gateways.Verdict{Presence: gateways.Up, Heard: 1, Flows: true}
	with := func(change func(*gateways.Verdict)) gateways.Verdict {
		v := up
		change(&v)
		return v
	}
	d := new(device)
	offline := telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOffline, Info: telemetry.DeviceInfo{IntervalS: 10}}
	d.presence = presenceOf(offline)
	window := d.presence.Window()
	require.EqualValues(t, 31_000, window)
	const travel = gateways.OnTheWay + slackMS
	tests := []struct {
		name  string
		from  source
		since int64
		want  bool
	}{
		{"no gateway", source{name: intake.Direct}, 0, true},
		{"gateway is up", source{verdict: up}, 0, true},
		{"not heard since", source{verdict: with(func(v *gateways.Verdict) { v.Heard = 0 })}, 0, false},
		{"its data does not arrive", source{verdict: with(func(v *gateways.Verdict) { v.Flows = false })}, 0, false},
		{"data may still be on its way", source{verdict: with(func(v *gateways.Verdict) { v.Heard = now })}, now - travel, false},
		{"data would have arrived", source{verdict: with(func(v *gateways.Verdict) { v.Heard = now })}, now - travel - 1, true},
		{"gateway just came back", source{verdict: with(func(v *gateways.Verdict) { v.Back = now - window })}, 0, false},
		{"gateway came back long ago", source{verdict: with(func(v *gateways.Verdict) { v.Back = now - window - 1 })}, 0, true},
		{"its buffer still arrives", source{verdict: up, backfilled: now - window}, 0, false},
		{"its buffer arrived long ago", source{verdict: up, backfilled: now - window - 1}, 0, true},
		{"gateway is down, its alarm known", source{verdict: gateways.Verdict{Presence: gateways.Gone}, gone: now, alarm: "a1"}, 0, true},
		{"gateway is down, waiting for its alarm", source{verdict: gateways.Verdict{Presence: gateways.Gone}, gone: now - parentWaitMS}, 0, false},
		{"gateway is down without an alarm", source{verdict: gateways.Verdict{Presence: gateways.Gone}, gone: now - parentWaitMS - 1}, 0, true},
		{"gateway is unknown", source{verdict: gateways.Verdict{Presence: gateways.Unknown, Heard: 1, Flows: true}}, 0, false},
		{"gateway is doubtful", source{verdict: gateways.Verdict{Presence: gateways.Doubtful, Heard: 1, Flows: true}}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			offline.Since = tt.since
			d.presence = presenceOf(offline)
			require.Equal(t, tt.want, tt.from.explains(d, now))
		})
	}
}

// silentTask returns a task with a device that went silent behind gateway gw-a.
func silentTask(t *testing.T) (tk *task, d *device, now int64) {
	t.Helper()
	tk = newTestTask(t)
	tk.p.partitions.Store(1)
	now = time.Now().UnixMilli()
	tk.progress.started = now - 60_000
	processOne(tk, from(message(0, "d1", now-1000, 20), "gw-a"), from(message(1, "d1", now, 20), "gw-a"))
	d = tk.devices["d1"]
	for end := now + 34_000; now < end; now += 1000 {
		tk.presence.Advance(now, false)
		tk.presence.check(d, now)
	}
	require.True(t, d.presence.Offline())
	require.Zero(t, tk.presence.online.Load())
	return tk, d, now
}

func TestSilenceIsReportedOnceAndItsEndToo(t *testing.T) {
	tk, d, now := silentTask(t)
	gw := tk.watchdog.source([]byte("gw-a"))
	gw.verdict = gateways.Verdict{Presence: gateways.Gone}
	gw.gone, gw.alarm = now, "a1"
	w, news := tk.watchdog.silence(d, now)
	require.True(t, news)
	require.True(t, w.Holds)
	require.Equal(t, "a1", w.Parent)
	require.Equal(t, "gw-a", w.Gateway)
	require.Equal(t, d.presence.Since(), w.Since)
	require.InDelta(t, 31, w.Threshold.Value, 0)
	require.InDelta(t, float64(now-d.presence.LastSeen())/1000, w.Value, 0)
	require.Contains(t, w.Message, "nothing for more than 31s")
	tk.watch(d, w)
	require.Equal(t, report{made: true, holds: true, parent: "a1"}, d.silence)
	_, news = tk.watchdog.silence(d, now+1000)
	require.False(t, news)
	gw.alarm = "a2"
	_, news = tk.watchdog.silence(d, now+1000)
	require.True(t, news, "another parent")
	require.Len(t, tk.out.alerts, 1)
	require.Equal(t, deviceOffline, mustLive(t, d, deviceOffline).AlertType)

	processOne(tk, from(message(1, "d1", now, 20), "gw-a"))
	require.EqualValues(t, 1, tk.presence.online.Load())
	w, news = tk.watchdog.silence(d, now)
	require.True(t, news)
	require.False(t, w.Holds)
	tk.watch(d, w)
	require.Equal(t, report{made: true}, d.silence)

	_, news = tk.watchdog.silence(&device{id: "gw-a"}, now)
	require.False(t, news, "a gateway's entry never sent a reading")
}

func mustLive(t *testing.T, d *device, kind string) telemetry.Alert {
	t.Helper()
	a, live := d.alarm.Live(kind)
	require.True(t, live)
	return a
}

// TestConditionWithoutAlarmIsReportedAgain has a rule whose on-delay runs.
func TestConditionWithoutAlarmIsReportedAgain(t *testing.T) {
	tk, d, now := silentTask(t)
	useRules(t, tk, "rules:\n  - id: gone\n    kind: offline\n    type: device_offline\n    on_delay: 10m\n    severity: low\n")
	tk.reloadRules()
	tk.watchdog.source([]byte("gw-a")).verdict = gateways.Verdict{Presence: gateways.Up, Heard: now, Flows: true}
	w, news := tk.watchdog.silence(d, now+60_000)
	require.True(t, news)
	tk.watch(d, w)
	require.False(t, d.silence.made)
	_, news = tk.watchdog.silence(d, now+61_000)
	require.True(t, news)
}

// TestGatewayThatIsDownExplainsItsDevices follows a gateway that was never heard.
func TestGatewayThatIsDownExplainsItsDevices(t *testing.T) {
	tk, d, now := silentTask(t)
	tk.p.gateways.Link(true)
	tk.p.gateways.Expect("gw-a")
	gw := tk.watchdog.source([]byte("gw-a"))
	direct := tk.watchdog.source(nil)
	tk.watchdog.inspectSources(now)
	require.Equal(t, gateways.Doubtful, gw.verdict.Presence)
	require.Zero(t, gw.gone)

	now += 120_000
	tk.watchdog.inspectSources(now)
	require.Equal(t, gateways.Gone, gw.verdict.Presence)
	require.Equal(t, now, gw.gone)
	require.Empty(t, gw.alarm)
	require.Zero(t, direct.verdict, "no gateway, nothing to inspect")
	tk.tick(now + 1000) // raises its alarm and publishes it to the members
	require.NotContains(t, tk.watchdog.reports, reportKey{"gw-a", "gateway_full"})
	down := mustLive(t, tk.devices["gw-a"], gateways.Down)
	require.Equal(t, down.AlertID, tk.p.peers.DownAlarm("gw-a", now))
	require.Equal(t, map[string]string{"gw-a": down.AlertID}, tk.watchdog.downAlarms(tk.devices))
	require.False(t, d.silence.made, "its parent was not known yet")
	tk.tick(now + 2000)
	require.Equal(t, down.AlertID, gw.alarm)
	require.Equal(t, now, gw.gone, "since the first tick that found it")
	require.Equal(t, down.AlertID, mustLive(t, d, deviceOffline).Suppressed.ByAlarm)
	require.Empty(t, tk.watchdog.findings("gw-a", now+3000), "reported")

	tk.p.gateways.Alive("gw-a", now+3000)
	tk.tick(now + 3000)
	require.Zero(t, gw.gone)
	require.Empty(t, gw.alarm)
	require.Empty(t, tk.watchdog.downAlarms(tk.devices))
	require.Equal(t, report{made: true}, tk.watchdog.reports[reportKey{"gw-a", gateways.Down}])
}

func TestGatewaysBelongToOnePartition(t *testing.T) {
	tk := newTestTask(t)
	tk.p.gateways.Link(true)
	tk.p.gateways.Expect("gw-a")
	later := time.Now().UnixMilli() + 600_000
	tk.partition = tk.p.partitionOf("gw-a") + 1
	tk.watchGateways(later)
	require.Empty(t, tk.devices)
	tk.p.gateways.Alive("gw-a", later) // it is up
	tk.partition--
	tk.watchGateways(later)
	require.Empty(t, tk.devices, "no alarm to clear")
	tk.watchGateways(later + 600_000)
	require.Contains(t, tk.devices, "gw-a")
	require.Nil(t, tk.watchdog.findings("gw-x", later), "unknown")
}

func TestRestoredStateNamesTheGatewaysToExpect(t *testing.T) {
	const now = 2 * expectMS
	tests := []struct {
		name     string
		gateway  string
		lastSeen int64
		want     bool
	}{
		{"recent", "gw-a", now - expectMS + 1, true},
		{"a day ago", "gw-a", now - expectMS, false},
		{"without a gateway", intake.Direct, now, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tk := newTestTask(t)
			d := tk.addDevice("d1")
			d.presence = presenceOf(telemetry.DeviceState{DeviceID: "d1", Gateway: tt.gateway, LastSeen: tt.lastSeen})
			tk.watchdog.expect(tk.devices, now)
			require.Equal(t, tt.want, len(tk.p.gateways.Names()) == 1)
		})
	}
	tk := newTestTask(t)
	tk.addDevice("d1")
	tk.watchdog.expect(tk.devices, now)
	require.Empty(t, tk.p.gateways.Names(), "it has an alarm state but never sent a reading")

	// A gateway whose alarm was raised is expected whatever its devices did.
	raised, _, later := silentTask(t)
	raised.p.gateways.Link(true)
	raised.p.gateways.Expect("gw-b")
	raised.watchGateways(later + 600_000)
	require.NotNil(t, raised.devices["gw-b"])
	fresh := newTestTask(t)
	fresh.watchdog.expect(map[string]*device{"gw-b": raised.devices["gw-b"]}, now)
	require.Equal(t, []string{"gw-b"}, fresh.p.gateways.Names())
}
