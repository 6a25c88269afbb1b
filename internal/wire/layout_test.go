package wire_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

type statuses = [telemetry.NumAnalog]string

func TestAppendWithStatus(t *testing.T) {
	tests := []struct {
		name, in, want string
		status         statuses
	}{
		{"none present", `{}`, `{}`, statuses{"high", "high", "high", "high"}},
		{"replaced", `{"humidity":{"value":1,"status":"normal"}}`, `{"humidity":{"value":1,"status":"high"}}`, statuses{"x", "high"}},
		{"left alone", `{"humidity":{"value":1,"status":"normal"}}`, `{"humidity":{"value":1,"status":"normal"}}`, statuses{"x"}},
		{"inserted", `{"current":{ "value" : 1 , "unit": "A" }}`, `{"current":{ "value" : 1 , "unit": "A","status":"low" }}`, statuses{3: "low"}},
		{"null replaced", `{"current":{"status": null ,"value":1}}`, `{"current":{"status": "low" ,"value":1}}`, statuses{3: "low"}},
		{"null sensor", `{"current":null}`, `{"current":null}`, statuses{3: "low"}},
		{
			"any order", `{"current":{"value":1},"temperature":{"status":"","value":2},"humidity":{"value":3,"x":[{}]}}`,
			`{"current":{"value":1,"status":"c"},"temperature":{"status":"t","value":2},"humidity":{"value":3,"x":[{}],"status":"h"}}`,
			statuses{"t", "h", "p", "c"},
		},
		{
			"unknown sensor", `{"x":{"status":1},"current":{"value":1,"status":"a"}}`, `{"x":{"status":1},"current":{"value":1,"status":"new"}}`,
			statuses{3: "new"},
		},
		{"escaped", `{"current":{"value":1,"sta\u0074us":"\u0041\""}}`, `{"current":{"value":1,"sta\u0074us":"a\"\\\n栋"}}`, statuses{3: "a\"\\\n栋"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wrap := func(s string) string { return with(`"sensors":{}`, `"sensors":`+s) }
			var r telemetry.Reading
			var l wire.Layout
			raw := []byte(wrap(tt.in))
			require.NoError(t, wire.DecodeReading(raw, &r, &l))
			got := wire.AppendWithStatus([]byte("kept"), raw, &l, &tt.status)
			require.Equal(t, "kept"+wrap(tt.want), string(got))
			checkRewrite(t, raw, tt.status)
		})
	}
}

// checkRewrite rewrites the statuses of raw, first each alone, and checks that the
// reading has them and that no other byte has changed.
func checkRewrite(t *testing.T, raw []byte, status statuses) {
	t.Helper()
	var r, got telemetry.Reading
	var l wire.Layout
	if wire.DecodeReading(raw, &r, &l) != nil {
		return
	}
	require.Equal(t, string(raw), string(wire.AppendWithStatus(nil, raw, &l, &statuses{})))
	for p := range telemetry.NumAnalog {
		var one statuses
		one[p] = status[p]
		out := wire.AppendWithStatus(nil, raw, &l, &one)
		if !r.Sensors.Analog[p].Present || one[p] == "" {
			require.Equal(t, string(raw), string(out))
			continue
		}
		require.True(t, onlyStatusChanged(raw, out, one[p]), "%s\n%s", raw, out)
	}
	out := wire.AppendWithStatus(nil, raw, &l, &status)
	want := r
	for p := range telemetry.NumAnalog {
		if m := &want.Sensors.Analog[p]; m.Present && status[p] != "" {
			m.Status = status[p]
		}
	}
	if len(out) > wire.MaxReadingBytes {
		return
	}
	var again wire.Layout
	require.NoError(t, wire.DecodeReading(out, &got, &again), string(out))
	require.Equal(t, want, got)
	require.Equal(t, string(out), string(wire.AppendWithStatus(nil, out, &again, &status)))
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
		var status statuses
		for p := range status {
			status[p] = other.Sensors.Analog[p].Status
		}
		checkRewrite(t, wire.AppendReading(nil, &reading), status)
	}
}

func FuzzAppendWithStatus(f *testing.F) {
	f.Add(sampleText(f), "high", "low", "", "\"\\\n栋")
	f.Add([]byte(with(`"sensors":{}`, `"sensors":{"current":{"value":1},"temperature":{"status":null,"value":2}}`)), "a", "", "", "b")
	f.Fuzz(func(t *testing.T, raw []byte, a, b, c, d string) {
		for _, s := range []string{a, b, c, d} {
			if !utf8.ValidString(s) {
				return
			}
		}
		checkRewrite(t, raw, statuses{a, b, c, d})
	})
}

func TestAppendWithStatusDoesNotAllocate(t *testing.T) {
	raw := sampleText(t)
	var r telemetry.Reading
	var l wire.Layout
	require.NoError(t, wire.DecodeReading(raw, &r, &l))
	status := statuses{"high", "low", "normal", "high"}
	buf := wire.AppendWithStatus(nil, raw, &l, &status)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = wire.AppendWithStatus(buf[:0], raw, &l, &status) }))
}
