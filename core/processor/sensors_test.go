package processor

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/aggregate"
	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// sends is a reading with these sensors, in JSON.
func sends(device string, ts int64, sensors string) kafkatest.Record {
	r := reading(device, ts, 20)
	r.Value = fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},"sensors":{%s}}`, device, ts, sensors)
	return r
}

const anyRules = `
rules:
  - {id: co2_high, kind: high, parameter: co2, limit: 1000, deadband: 100}
  - {id: vibration_high, kind: high, parameter: vibration, limit: 0.2, unit: in/s}
  - {id: door_open, kind: switch, parameter: door, is: on}
`

// TestAnySensorIsJudgedAndCounted takes sensors outside the contract through all stages.
func TestAnySensorIsJudgedAndCounted(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.cfg.RulesFile = filepath.Join(t.TempDir(), "rules.yaml")
	write(t, p.cfg.RulesFile, anyRules)
	l := p.listen()
	c := p.startReady()
	now := time.Now().UnixMilli()
	p.produce(
		sends("d1", now-5000, `"co2":{"value":900,"unit":"ppm"},"vibration":{"value":5,"unit":"mm/s"},"door":{"value":false},"mode":{"value":"auto"},"zorb":{"value":7}`),
		sends("d1", now-4000, `"co2":{"value":0.12,"unit":"%"},"vibration":{"value":0.3,"unit":"in/s"},"door":{"value":true},"mode":{"value":"off"},"zorb":{"value":9}`),
		sends("d2", now-4000, `"co2":{"value":2000,"unit":"furlong"},"vibration":{"value":"9"},"door":{"value":"open"}`),
	)
	byType := map[string]telemetry.Alert{}
	for _, a := range p.alerts(3) {
		require.Equal(t, "d1", a.DeviceID)
		byType[a.AlertType] = a
	}
	require.Len(t, byType, 3)
	require.InDelta(t, 1200, byType["co2_high"].CurrentValue, 1e-9)
	require.InDelta(t, 5.08, byType["vibration_high"].Threshold.Value, 1e-9)
	require.Equal(t, "vibration 7.62 mm/s is above 5.08 mm/s", byType["vibration_high"].Message)
	require.Equal(t, "door is on", byType["door_open"].Message)
	require.Equal(t, telemetry.Threshold{Parameter: "door", Operator: "=", Value: 1}, byType["door_open"].Threshold)
	c.stop()
	for parameter, want := range map[string]int64{"co2": 2, "vibration": 2, "zorb": 2} {
		require.Eventually(t, func() bool { return l.counted(parameter) == want }, waitTimeout, 10*time.Millisecond, parameter)
	}
	for _, parameter := range []string{"door", "mode"} {
		require.Zero(t, l.counted(parameter))
	}
}

// TestLimitsFollowTheCatalogue: values and limits are in the same units, before and after
// the catalogue changes the canonical one.
func TestLimitsFollowTheCatalogue(t *testing.T) {
	tk := newTestTask(t)
	catalogue := sensors.Default()
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, rules, "rules:\n  - {id: high, kind: high, parameter: weight, limit: 1.5, unit: t}\n")
	reg := prometheus.NewRegistry()
	f, err := newRuleFile(discardLog(), reg, rules, tk.p.cfg.builtIn(), func() *sensors.Catalogue { return catalogue })
	require.NoError(t, err)
	tk.p.rules, tk.alarms.file = f, f
	now := time.Now().UnixMilli() - 60_000
	offset := int64(0)
	weight := func(kg float64) *batch {
		offset++
		ts := now + offset*1000
		r := sends("d1", ts, fmt.Sprintf(`"weight":{"value":%g,"unit":"kg"}`, kg))
		return processOne(tk, &sarama.ConsumerMessage{Key: r.Key, Value: r.Value, Offset: offset, Timestamp: time.UnixMilli(ts)})
	}
	require.Empty(t, weight(1499).alerts)
	require.Len(t, weight(1501).alerts, 1)
	require.Len(t, weight(1499).alerts, 1)

	catalogue, err = sensors.Load([]byte("sensors:\n  - {kind: weight, unit: t}\n"))
	require.NoError(t, err)
	require.Empty(t, weight(1499).alerts, "not converted before the limits are")
	f.convert()
	require.Empty(t, weight(1499).alerts)
	b := weight(1501)
	require.Len(t, b.alerts, 1)
	require.Contains(t, string(b.alerts[0].data), `"message":"weight 1.5 t is above 1.5 t"`)

	// A catalogue in which the rule's unit is none of the sensor's.
	inForce := f.load()
	catalogue, err = sensors.Load([]byte("sensors:\n  - {kind: weight, unit: °C, quantity: temperature}\n"))
	require.NoError(t, err)
	f.convert()
	require.Same(t, inForce, f.load())
	require.InDelta(t, 1, (&core{reg: reg}).value(t, "core_rules_load_failures_total"), 0)
	require.Len(t, weight(1499).alerts, 1, "cleared: in t, as before")
}

// memoryOf returns the bytes that a device with these sensors costs in the alarm engine, the
// windows and the rooms.
func memoryOf(t *testing.T, names ...string) float64 {
	t.Helper()
	const n = 20_000
	cfg := defaultConfig(t)
	rules, err := alarm.Compile(cfg.builtIn().With(alarm.RuleSet{Rules: []alarm.Rule{
		{ID: "deviates", If: alarm.Condition{Kind: alarm.Deviation, Parameter: telemetry.Temperature, Limit: 10}},
		{ID: "stuck", If: alarm.Condition{Kind: alarm.Stuck, Parameter: telemetry.Pressure, For: time.Hour}},
	}}))
	require.NoError(t, err)
	type parts struct {
		alarm   alarm.State
		windows aggregate.Device
		room    rooms.Device
	}
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	windows := aggregate.New(aggregate.Options{Grace: time.Second, Idle: time.Second})
	table := rooms.New()
	table.Compare(rules.RoomParameters())
	r := &telemetry.Reading{DeviceID: "d1", Location: telemetry.Location{Building: "A"}}
	for _, name := range names {
		r.Sensors = append(r.Sensors, telemetry.Sensor{Name: name, Number: 5})
	}
	if len(names) > 4 {
		r.Sensors[4] = telemetry.Switch(names[4], true)
	}
	before := used()
	devices := make([]parts, n)
	for i := range devices {
		d := &devices[i]
		for s := range int64(3) { // the last one in the next minute
			r.Timestamp = 1_700_000_040_000 + s*30_000
			windows.Add(r.Timestamp, &d.windows, r.Timestamp, r)
			table.Put(&d.room, r.Timestamp, r)
			d.alarm, _, _ = rules.Step(d.alarm, alarm.Input{Reading: r, Received: r.Timestamp}, nil)
		}
	}
	after := used()
	runtime.KeepAlive(devices)
	return float64(after-before) / n
}

// TestMemoryOfADeviceGrowsWithItsSensors compares with the 592 bytes that each device cost,
// in the same parts, while there were five fixed sensors.
func TestMemoryOfADeviceGrowsWithItsSensors(t *testing.T) {
	five := memoryOf(t, telemetry.Temperature, telemetry.Humidity, telemetry.Pressure, telemetry.Current, telemetry.SwitchStatus)
	one := memoryOf(t, "co2")
	var names []string
	for i := range telemetry.MaxSensors {
		names = append(names, "x"+strings.Repeat("y", i%20)+fmt.Sprint(i))
	}
	many := memoryOf(t, names...)
	t.Logf("%.0f bytes for one sensor, %.0f for five, %.0f for %d", one, five, many, len(names))
	require.Less(t, five, 592.0)
	require.Less(t, one, five-100)
	require.Less(t, many, one+64*40)
}
