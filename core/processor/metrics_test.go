package processor

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

// measured returns a task with metrics of its own.
func measured(t *testing.T) (*task, *core) {
	t.Helper()
	tk := newTestTask(t)
	reg := prometheus.NewRegistry()
	tk.p.metrics = newMetrics(reg, tk.p)
	return tk, &core{Processor: tk.p, reg: reg}
}

func TestHistogramCountsManyAtOnce(t *testing.T) {
	h := newHistogram("h_seconds", "h", endToEndBuckets)
	h.observe(0.004, 10)
	h.observe(0.005, 0)
	var seen observations
	seen.add(-1)   // another machine's clock
	seen.add(0.01) // a bound belongs to its bucket
	seen.add(0.02)
	seen.add(1e6)
	h.absorb(&seen)
	require.Zero(t, seen)
	reg := prometheus.NewRegistry()
	reg.MustRegister(h)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := families[0].GetMetric()[0].GetHistogram()
	require.EqualValues(t, 14, got.GetSampleCount())
	require.InDelta(t, 10*0.004+0.01+0.02+1e6, got.GetSampleSum(), 1e-6)
	require.EqualValues(t, 11, got.GetBucket()[0].GetCumulativeCount())
	require.EqualValues(t, 12, got.GetBucket()[1].GetCumulativeCount())
	require.EqualValues(t, 13, got.GetBucket()[2].GetCumulativeCount())
	require.Len(t, seen.counts, len(endToEndBuckets)+1)
}

func TestChunkIsCounted(t *testing.T) {
	tk, c := measured(t)
	var chunk counts
	chunk.refused, chunk.late = 2, 4
	now := time.Now().UnixMilli()
	for _, clock := range []intake.Clock{intake.ClockGood, intake.ClockAhead, intake.ClockAhead, intake.ClockBehind} {
		chunk.reading(&intake.Origin{Clock: clock, Received: now - 1500}, now)
	}
	tk.p.metrics.chunk(&chunk, 10, 20*time.Millisecond)
	require.Zero(t, chunk)
	for _, m := range []struct {
		want float64
		name []string
	}{
		{8, []string{"iot_messages_total", "success"}},
		{2, []string{"iot_messages_total", "failed"}},
		{8, []string{"core_readings_total"}},
		{4, []string{"core_late_total"}},
		{2, []string{"core_gateway_clock_wrong_total", "ahead"}},
		{1, []string{"core_gateway_clock_wrong_total", "behind"}},
		{10, []string{"iot_message_processing_duration_seconds"}},
		{4, []string{"core_end_to_end_seconds"}},
	} {
		require.InDelta(t, m.want, c.value(t, m.name[0], m.name[1:]...), 0, m.name)
	}
	require.InDelta(t, 4*1.5, tk.p.metrics.endToEnd.sum, 1e-9, "seconds")
	require.InDelta(t, 0.02, tk.p.metrics.processing.sum, 1e-9, "the mean of each record")
}

func TestAlertsAreCountedByStatusAndEvent(t *testing.T) {
	tk, c := measured(t)
	m := tk.p.metrics
	for _, e := range []telemetry.AlarmEvent{telemetry.EventRaised, telemetry.EventRepeated, telemetry.EventCleared, telemetry.EventAcknowledged} {
		m.alert(&alertRecord{status: telemetry.AlertActive, severity: telemetry.SeverityLow, event: e})
		require.InDelta(t, 1, c.value(t, "core_alarm_events_total", string(e)), 0)
	}
	require.InDelta(t, 3, c.value(t, "core_alerts_total", "active", "low"), 0, "an acknowledgement raises nothing")
	for _, from := range []telemetry.AlarmState{telemetry.AlarmUnacknowledged, telemetry.AlarmAcknowledged, telemetry.AlarmReturned} {
		for _, e := range []telemetry.AlarmEvent{telemetry.EventNotAnomaly, telemetry.EventRemoved} {
			m.alert(&alertRecord{status: telemetry.AlertCleared, severity: telemetry.SeverityLow, event: e, from: from})
		}
	}
	require.InDelta(t, 4, c.value(t, "core_alerts_total", "cleared", "low"), 0, "one that had returned was counted then")
	m.deadLetter(telemetry.ReasonEmpty)
	require.InDelta(t, 1, c.value(t, "core_dead_letters_total", string(telemetry.ReasonEmpty)), 0)
}

func TestSeriesAreThereFromTheStart(t *testing.T) {
	_, c := measured(t)
	families, err := c.reg.Gather()
	require.NoError(t, err)
	series := map[string]int{}
	for _, f := range families {
		series[f.GetName()] = len(f.GetMetric())
	}
	for name, n := range map[string]int{
		"iot_messages_total": 2, "core_transactions_total": 2, "core_gateway_clock_wrong_total": 2,
		"core_dead_letters_total": len(reasons), "core_alerts_total": 2 * 4, "core_alarm_events_total": len(events),
		"core_alarm_commands_total": 4, "core_devices_removed_total": 2, "core_removed_readings_total": 1, "core_readings_total": 1, "core_late_total": 1, "core_commit_duration_seconds": 1,
		"core_restore_duration_seconds": 1, "iot_message_processing_duration_seconds": 1, "core_end_to_end_seconds": 1,
		"core_partitions_owned": 1, "iot_active_devices_total": 1, "core_device_clocks": 2, "core_anomalies_total": 2 * len(kinds), "core_detect_seconds": 1,
		"core_detect_streams": 1, "core_anomaly_budget_spent": 1,
	} {
		require.Equal(t, n, series[name], name)
	}
}

func TestAssignmentIsShown(t *testing.T) {
	tk, c := measured(t)
	s := newSession(tk.p, nil)
	other := newTask(tk.p, 7, nil)
	s.order = []*task{tk, other}
	tk.p.session.Store(s)
	now := time.Now().UnixMilli()
	processOne(tk, message(0, "d1", now, 20), message(1, "d2", now, 20))
	processOne(other, message(0, "d3", now, 20))
	other.progress.grow(11, now)
	require.InDelta(t, 2, c.value(t, "core_partitions_owned"), 0)
	require.InDelta(t, 3, c.value(t, "iot_active_devices_total"), 0)
	require.InDelta(t, 10, c.value(t, "core_partition_lag", "7"), 0)
	require.InDelta(t, 0, c.value(t, "core_partition_lag", "0"), 0)
	require.InDelta(t, 1, c.value(t, "core_detect_lag", "0"), 0, "it has not begun")
	descriptions := make(chan *prometheus.Desc, 10)
	newAssignment(tk.p).Describe(descriptions)
	require.Len(t, descriptions, 7)
}
