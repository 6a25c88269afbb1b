package processor

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// newTestTask returns the task of partition 0 of a processor that is not running.
func newTestTask(t *testing.T) *task {
	t.Helper()
	cfg := defaultConfig(t)
	cfg.HTTPAddr = ""
	p, err := New(Options{Config: cfg, Log: discardLog()})
	require.NoError(t, err)
	return newTask(p, 0, func() {})
}

func message(offset int64, device string, ts int64, temperature float64) *sarama.ConsumerMessage {
	return &sarama.ConsumerMessage{
		Topic: "device-data", Offset: offset, Timestamp: time.UnixMilli(ts),
		Key: []byte(device), Value: sampleReading(device, ts, temperature),
	}
}

func TestBatchHoldsTheNewestStateAndEveryAlert(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	require.Nil(t, tk.pending.pop(), "nothing done, nothing to commit")
	for i, temperature := range []float64{85, 20, 90} {
		tk.process([]*sarama.ConsumerMessage{message(int64(i), "d1", now+int64(i), temperature)})
	}
	b := tk.pending.pop()
	require.EqualValues(t, 3, b.next)
	require.Len(t, b.alerts, 3)
	require.Len(t, b.alarms, 1)
	require.Contains(t, string(b.alarms["d1"]), `"peak_value":90`)
	require.Len(t, b.devices, 1)
	require.Nil(t, tk.pending.pop())
}

func TestAlarmStateIsForgottenInTheEnd(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now, 85), message(1, "d2", now, 85), message(2, "d1", now+1, 20)})
	tk.pending.pop()
	tk.apply(acknowledge("c1", "d1", now), now)
	tk.tick(now + rememberMS)
	require.NotNil(t, tk.pending.pop().alarms["d1"], "a late reading could still come")
	tk.tick(now + 2*rememberMS)
	b := tk.pending.pop()
	require.Contains(t, b.alarms, "d1")
	require.Nil(t, b.alarms["d1"], "the record is removed")
	require.NotContains(t, b.alarms, "d2", "its alarm is raised")
}

func acknowledge(id, device string, at int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: device, AlertType: "temperature_high",
		Action: telemetry.ActionAcknowledge, By: "somebody", At: at,
	}
}

func TestRestoredTaskGoesOnWhereTheOldOneStopped(t *testing.T) {
	old := newTestTask(t)
	now := time.Now().UnixMilli()
	old.process([]*sarama.ConsumerMessage{message(0, "d1", now-3000, 85), message(1, "d2", now-3000, 20)})
	b := old.pending.pop()
	b.devices["garbage"] = []byte("{")
	b.devices["other"] = []byte(`{"device_id":"somebody else"}`)
	b.alarms["garbage"] = []byte("{")
	b.alarms["no device id!"] = []byte("{}")

	tk := newTestTask(t)
	s := newSession(tk.p, nil)
	s.load(tk, b.alarms, b.devices)
	require.Len(t, tk.devices, 2)
	require.EqualValues(t, 2, tk.presence.online.Load())
	tk.process([]*sarama.ConsumerMessage{message(2, "d2", now-4000, 99), message(3, "d1", now-1000, 20)})
	again := tk.pending.pop()
	require.Len(t, again.alerts, 1, "the late reading raises nothing")
	require.Equal(t, telemetry.AlertCleared, again.alerts[0].status)
	require.Contains(t, string(again.alerts[0].data), `"peak_value":85`)
}

func TestDeadLetterIsBounded(t *testing.T) {
	m := &sarama.ConsumerMessage{Topic: "in", Partition: 3, Offset: 42, Key: make([]byte, 5000), Value: make([]byte, 5<<20)}
	m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte(wire.HeaderReason), Value: []byte("forged")})
	for range 100 {
		m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte("h"), Value: make([]byte, 10_000)})
	}
	l := newDeadLetter("dlq", m, &telemetry.Refusal{Reason: telemetry.ReasonTooLarge, Message: "too large"})
	require.Less(t, l.message.ByteSize(2), 1_000_000)
	var seen []string
	for _, h := range l.message.Headers {
		if string(h.Key) == wire.HeaderReason {
			seen = append(seen, string(h.Value))
		}
	}
	require.Equal(t, []string{string(telemetry.ReasonTooLarge)}, seen)
}

func TestHistogramCountsManyAtOnce(t *testing.T) {
	h := newHistogram("h_seconds", "h", endToEndBuckets)
	h.observe(0.004, 10)
	var counted observations
	counted.add(-1) // another machine's clock
	counted.add(0.02)
	counted.add(1e6)
	h.absorb(&counted)
	require.Zero(t, counted)
	reg := prometheus.NewRegistry()
	reg.MustRegister(h)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := families[0].GetMetric()[0].GetHistogram()
	require.EqualValues(t, 13, got.GetSampleCount())
	require.InDelta(t, 10*0.004+0.02+1e6, got.GetSampleSum(), 1e-6)
	require.EqualValues(t, 11, got.GetBucket()[0].GetCumulativeCount())
	require.EqualValues(t, 12, got.GetBucket()[2].GetCumulativeCount())
	require.Len(t, counted.counts, len(endToEndBuckets)+1)
}

func TestSeriesAreThereFromTheStart(t *testing.T) {
	tk := newTestTask(t)
	reg := prometheus.NewRegistry()
	newMetrics(reg, tk.p)
	families, err := reg.Gather()
	require.NoError(t, err)
	series := 0
	for _, f := range families {
		series += len(f.GetMetric())
	}
	require.GreaterOrEqual(t, series, 2+2+2+8+len(reasons)+4+2)
}

func TestEveryVariableIsExplained(t *testing.T) {
	for _, v := range config.Describe(&Config{}) {
		require.NotEmpty(t, v.Help, v.Name)
	}
}
