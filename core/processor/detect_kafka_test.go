package processor

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// astray are readings of devices that learn and then, each at its own time, go astray and come
// back, in waves.
func astray(devices int, from int64) (waves [][]kafkatest.Record) {
	const each, learnt = 60, 6
	at := from - learnt*each*apart
	for wave := range 12 {
		var records []kafkatest.Record
		for i := range each {
			step := int64(1000)
			switch {
			case wave < learnt:
				step = apart
			case wave > 7:
				step = 10_000 // the off-delay passes
			}
			at += step
			for d := range devices {
				value := ordinary(wave*each + i + d)
				if wave >= learnt && i == 7*d && (wave+d)%3 == 0 {
					value = 4000 * float64(wave)
				}
				records = append(records, receivedAt(reading(fmt.Sprint("d", d), at, value), at))
			}
		}
		waves = append(waves, records)
	}
	return waves
}

func ofDetector(a *telemetry.Alert) bool { return a.Source == telemetry.SourceAnomaly }

// TestAnomaliesAreTheSameWhateverFails lets members come, go, stop and be fenced while devices go
// astray: the alarms are those of one run over the same readings.
func TestAnomaliesAreTheSameWhateverFails(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.cfg.DetectMode, p.cfg.TemperatureHigh, p.cfg.TemperatureLow = detectOn, 1e9, -1e9
	p.createInput(2)
	const devices = 4
	c, done := p.startReady(), 0
	for i, wave := range astray(devices, time.Now().UnixMilli()-4_000_000) {
		p.produce(wave...)
		done += len(wave)
		switch i % 4 {
		case 0: // fenced in the middle of its work
			require.NoError(t, p.steal("0").Close())
		case 1:
			p.processed(done)
			require.NoError(t, p.steal("0").Close())
		case 2:
			c.stop()
			c = p.start()
		}
	}
	p.processed(done)
	c.stop()
	got, learnt := p.await(1, ofDetector), p.learnt(devices)

	input := p.cfg.DeviceData
	p.cfg.Topics = kafkatest.Topics(t)
	p.cfg.DeviceData = input
	p.cfg.GroupID = kafkatest.Name(t, "core")
	c = p.start()
	p.processed(done)
	c.stop()
	want := p.await(1, ofDetector)
	require.Equal(t, p.learnt(devices), learnt, "what the detector knows")
	require.ElementsMatch(t, undetected(want), undetected(got))
	raised, cleared := 0, 0
	for _, a := range got {
		switch a.Event { //nolint:exhaustive // the others are not of interest
		case telemetry.EventRaised:
			raised++
		case telemetry.EventCleared:
			cleared++
		}
	}
	require.Positive(t, raised)
	require.Positive(t, cleared)
}

// learnt returns the newest states of the detector by device, without where and when they were written.
func (p *env) learnt(devices int) map[string]string {
	p.t.Helper()
	out := map[string]string{}
	for _, r := range kafkatest.ReadAll(p.t, p.cfg.Brokers, p.cfg.DetectState, 0, waitTimeout) {
		if h, d, err := decodeSnapshot(r.Value); err == nil {
			h.Position, h.Clock = 0, 0
			data, err := encodeSnapshot(&h, &d)
			require.NoError(p.t, err)
			out[string(r.Key)] = string(data)
		}
	}
	require.Len(p.t, out, devices)
	return out
}

// TestUnusualDevicesReachTheHub waits for the report of a device that is unusual.
func TestUnusualDevicesReachTheHub(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(1)
	sub, err := p.hub.SubscribeSync(wire.UnusualSubject)
	require.NoError(t, err)
	p.startReady()
	now := time.Now().UnixMilli()
	var records []kafkatest.Record
	for i := range learning {
		at := now + int64(i-learning)*apart
		records = append(records, receivedAt(reading("d1", at, ordinary(i)), at))
	}
	p.produce(append(records, reading("d1", now, 4000))...)
	require.Eventually(t, func() bool {
		m, err := sub.NextMsg(waitTimeout)
		require.NoError(t, err)
		var r wire.UnusualReport
		require.NoError(t, json.Unmarshal(m.Data, &r))
		return len(r.Devices) == 1 && r.Devices[0].DeviceID == "d1" && r.Devices[0].Sensor == telemetry.Temperature
	}, waitTimeout, time.Millisecond)
}
