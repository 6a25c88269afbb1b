package processor

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// in returns a temperature in another unit than °C.
func in(unit, device string, ts int64, temperature float64) kafkatest.Record {
	r := reading(device, ts, temperature)
	r.Value = bytes.ReplaceAll(r.Value, []byte("°C"), []byte(unit))
	return r
}

func TestUnitsAreConvertedBeforeAnythingIsCompared(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	c := p.startReady()
	now := time.Now().UnixMilli()
	p.produce(in("°F", "cool", now-5000, 88), in("°F", "hot", now-5000, 185), in("furlong", "odd", now-5000, 5000))
	p.produce(in("°C", "odd", now-4000, 90)) // proves that the one before raised nothing

	raised := p.alerts(2)
	byDevice := map[string]telemetry.Alert{}
	for _, a := range raised {
		byDevice[a.DeviceID] = a
	}
	require.InDelta(t, 85, byDevice["hot"].CurrentValue, 1e-9)
	require.InDelta(t, 90, byDevice["odd"].CurrentValue, 0)
	require.NotContains(t, byDevice, "cool")
	c.eventually(t, 1, "core_unknown_units_total", "temperature")

	for device, want := range map[string]telemetry.Sensor{
		"cool": {Name: "temperature", Number: 31.11111111111111, Unit: "°C", Status: telemetry.StatusNormal},
		"hot":  {Name: "temperature", Number: 85, Unit: "°C", Status: telemetry.StatusHigh},
		"odd":  {Name: "temperature", Number: 5000, Unit: "furlong", Status: telemetry.StatusUnitUnknown},
	} {
		require.Eventually(t, func() bool { return len(l.of(device)) > 0 }, waitTimeout, 10*time.Millisecond)
		var r telemetry.Reading
		require.NoError(t, wire.DecodeReading(l.of(device)[0].Payload, &r, nil))
		require.Equal(t, want, *r.Sensors.Find("temperature"), device)
	}
}

func TestAheadOfTheBacklogUnitsAreConvertedToo(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	p.startReady()
	now := time.Now().UnixMilli()
	var pack wire.PackBuilder
	pack.Reset(1, 1)
	pack.Add(wire.PackEntry{Device: "d1", Received: now, Payload: in("°F", "d1", now, 185).Value})
	require.NoError(t, p.hub.PublishMsg(&nats.Msg{Subject: wire.FreshSubject("gw-a"), Data: bytes.Clone(pack.Finish())}))
	require.Eventually(t, func() bool { return len(l.of("d1")) == 1 }, waitTimeout, 10*time.Millisecond)
	require.Contains(t, string(l.of("d1")[0].Payload), `"value":85,"unit":"°C","status":"high"`)
}

func TestCatalogueIsReadAgainWhileRunning(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	file := filepath.Join(t.TempDir(), "sensors.yaml")
	write(t, file, "sensors: []\n")
	p.cfg.Sensors.SensorsFile = file
	l := p.listen()
	c := p.startReady()
	send := func(want string) {
		t.Helper()
		sent := 0
		require.Eventually(t, func() bool { // until the file is in force
			ts := time.Now().UnixMilli()
			p.produce(kafkatest.Record{Key: []byte("d1"), Value: fmt.Appendf(nil,
				`{"device_id":"d1","timestamp":%d,"location":{"building":"A"},"sensors":{"pressure":{"value":2000,"unit":"hPa","status":"normal"}}}`, ts)})
			sent++
			require.Eventually(t, func() bool { return len(l.of("d1")) >= sent }, waitTimeout, time.Millisecond)
			return strings.Contains(string(l.of("d1")[sent-1].Payload), want)
		}, waitTimeout, time.Millisecond)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entries["d1"] = nil
	}
	send(`"value":2000,"unit":"hPa"`)
	write(t, file, "sensors:\n  - {kind: pressure, unit: bar}\n")
	send(`"value":2,"unit":"bar"`)
	write(t, file, "sensors:\n  - {kind: pressure, unit: furlong, quantity: pressure}\n")
	c.eventually(t, 1, "core_sensors_load_failures_total")
	send(`"value":2,"unit":"bar"`)
}

// TestSettingsKeepTheirMeaningInAnyUnit: the ALERT_ variables are in °C, also in a plant
// whose catalogue has temperatures in °F.
func TestSettingsKeepTheirMeaningInAnyUnit(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	dir := t.TempDir()
	p.cfg.Sensors.SensorsFile, p.cfg.RulesFile = filepath.Join(dir, "sensors.yaml"), filepath.Join(dir, "rules.yaml")
	write(t, p.cfg.Sensors.SensorsFile, "sensors:\n  - {kind: temperature, unit: °F}\n")
	write(t, p.cfg.RulesFile, "rules:\n  - {id: warm, kind: high, parameter: temperature, limit: 320, unit: K}\n")
	l := p.listen()
	p.startReady()
	now := time.Now().UnixMilli()
	p.produce(in("°C", "cool", now-5000, 45), in("°C", "warm", now-5000, 50), in("°F", "hot", now-5000, 178))
	raised := map[string][]float64{}
	for _, a := range p.alerts(3) {
		raised[a.DeviceID+" "+a.AlertType] = []float64{a.CurrentValue, a.Threshold.Value}
	}
	require.Len(t, raised, 3)
	require.InDeltaSlice(t, []float64{122, 116.33}, raised["warm warm"], 0.01)
	require.InDeltaSlice(t, []float64{178, 116.33}, raised["hot warm"], 0.01)
	require.InDeltaSlice(t, []float64{178, 176}, raised["hot temperature_high"], 0.01)
	require.Eventually(t, func() bool { return len(l.of("cool")) == 1 && len(l.of("hot")) == 1 }, waitTimeout, 10*time.Millisecond)
	require.Contains(t, string(l.of("cool")[0].Payload), `"value":113,"unit":"°F","status":"normal"`)
	require.Contains(t, string(l.of("hot")[0].Payload), `"value":178,"unit":"°F","status":"high"`)
}
