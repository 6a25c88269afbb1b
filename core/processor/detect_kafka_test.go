package processor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	c.knowsAll(t)
	c.stop()
	p.requireReplay(done, devices)
}

// TestAnomaliesAreTheSameWhoeverJoinsAndLeaves lets a second member join while devices learn, and
// the first one lose what it has not committed, as if it were killed, and leave while they go
// astray: the alarms, the budgets and what the detector knows are those of one member.
func TestAnomaliesAreTheSameWhoeverJoinsAndLeaves(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.cfg.DetectMode, p.cfg.TemperatureHigh, p.cfg.TemperatureLow = detectOn, 1e9, -1e9
	p.createInput(2)
	const devices = 8 // so that each member has some that wrote nothing for a while
	first, done := p.startReady(), 0
	var second *core
	for i, wave := range astray(devices, time.Now().UnixMilli()-4_000_000) {
		p.produce(wave...)
		done += len(wave)
		switch i {
		case 3:
			second = p.start()
		case 6: // each has a share
			var own *session
			require.Eventually(t, func() bool {
				s := second.session.Load()
				own = first.session.Load()
				return s != nil && own != nil && len(s.order) == 1 && len(own.order) == 1
			}, waitTimeout, 10*time.Millisecond)
			p.processed(done)
			require.NoError(t, p.steal(strconv.Itoa(int(own.order[0].partition))).Close())
		case 7:
			first.stop()
		}
	}
	p.processed(done)
	second.knowsAll(t)
	second.stop()
	p.requireReplay(done, devices)
}

// knowsAll waits until the detector is behind in no partition.
func (c *core) knowsAll(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		s := c.session.Load()
		return s != nil && !slices.ContainsFunc(s.order, func(t *task) bool { return t.detects.lag.Load() != 0 })
	}, waitTimeout, time.Millisecond)
}

// requireReplay processes the input of done readings again from its start, by one member that
// nothing happens to, and checks that it left the same.
func (p *env) requireReplay(done, devices int) {
	p.t.Helper()
	got, learnt := p.await(1, ofDetector), p.learnt(devices)
	input := p.cfg.DeviceData
	p.cfg.Topics = kafkatest.Topics(p.t)
	p.cfg.DeviceData = input
	p.cfg.GroupID = kafkatest.Name(p.t, "core")
	c := p.start()
	p.processed(done)
	c.stop()
	want := p.await(1, ofDetector)
	require.Equal(p.t, p.learnt(devices), learnt, "what the detector knows, and the budgets")
	require.ElementsMatch(p.t, undetected(want), undetected(got))
	raised, cleared := 0, 0
	for _, a := range got {
		switch a.Event { //nolint:exhaustive // the others are not of interest
		case telemetry.EventRaised:
			raised++
		case telemetry.EventCleared:
			cleared++
		}
	}
	require.Positive(p.t, raised)
	require.Positive(p.t, cleared)
}

// learnt returns the newest states of the detector by device, without where and when they were
// written, and the budgets by partition.
func (p *env) learnt(devices int) map[string]string {
	p.t.Helper()
	states, budgets := map[string]string{}, map[string]string{}
	for _, r := range kafkatest.ReadAll(p.t, p.cfg.Brokers, p.cfg.DetectState, 0, waitTimeout) {
		if strings.HasPrefix(string(r.Key), budgetPrefix) {
			budgets[fmt.Sprint(r.Partition, string(r.Key))] = string(r.Value)
			continue
		}
		if h, d, err := decodeSnapshot(r.Value); err == nil {
			h.Position, h.Record, h.Clock = 0, 0, 0
			data, err := encodeSnapshot(&h, &d)
			require.NoError(p.t, err)
			states[string(r.Key)] = string(data)
		}
	}
	require.Len(p.t, states, devices)
	require.NotEmpty(p.t, budgets)
	maps.Copy(states, budgets)
	return states
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
