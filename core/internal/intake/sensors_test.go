package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	readingHead = `{"device_id":"d1","timestamp":1700000000000,"location":{"building":"A"},"sensors":`
	readingTail = `}`
)

// accept returns the sensors of a message after intake, as text.
func accept(t *testing.T, in *Intake, text string) string {
	t.Helper()
	payload, refusal := in.Accept([]byte("d1"), []byte(readingHead+text+readingTail), &Origin{Received: now, Written: now})
	require.Nil(t, refusal)
	require.True(t, json.Valid(payload), string(payload))
	var again telemetry.Reading
	require.NoError(t, wire.DecodeReading(payload, &again, nil))
	require.Equal(t, again.Sensors, in.Reading.Sensors, "the decoded reading agrees with the text")
	out, ok := strings.CutPrefix(string(payload), readingHead)
	require.True(t, ok)
	return strings.TrimSuffix(out, readingTail)
}

// same compares texts byte by byte: JSON that is merely equal is not what was promised.
func same(t *testing.T, want, got string) {
	t.Helper()
	require.Equal(t, want, got)
}

func TestNumbersAreConvertedIntoTheUnitOfTheirKind(t *testing.T) {
	tests := []struct{ name, sensors, want string }{
		{
			"88 °F is not above 80 °C", `{"temperature":{"value":88,"unit":"°F","status":"high"}}`,
			`{"temperature":{"value":31.11111111111111,"unit":"°C","status":"normal"}}`,
		},
		{
			"177 °F is", `{"temperature":{"value":177,"unit":"[degF]"}}`,
			`{"temperature":{"value":80.55555555555556,"unit":"°C","status":"high"}}`,
		},
		{"another spelling", `{"temperature":{"value":20,"unit":"deg C","status":"normal"}}`, `{"temperature":{"value":20,"unit":"°C","status":"normal"}}`},
		{
			"any order of the fields, spacing kept", `{ "current" : {"unit" : "mA", "status":"normal", "x":[1], "value":  2500 } }`,
			`{ "current" : {"unit" : "A", "status":"normal", "x":[1], "value":  2.5 } }`,
		},
		{
			"an escaped unit", `{"temperature":{"value":1e2,"unit":"\u00b0F","status":"normal"}}`,
			`{"temperature":{"value":37.77777777777778,"unit":"°C","status":"normal"}}`,
		},
		{"no unit", `{"temperature":{"value":25,"status":"normal"}}`, `{"temperature":{"value":25,"status":"normal"}}`},
		{"an empty unit", `{"temperature":{"value":25,"unit":"","status":"normal"}}`, `{"temperature":{"value":25,"unit":"","status":"normal"}}`},
		{
			"several sensors of a kind", `{"temp_1":{"value":300,"unit":"K","status":"normal"},"inlet_temperature":{"value":50,"unit":"°F"}}`,
			`{"temp_1":{"value":26.850000000000023,"unit":"°C","status":"normal"},"inlet_temperature":{"value":10,"unit":"°C","status":"normal"}}`,
		},
		{
			"an unknown sensor", `{"widgets":{"value":7,"unit":"°F","status":"ok"}}`, `{"widgets":{"value":7,"unit":"°F","status":"ok"}}`,
		},
		{"a kind without a unit", `{"count":{"value":7,"unit":"pcs","status":"ok"}}`, `{"count":{"value":7,"unit":"pcs","status":"ok"}}`},
		{
			"text and boolean", `{"temperature_text":{"value":"hot","unit":"°F"},"smoke":{"value":false,"unit":"x"},"door":{"value":1,"unit":"x","status":"ok"}}`,
			`{"temperature_text":{"value":"hot","unit":"°F"},"smoke":{"value":false,"unit":"x"},"door":{"value":1,"unit":"x","status":"ok"}}`,
		},
		{
			"impossible", `{"temperature":{"value":-127},"humidity":{"value":101,"status":"normal"},"pressure":{"value":-2,"unit":"MPa","status":"fault"},"ph":{"value":70}}`,
			`{"temperature":{"value":-127,"status":"low"},"humidity":{"value":101,"status":"implausible"},"pressure":{"value":-20000,"unit":"hPa","status":"fault"},"ph":{"value":70,"status":"implausible"}}`,
		},
		{
			"a device that says unit_unknown itself", `{"humidity":{"value":50,"status":"unit_unknown"},"widgets":{"value":5,"status":"unit_unknown"}}`,
			`{"humidity":{"value":50,"status":"normal"},"widgets":{"value":5,"status":"normal"}}`,
		},
	}
	in := limited()
	in.Sensors = sensors.Default()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			same(t, tt.want, accept(t, in, tt.sensors))
			require.Empty(t, in.Unknown)
		})
	}
}

func TestUnknownUnitIsKeptMarkedAndComparedWithNothing(t *testing.T) {
	in := limited()
	in.Sensors = sensors.Default()
	got := accept(t, in, `{"temperature":{"value":5000,"unit":"furlong","status":"normal"},"temp_2":{"value":9,"unit":"bar"},"humidity":{"value":50,"unit":"%","status":"normal"}}`)
	same(t, `{"temperature":{"value":5000,"unit":"furlong","status":"unit_unknown"},"temp_2":{"value":9,"unit":"bar","status":"unit_unknown"},"humidity":{"value":50,"unit":"%","status":"normal"}}`, got)
	require.Len(t, in.Unknown, 2)
	require.Equal(t, "temperature", in.Unknown[1].Name, "the kind, whatever the sensor is called")
	require.False(t, in.Reading.Sensors.Find("temperature").Comparable())
	require.True(t, in.Reading.Sensors.Find("humidity").Comparable())

	accept(t, in, `{"temperature":{"value":50,"unit":"°C","status":"unit_unknown"}}`)
	require.Empty(t, in.Unknown)
	require.True(t, in.Reading.Sensors.Find("temperature").Comparable(), "only core marks a unit")
}

func TestLimitsApplyToConvertedValues(t *testing.T) {
	in := limited() // temperature 0 to 80 °C, current up to 10 A
	in.Sensors = sensors.Default()
	for _, tt := range []struct{ sensor, want string }{
		{`"temperature":{"value":88,"unit":"°F"}`, "normal"},
		{`"temperature":{"value":350,"unit":"K"}`, "normal"},
		{`"temperature":{"value":354,"unit":"K"}`, "high"},
		{`"temperature":{"value":31,"unit":"°F"}`, "low"},
		{`"current":{"value":9999,"unit":"mA"}`, "normal"},
		{`"current":{"value":10001,"unit":"mA"}`, "high"},
		{`"current":{"value":0.011,"unit":"kA"}`, "high"},
	} {
		accept(t, in, "{"+tt.sensor+"}")
		require.Equal(t, tt.want, in.Reading.Sensors[0].Status, tt.sensor)
	}
}

// TestNewCatalogueAppliesToTheNextReading also has it that kinds found before are forgotten.
func TestNewCatalogueAppliesToTheNextReading(t *testing.T) {
	in := &Intake{Limits: Limits{}, Sensors: sensors.Default()}
	const text = `{"pressure":{"value":2,"unit":"bar","status":"normal"}}`
	same(t, `{"pressure":{"value":2000,"unit":"hPa","status":"normal"}}`, accept(t, in, text))
	changed, err := sensors.Load([]byte("sensors: [{kind: pressure, unit: kPa}]"))
	require.NoError(t, err)
	in.Sensors = changed
	same(t, `{"pressure":{"value":200,"unit":"kPa","status":"normal"}}`, accept(t, in, text))
	in.Sensors = nil
	same(t, text, accept(t, in, text))
}

// TestLimitsFollowTheCatalogue: 80 °C stay 80 °C in a plant that thinks in °F.
func TestLimitsFollowTheCatalogue(t *testing.T) {
	c, err := sensors.Load([]byte("sensors: [{kind: temperature, unit: °F}]"))
	require.NoError(t, err)
	in := &Intake{Sensors: c, Limits: Limits{"temperature": {Low: 0, High: 80, Unit: "°C"}, "humidity": {Low: math.Inf(-1), High: 90, Unit: "%"}}}
	for _, tt := range []struct{ sensor, want string }{
		{`"temperature":{"value":100,"unit":"°F"}`, "normal"},
		{`"temperature":{"value":177,"unit":"°F"}`, "high"},
		{`"temperature":{"value":31,"unit":"°F"}`, "low"},
		{`"temperature":{"value":81,"unit":"°C"}`, "high"},
		{`"humidity":{"value":91}`, "high"},
		{`"humidity":{"value":1}`, "normal"},
	} {
		accept(t, in, "{"+tt.sensor+"}")
		require.Equal(t, tt.want, in.Reading.Sensors[0].Status, tt.sensor)
	}
	in.Sensors = sensors.Default()
	accept(t, in, `{"temperature":{"value":100,"unit":"°C"}}`)
	require.Equal(t, "high", in.Reading.Sensors[0].Status)
}

func TestAReadingInCanonicalUnitsCostsNoCopy(t *testing.T) {
	raw := []byte(readingHead + `{"temperature":{"value":25.6,"unit":"°C","status":"normal"},"humidity":{"value":65.2,"unit":"%","status":"normal"},` +
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},` +
		`"current":{"value":2.5,"unit":"A","status":"normal"},"temp_1":{"value":7,"unit":"°C","status":"normal"}}` + readingTail)
	in := limited()
	in.Sensors = sensors.Default()
	key, o := []byte("d1"), Origin{Received: now, Written: now}
	payload, refusal := in.Accept(key, raw, &o)
	require.Nil(t, refusal)
	require.Same(t, &raw[0], &payload[0])
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = in.Accept(key, raw, &o) }), 1.0, "that of decoding")
	raw = []byte(strings.NewReplacer("25.6", "78.1", "°C", "°F", `"A"},"temp`, `"mA"},"temp`).Replace(string(raw)))
	_, _ = in.Accept(key, raw, &o)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = in.Accept(key, raw, &o) }), 1.0, "converting needs no more")
}

func TestConvertedReadingHasEverySensor(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range telemetry.MaxSensors {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(`"temp_` + strings.Repeat("1", 1+i%20) + string(rune('a'+i/20)) + `":{"unit":"°F","value":212}`)
	}
	b.WriteString("}")
	in := &Intake{Limits: Limits{}, Sensors: sensors.Default()}
	got := accept(t, in, b.String())
	require.Equal(t, telemetry.MaxSensors, strings.Count(got, `{"unit":"°C","value":100,"status":"normal"}`))
}

// FuzzAccept: whatever a device sends, the text that goes on says the same as the decoded
// reading, and converting it again changes nothing.
func FuzzAccept(f *testing.F) {
	for _, text := range []string{
		`{"temperature":{"value":88,"unit":"°F","status":"high"}}`,
		`{"current":{"unit":"mA","x":[{"value":1}],"value":2.5e3},"temp_1":{"value":9,"unit":"furlong"}}`,
		`{"a":{"value":"x"},"smoke":{"value":true},"ph":{"value":-0,"status":null,"unit":null}}`,
		`{"pressure":{"value":1e308,"unit":"MPa","status":"\u0041"}}`,
		`{"energy":{"value":5e-324,"unit":"J"}}`,
	} {
		f.Add(text)
	}
	in := limited()
	in.Sensors = sensors.Default()
	f.Fuzz(func(t *testing.T, text string) {
		raw := []byte(readingHead + text + readingTail)
		payload, refusal := in.Accept([]byte("d1"), raw, &Origin{Received: now, Written: now})
		if refusal != nil || len(payload) > wire.MaxReadingBytes {
			return
		}
		first := in.Reading.Clone()
		payload = bytes.Clone(payload)
		again, refusal := in.Accept([]byte("d1"), payload, &Origin{Received: now, Written: now})
		if refusal != nil {
			t.Fatalf("%s became %s: %s", raw, payload, refusal.Message)
		}
		if !bytes.Equal(payload, again) {
			t.Fatalf("%s became %s, then %s", raw, payload, again)
		}
		if !slices.Equal(first.Sensors, in.Reading.Sensors) {
			t.Fatalf("%s: decoded %v, written %v", raw, first.Sensors, in.Reading.Sensors)
		}
	})
}

// TestConvertedReadingStaysNearItsSize bounds what conversion adds: the portal refuses
// live readings that are much longer than a device may send.
func TestConvertedReadingStaysNearItsSize(t *testing.T) {
	c, err := sensors.Load([]byte(`sensors: [{kind: y, unit: inH2O}]`))
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("{")
	for i := range telemetry.MaxSensors {
		fmt.Fprintf(&b, `"y_%d":{"value":-7,"unit":"atm"},`, i)
	}
	text := strings.TrimSuffix(b.String(), ",") + "}"
	got := accept(t, &Intake{Limits: Limits{}, Sensors: c}, text)
	require.Equal(t, telemetry.MaxSensors, strings.Count(got, `"unit":"inH2O","status":"normal"`))
	require.Less(t, len(got)-len(text), telemetry.MaxSensors*64)
}
