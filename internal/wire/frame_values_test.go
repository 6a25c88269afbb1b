package wire_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// randomValues returns a reading as a frame carries it.
func randomValues(r *rand.Rand, device string) *telemetry.Reading {
	text := func(limit int) string { return strings.ToValidUTF8(randomText(r, limit), "?") }
	optional := func() telemetry.Optional {
		if r.IntN(2) == 0 {
			return telemetry.Optional{}
		}
		return telemetry.Some(r.NormFloat64())
	}
	v := &telemetry.Reading{
		DeviceID: device, Location: telemetry.Location{Building: text(20), Floor: int(int32(r.Uint32())), Room: text(20)},
		Info: telemetry.DeviceInfo{Model: text(20), Firmware: text(9), Battery: optional(), SignalStrength: optional(), IntervalS: optional().Value},
	}
	for i := range r.IntN(telemetry.MaxFlaws + 1) {
		v.Flaws = append(v.Flaws, fmt.Sprint("sensors.x", i))
	}
	for range r.IntN(telemetry.MaxSensors + 1) {
		s := telemetry.Sensor{Name: fmt.Sprint("s", r.IntN(300)), Unit: text(4), Kind: telemetry.ValueKind(r.IntN(3))}
		switch s.Kind {
		case telemetry.Text:
			s.Text = text(12)
		case telemetry.Bool:
			s.Number = float64(r.IntN(2))
		default:
			s.Number = r.NormFloat64()
		}
		if r.IntN(5) == 0 {
			s.Status = telemetry.StatusUnitUnknown
		}
		v.Sensors = append(v.Sensors, s)
	}
	return v
}

// TestFrameNamesEachSensorOnce: the names and units of a gateway's sensors are few.
func TestFrameNamesEachSensorOnce(t *testing.T) {
	var b wire.FrameBuilder
	one := goldenFrameEntries()[:1]
	sizes := [3]int{}
	for n := range sizes {
		var all []wire.FrameEntry
		for range n {
			all = append(all, one...)
		}
		sizes[n] = len(buildFrame(&b, "gw-a", all))
	}
	names := len("temperature°C") + len("levelfurlong") + len("on") + len("state") + 4*3 // kind and two lengths
	require.Equal(t, sizes[1]-sizes[0], sizes[2]-sizes[1]+names)
}

// TestForgedValuesAreDamage: anyone who reaches the hub can publish a frame.
func TestForgedValuesAreDamage(t *testing.T) {
	sensors := func(s ...telemetry.Sensor) telemetry.Reading { return telemetry.Reading{Sensors: s} }
	long := strings.Repeat("x", wire.MaxReadingBytes+1)
	for name, r := range map[string]telemetry.Reading{
		"a name":          sensors(telemetry.Sensor{Name: "Temp"}),
		"a kind":          sensors(telemetry.Sensor{Name: "t", Kind: 3}),
		"a unit":          sensors(telemetry.Sensor{Name: "t", Unit: "\xff"}),
		"a long unit":     sensors(telemetry.Sensor{Name: "t", Unit: long}),
		"a text":          sensors(telemetry.Sensor{Name: "t", Kind: telemetry.Text, Text: "\xff"}),
		"a long text":     sensors(telemetry.Sensor{Name: "t", Kind: telemetry.Text, Text: long[:telemetry.MaxSensorTextBytes+1]}),
		"no number":       sensors(telemetry.Sensor{Name: "t", Number: math.NaN()}),
		"an infinite one": sensors(telemetry.Sensor{Name: "t", Number: math.Inf(-1)}),
		"sensors":         sensors(make([]telemetry.Sensor, telemetry.MaxSensors+1)...),
		"flaws":           {Flaws: make([]string, telemetry.MaxFlaws+1)},
		"a flaw":          {Flaws: []string{"\xff"}},
		"a floor":         {Location: telemetry.Location{Floor: math.MaxInt32 + 1}},
		"a deep floor":    {Location: telemetry.Location{Floor: math.MinInt32 - 1}},
		"a building":      {Location: telemetry.Location{Building: long[:telemetry.MaxBuildingBytes+1]}},
		"a room":          {Location: telemetry.Location{Room: "\xff"}},
		"a model":         {Info: telemetry.DeviceInfo{Model: "\xff"}},
		"firmware":        {Info: telemetry.DeviceInfo{Firmware: "\xff"}},
		"a battery":       {Info: telemetry.DeviceInfo{Battery: telemetry.Some(math.Inf(1))}},
	} {
		for i := range r.Sensors {
			if r.Sensors[i].Name == "" {
				r.Sensors[i].Name = fmt.Sprint("s", i)
			}
		}
		var b wire.FrameBuilder
		f, err := wire.OpenFrame(buildFrame(&b, "g", []wire.FrameEntry{{Device: "d", Reading: &r}}))
		require.NoError(t, err)
		_, ok := f.Next()
		require.False(t, ok, name)
		require.ErrorIs(t, f.Err(), wire.ErrDamagedFrame, name)
	}
}

// BenchmarkFrame measures building and reading a frame of 500 readings, each a reading of the
// contract with its values.
func BenchmarkFrame(b *testing.B) {
	const readings = 500
	text := []byte(`{"device_id":"device_001","timestamp":1640995200000,"location":{"building":"A栋","floor":3,"room":"301"},"sensors":{` +
		`"temperature":{"value":25.3,"unit":"°C","status":"normal"},"humidity":{"value":60.2,"unit":"%","status":"normal"},` +
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},"current":{"value":2.5,"unit":"A","status":"normal"}},` +
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`)
	var r telemetry.Reading
	require.NoError(b, wire.DecodeReading(text, &r, nil))
	var fb wire.FrameBuilder
	build := func() {
		fb.Reset("gw-a")
		for range readings {
			fb.Add(wire.FrameEntry{Device: r.DeviceID, Timestamp: r.Timestamp, Received: r.Timestamp, Payload: text, Reading: &r})
		}
	}
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			build()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*readings), "ns/reading")
	})
	build()
	data := fb.Finish()
	b.Run("read", func(b *testing.B) {
		var f wire.Frame
		for b.Loop() {
			require.NoError(b, f.Open(data))
			for ok := true; ok; {
				_, ok = f.NextInto(&r)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*readings), "ns/reading")
		b.ReportMetric(float64(len(data))/readings, "B/reading")
	})
}
