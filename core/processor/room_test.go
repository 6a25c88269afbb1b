package processor

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
)

const roomRule = `
rules:
  - id: odd_one_out
    kind: deviation
    parameter: temperature
    limit: 10
    sensors: 3
    severity: low
`

// TestSensorsOfARoomAreComparedAcrossMembers has four sensors of a room in four partitions,
// with two members: neither has three other sensors alone.
func TestSensorsOfARoomAreComparedAcrossMembers(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.cfg.RulesFile = filepath.Join(t.TempDir(), "rules.yaml")
	write(t, p.cfg.RulesFile, roomRule)
	p.createInput(4)
	first, second := p.start(), p.start()
	require.Eventually(t, func() bool {
		return first.value(t, "core_partitions_owned") == 2 && second.value(t, "core_partitions_owned") == 2
	}, waitTimeout, 10*time.Millisecond)
	var devices []string // one of each partition
	for i := 0; len(devices) < 4; i++ {
		if id := fmt.Sprint("d", i); first.partitionOf(id) == int32(len(devices)) {
			devices = append(devices, id)
		}
	}
	round := func() {
		var records []kafkatest.Record
		for i, id := range devices {
			records = append(records, reading(id, time.Now().UnixMilli(), []float64{20, 21, 22, 45}[i]))
		}
		p.produce(records...)
	}
	odd := func(a *telemetry.Alert) bool { return a.AlertType == "odd_one_out" }
	require.Eventually(t, func() bool {
		round()
		for _, a := range p.journal() {
			if odd(&a) {
				return true
			}
		}
		return false
	}, waitTimeout, 500*time.Millisecond)
	for _, a := range p.await(1, odd) {
		require.Equal(t, devices[3], a.DeviceID)
		require.InDelta(t, 24, a.CurrentValue, 0.001, "from the median of the others")
	}
}

func FuzzCommandRecord(f *testing.F) {
	f.Add([]byte("d1"), []byte(`{"command_id":"c","device_id":"d1","alert_type":"temperature_high","action":"acknowledge","by":"x","at":1700000000000}`))
	f.Add([]byte("d1"), []byte(`{"command_id":"c","device_id":"d1","alert_type":"t","action":"shelve","by":"x","at":1700000000000,"until":1800000000000}`))
	f.Add([]byte(nil), []byte("null"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		tk := newTestTask(t)
		tk.p.partitions.Store(1)
		tk.command(&sarama.ConsumerMessage{Topic: "alarm-commands", Offset: 7, Key: key, Value: value})
		b := tk.pending.pop()
		require.EqualValues(t, 8, b.nextCommand)
		require.Len(t, b.audits, 1, "every record leaves one entry")
		require.Equal(t, len(b.letters) == 1, b.audits[0].outcome == telemetry.OutcomeRefused && len(b.alarms) == 0)
	})
}
