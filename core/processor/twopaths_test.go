package processor

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// TestScreensDoNotWaitForKafka: what the live stage shows is judged when it is in Kafka, and
// not before.
func TestScreensDoNotWaitForKafka(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	c := p.startReady()
	now := time.Now().UnixMilli()
	var pack wire.PackBuilder
	pack.Reset(1, 1)
	pack.Add(wire.PackEntry{Device: "d1", Received: now, Payload: sampleReading("d1", now, 99)})
	pack.Add(wire.PackEntry{Device: "d2", Received: now, Payload: []byte("no reading")})
	pack.Add(wire.PackEntry{Device: "d3", Received: now, Payload: []byte("x"), Refusal: &telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON}})
	require.NoError(t, p.hub.Publish(wire.FreshSubject("gw-a"), bytes.Clone(pack.Finish())))
	require.NoError(t, p.hub.Publish(wire.FreshSubject("gw-a"), []byte("no pack")))
	require.Eventually(t, func() bool { return len(l.of("d1")) == 1 }, waitTimeout, 10*time.Millisecond)
	require.Contains(t, string(l.of("d1")[0].Payload), `"status":"high"`)
	require.False(t, l.of("d1")[0].Backfill)
	c.eventually(t, 1, "core_live_readings_total", "shown")
	c.eventually(t, 1, "core_live_readings_total", "refused")
	c.eventually(t, 1, "core_live_packs_lost_total", "damaged")
	require.Empty(t, kafkatest.ReadAll(t, p.cfg.Brokers, p.cfg.Alerts, 0, waitTimeout), "it counts only when it is in Kafka")
}

// TestScreensAreLiveWithoutKafka: a core that never reached Kafka shows fresh readings.
func TestScreensAreLiveWithoutKafka(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	p.cfg.Brokers = []string{"127.0.0.1:1"}
	c := p.start()
	now := time.Now().UnixMilli()
	r := reading("d1", now, 20)
	require.Eventually(t, func() bool {
		p.show(&r)
		return len(l.of("d1")) > 0
	}, waitTimeout, 10*time.Millisecond)
	require.Error(t, c.Ready())
}

// TestOrderOfThePathsChangesNoAlarm: the live path may be first, last, or not bring a reading
// at all.
func TestOrderOfThePathsChangesNoAlarm(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.startReady()
	now := time.Now().UnixMilli()
	// The same course of every device, shown to the stage in another order.
	show := map[string]func(r *kafkatest.Record, write func()){
		"before": func(r *kafkatest.Record, write func()) { p.show(r); write() },
		"after":  func(r *kafkatest.Record, write func()) { write(); p.show(r) },
		"twice":  func(r *kafkatest.Record, write func()) { p.show(r); write(); p.show(r) },
		"never":  func(_ *kafkatest.Record, write func()) { write() },
	}
	for i, value := range []float64{20, 85, 86, 20, 90, 20} {
		for device, in := range show {
			r := reading(device, now-20_000+int64(i)*2000, value)
			in(&r, func() { kafkatest.Produce(t, p.cfg.Brokers, p.cfg.DeviceData, -1, r) })
		}
	}
	alerts := p.alerts(4 * len(show))
	require.Len(t, alerts, 4*len(show))
	type step struct {
		at     int64
		status telemetry.AlertStatus
	}
	course := map[string][]step{}
	for i := range alerts {
		a := &alerts[i]
		course[a.DeviceID] = append(course[a.DeviceID], step{a.Timestamp, a.Status})
	}
	for device := range show {
		require.Equal(t, course["never"], course[device], device)
	}
}

// TestWhatTheLivePathDoesNotBringIsShownFromKafka: readings that waited in a gateway, and
// those that came to Kafka without one.
func TestWhatTheLivePathDoesNotBringIsShownFromKafka(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	p.startReady()
	now := time.Now().UnixMilli()
	write := func(r kafkatest.Record) { kafkatest.Produce(t, p.cfg.Brokers, p.cfg.DeviceData, -1, r) }
	waited := reading("waited", now-60_000, 20)
	waited.Headers = append(waited.Headers, kgo.RecordHeader{Key: wire.HeaderBackfill, Value: []byte("1")})
	direct := kafkatest.Record{Key: []byte("direct"), Value: sampleReading("direct", now, 20)}
	write(reading("fresh", now, 20))
	write(waited)
	write(direct)
	require.Eventually(t, func() bool { return len(l.of("waited")) == 1 && len(l.of("direct")) == 1 }, waitTimeout, 10*time.Millisecond)
	require.True(t, l.of("waited")[0].Backfill)
	p.states(func(s map[string]telemetry.DeviceState) bool { return len(s) == 3 })
	require.Empty(t, l.of("fresh"), "the live path brings it")
}
