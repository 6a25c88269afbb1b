package wire_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// change is what a test wants of a sensor: a status, and a value with its unit.
type change = wire.SensorChange

func TestAppendChanged(t *testing.T) {
	tests := []struct {
		name, in, want string
		changes        []change
	}{
		{"nothing", `{"humidity":{"value":1,"status":"normal"}}`, `{"humidity":{"value":1,"status":"normal"}}`, nil},
		{"replaced", `{"humidity":{"value":1,"status":"normal"}}`, `{"humidity":{"value":1,"status":"high"}}`, []change{{Status: "high"}}},
		{"left alone", `{"co2":{"value":1,"status":"normal"}}`, `{"co2":{"value":1,"status":"normal"}}`, []change{{}}},
		{"inserted", `{"current":{ "value" : 1 , "unit": "A" }}`, `{"current":{ "value" : 1 , "unit": "A","status":"low" }}`, []change{{Status: "low"}}},
		{"null replaced", `{"current":{"status": null ,"value":1}}`, `{"current":{"status": "low" ,"value":1}}`, []change{{Status: "low"}}},
		{
			"any order", `{"current":{"value":1},"temperature":{"status":"","value":2},"co2":{"value":3,"x":[{}]}}`,
			`{"current":{"value":1,"status":"c"},"temperature":{"status":"t","value":2},"co2":{"value":3,"x":[{}],"status":"h"}}`,
			[]change{{Status: "c"}, {Sensor: 1, Status: "t"}, {Sensor: 2, Status: "h"}},
		},
		{
			"dropped sensors do not count", `{"X":{"status":1},"none":null,"ph":{"unit":1,"value":1},"current":{"value":1,"status":"a"}}`,
			`{"X":{"status":1},"none":null,"ph":{"unit":1,"value":1},"current":{"value":1,"status":"new"}}`,
			[]change{{Status: "new"}},
		},
		{"escaped", `{"current":{"value":1,"sta\u0074us":"\u0041\""}}`, `{"current":{"value":1,"sta\u0074us":"a\"\\\n栋"}}`, []change{{Status: "a\"\\\n栋"}}},
		{
			"converted", `{"temperature":{"value": 212 ,"unit":"°F"}}`, `{"temperature":{"value": 100 ,"unit":"°C","status":"high"}}`,
			[]change{{Value: 100, Unit: "°C", Status: "high"}},
		},
		{
			"converted, any order", `{"temperature":{"status":"x","unit":"°F","y":1,"value":-40e0}}`, `{"temperature":{"status":"x","unit":"°C","y":1,"value":-40.5}}`,
			[]change{{Value: -40.5, Unit: "°C"}},
		},
		{"no unit to convert", `{"temperature":{"value":1}}`, `{"temperature":{"value":1}}`, []change{{Value: 5, Unit: "°C"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wrap := func(s string) string { return with(`"sensors":{}`, `"sensors":`+s) }
			var r telemetry.Reading
			var l wire.Layout
			raw := []byte(wrap(tt.in))
			require.NoError(t, wire.DecodeReading(raw, &r, &l))
			got := wire.AppendChanged([]byte("kept"), raw, &l, tt.changes)
			require.Equal(t, "kept"+wrap(tt.want), string(got))
		})
	}
}

// checkRewrite gives the sensors of raw the statuses, units and numbers of others, and
// checks that the reading then has them, and no other difference.
func checkRewrite(t *testing.T, raw []byte, others []telemetry.Sensor) {
	t.Helper()
	var r, got telemetry.Reading
	var l wire.Layout
	if wire.DecodeReading(raw, &r, &l) != nil {
		return
	}
	require.Equal(t, string(raw), string(wire.AppendChanged(nil, raw, &l, nil)))
	var changes []change
	want := r.Clone()
	for i, s := range r.Sensors {
		if i >= len(others) {
			break
		}
		c := change{Sensor: i, Status: others[i].Status}
		if c.Status != "" {
			want.Sensors[i].Status = c.Status
			out := wire.AppendChanged(nil, raw, &l, []change{c})
			require.True(t, onlyStatusChanged(raw, out, c.Status), "%s\n%s", raw, out)
		}
		if s.Kind == telemetry.Number && s.Unit != "" && others[i].Unit != "" {
			c.Unit, c.Value = others[i].Unit, others[i].Number
			want.Sensors[i].Unit, want.Sensors[i].Number = c.Unit, c.Value
		}
		changes = append(changes, c)
	}
	out := wire.AppendChanged(nil, raw, &l, changes)
	if len(out) > wire.MaxReadingBytes {
		return
	}
	var again wire.Layout
	require.NoError(t, wire.DecodeReading(out, &got, &again), string(out))
	// A wrong status that was replaced is no flaw any more.
	got.Flaws, want.Flaws = nil, nil
	require.Equal(t, want, got)
	require.Equal(t, string(out), string(wire.AppendChanged(nil, out, &again, changes)))
}

// onlyStatusChanged reports whether out is raw with one JSON string or null replaced
// by status, or with a member of that name and value inserted.
func onlyStatusChanged(raw, out []byte, status string) bool {
	for head := 0; head < len(raw) && head < len(out); head++ {
		if head > 0 && raw[head-1] != out[head-1] {
			return false
		}
		tail, isMember := strings.CutPrefix(string(out[head:]), `,"status":`)
		if !strings.HasPrefix(tail, `"`) {
			continue
		}
		var s string
		d := json.NewDecoder(strings.NewReader(tail))
		if d.Decode(&s) != nil || s != status {
			continue
		}
		tail = tail[d.InputOffset():]
		old, found := strings.CutSuffix(string(raw[head:]), tail)
		if found && isMember && old == "" {
			return true
		}
		if found && !isMember && json.Unmarshal([]byte(old), &s) == nil {
			return true
		}
	}
	return false
}

func TestRewriteOfRandomReadings(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 1000 {
		reading, other := randomReading(r), randomReading(r)
		checkRewrite(t, wire.AppendReading(nil, &reading), other.Sensors)
	}
}

func FuzzAppendChanged(f *testing.F) {
	f.Add(sampleText(f), "high", "", "\"\\\n栋", "u", 1.5)
	f.Add([]byte(with(`"sensors":{}`, `"sensors":{"current":{"value":1},"temperature":{"status":null,"value":2,"unit":"F"}}`)), "a", "b", "", "", math.Copysign(0, -1))
	f.Fuzz(func(t *testing.T, raw []byte, a, b, c, unit string, number float64) {
		if math.IsNaN(number) || math.IsInf(number, 0) {
			return
		}
		var others []telemetry.Sensor
		for _, s := range []string{a, b, c} {
			if !utf8.ValidString(s) || !utf8.ValidString(unit) || strings.Contains(s+unit, "\x00") {
				return
			}
			others = append(others, telemetry.Sensor{Status: s, Unit: unit, Number: number})
		}
		checkRewrite(t, raw, others)
	})
}

func TestAppendChangedDoesNotAllocate(t *testing.T) {
	raw := sampleText(t)
	var r telemetry.Reading
	var l wire.Layout
	require.NoError(t, wire.DecodeReading(raw, &r, &l))
	changes := []change{{Status: "high"}, {Sensor: 1, Status: "low", Unit: "%", Value: 5.5}, {Sensor: 4, Status: "high"}}
	buf := wire.AppendChanged(nil, raw, &l, changes)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = wire.AppendChanged(buf[:0], raw, &l, changes) }))
}
