package processor

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
)

func TestAlarmSurvivesRestart(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	now := time.Now().UnixMilli()
	c := p.startReady()
	p.produce(reading("d1", now-9000, 85), reading("d1", now-8000, 95))
	p.alerts(1)
	c.eventually(t, 2, "core_readings_total")
	c.stop()
	p.produce(reading("d1", now-7000, 90)) // still too hot while no core runs
	c = p.startReady()
	c.eventually(t, 1, "core_readings_total")
	p.produce(reading("d1", now-6000, 20))
	alerts := p.alerts(2)
	requireOnePair(t, alerts, 1)
	require.InDelta(t, 95, alerts[1].PeakValue, 0, "the peak was before the restart")
	require.Equal(t, now-9000, alerts[1].RaisedAt)
}

func TestLateReadingAfterRestartRaisesNothing(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	now := time.Now().UnixMilli()
	c := p.startReady()
	p.produce(reading("d1", now-9000, 85), reading("d1", now-5000, 20))
	p.alerts(2)
	c.stop()
	c = p.startReady()
	p.produce(reading("d1", now-8000, 85)) // belongs to the incident that is over
	c.eventually(t, 1, "core_readings_total")
	c.stop()
	requireOnePair(t, p.alerts(2), 1)
}

// excursions are readings of devices that get too hot and cool down again, in waves.
func excursions(devices int, from int64) (waves [][]kafkatest.Record) {
	for wave, temperature := range []float64{20, 85, 99, 90, 79.5, 20, 21} {
		var records []kafkatest.Record
		for i := range devices {
			records = append(records, reading(fmt.Sprint("d", i), from+int64(wave)*100, temperature))
		}
		waves = append(waves, records)
	}
	return waves
}

func TestNoAlertIsDoubledWhenMembersComeAndGo(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	const devices = 40
	waves := excursions(devices, time.Now().UnixMilli()-60_000)
	first := p.startReady()
	p.produce(waves[0]...)
	p.produce(waves[1]...)
	second := p.start()
	p.produce(waves[2]...)
	require.Eventually(t, func() bool {
		s := second.session.Load()
		return s != nil && len(s.order) > 0
	}, waitTimeout, 10*time.Millisecond, "the second gets its share")
	p.produce(waves[3]...)
	p.produce(waves[4]...)
	first.stop()
	p.produce(waves[5]...)
	p.produce(waves[6]...)
	p.alerts(2 * devices)
	second.eventually(t, 10, "core_partitions_owned")
	second.stop()
	requireOnePair(t, p.alerts(2*devices), devices)
}

// TestFencedMemberStartsAgain takes the transactional id away from a running processor,
// as a second owner of its partition would, at every other wave of readings: each time the
// transaction fails, the work since the last one is repeated, and nothing is doubled.
func TestFencedMemberStartsAgain(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(4)
	const devices = 40
	c := p.startReady()
	for i, wave := range excursions(devices, time.Now().UnixMilli()-60_000) {
		require.Eventually(t, func() bool { return c.Ready() == nil }, waitTimeout, 10*time.Millisecond)
		if i%2 == 0 {
			p.produce(wave...)
			p.processed((i + 1) * devices)
			continue
		}
		thief := p.steal("0")
		p.produce(wave...)
		require.Eventually(t, func() bool { return c.value(t, "core_transactions_total", "aborted") >= float64(i/2+1) },
			waitTimeout, 10*time.Millisecond, "wave %d", i)
		require.NoError(t, thief.Close())
	}
	p.alerts(2 * devices)
	c.stop()
	requireOnePair(t, p.alerts(2*devices), devices)
	require.Len(t, p.states(func(map[string]telemetry.DeviceState) bool { return true }), devices)
}

// TestFencedAtAnyMoment does the same at arbitrary moments.
func TestFencedAtAnyMoment(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(4)
	const devices = 40
	c := p.startReady()
	for i := range 10 {
		from := time.Now().UnixMilli() - 60_000 + int64(i)*2000
		for j, wave := range excursions(devices, from) {
			p.produce(wave...)
			if j == i%7 {
				require.NoError(t, p.steal("0").Close())
			}
		}
	}
	p.processed(10 * 7 * devices)
	c.stop()
	byDevice := map[string][]telemetry.Alert{}
	for _, a := range p.alerts(10 * 2 * devices) {
		byDevice[a.DeviceID] = append(byDevice[a.DeviceID], a)
	}
	require.Len(t, byDevice, devices)
	for device, alerts := range byDevice {
		require.Len(t, alerts, 20, device)
		for i := 0; i < len(alerts); i += 2 {
			requireOnePair(t, alerts[i:i+2], 1)
		}
	}
}

// steal makes a producer with the transactional id of a partition, which fences the
// processor's.
func (p *env) steal(partition string) *kafka.Producer {
	p.t.Helper()
	thief, err := kafka.NewProducer(p.t.Context(), discardLog(), p.cfg.Config, "thief", p.cfg.TxnPrefix+partition)
	require.NoError(p.t, err)
	return thief
}

// processed waits until the group has committed n offsets.
func (p *env) processed(n int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		sum := int64(0)
		for _, offset := range kafkatest.Committed(p.t, p.cfg.Brokers, p.cfg.GroupID, p.cfg.DeviceData) {
			sum += offset
		}
		return sum == int64(n)
	}, waitTimeout, 50*time.Millisecond, "%d offsets committed", n)
}

// undetected returns alerts without their detection time, which is that of the clock.
func undetected(alerts []telemetry.Alert) []telemetry.Alert {
	out := slices.Clone(alerts)
	for i := range out {
		out[i].DetectedAt = 0
	}
	return out
}

// TestReplayGivesTheSameAlerts processes the same input twice, each time from zero and with
// empty state topics.
func TestReplayGivesTheSameAlerts(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	const devices = 20
	for _, wave := range excursions(devices, time.Now().UnixMilli()-60_000) {
		p.createInput(4)
		p.produce(wave...)
	}
	c := p.start()
	first := p.alerts(2 * devices)
	c.stop()
	input := p.cfg.DeviceData
	p.cfg.Topics = kafkatest.Topics(t)
	p.cfg.DeviceData = input
	p.cfg.GroupID = kafkatest.Name(t, "core")
	c = p.start()
	second := p.alerts(2 * devices)
	c.stop()
	require.ElementsMatch(t, undetected(first), undetected(second))
}
