package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestBatchesAreSplit(t *testing.T) {
	tests := map[string]struct {
		batch string
		want  []string
	}{
		"array":               {"[{\"a\":1},{\"b\":[1,{}]}]", []string{`{"a":1}`, `{"b":[1,{}]}`}},
		"white space":         {" \r\n[ {\"a\": 1}\n ,\t{ } ] \n", []string{`{"a": 1}`, `{ }`}},
		"brackets in strings": {`[{"a":"]},{["},{"b\"]":"\\"}]`, []string{`{"a":"]},{["}`, `{"b\"]":"\\"}`}},
		"no objects":          {`[1,"a,b",null,,x]`, []string{`1`, `"a,b"`, `null`, ``, `x`}},
		"bad among good":      {`[{"a":},{"c":tru},{}]`, []string{`{"a":}`, `{"c":tru}`, `{}`}},
		"control character":   {"[\"a\n,\"]", []string{"\"a\n,\""}},
		"lines":               {"{\"a\":1}\n{\"b\":2}\r\n\n  {\"c\":3}  \n", []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}},
		"bad line":            {"{\"a\":1}\noops\n{\"c\":3}", []string{`{"a":1}`, `oops`, `{"c":3}`}},
		"one line":            {`{"a":1}`, []string{`{"a":1}`}},
	}
	for name, tt := range tests {
		got, refusal := wire.SplitBatch(nil, []byte(tt.batch))
		require.Nil(t, refusal, name)
		require.Equal(t, tt.want, texts(got), name)
	}
}

func texts(all [][]byte) (out []string) {
	for _, b := range all {
		out = append(out, string(b))
	}
	return out
}

func TestBatchesThatCannotBeSplitAreRefused(t *testing.T) {
	tests := map[string]struct {
		batch  string
		reason telemetry.Reason
		want   string
	}{
		"empty array":        {"[ ]", telemetry.ReasonInvalidBatch, "the batch is empty; want 1 to 1000 readings"},
		"no lines":           {" \n", telemetry.ReasonInvalidBatch, "the batch is empty"},
		"too many":           {"[1" + strings.Repeat(",1", wire.MaxBatchReadings) + "]", telemetry.ReasonInvalidBatch, "more than 1000 readings"},
		"too many lines":     {strings.Repeat("{}\n", wire.MaxBatchReadings+1), telemetry.ReasonInvalidBatch, "more than 1000 readings"},
		"too large":          {"[" + strings.Repeat(" ", wire.MaxBatchBytes) + "1]", telemetry.ReasonTooLarge, "a batch of 524291 bytes; want at most 524288"},
		"cut short":          {`[{"a":1},{"b"`, telemetry.ReasonInvalidJSON, "byte 13: the array of readings does not end"},
		"string cut short":   {`["a`, telemetry.ReasonInvalidJSON, "does not end"},
		"escape cut short":   {`["a\`, telemetry.ReasonInvalidJSON, "does not end"},
		"only a bracket":     {`[`, telemetry.ReasonInvalidJSON, "does not end"},
		"brace not opened":   {`[1}]`, telemetry.ReasonInvalidJSON, "byte 2: '}' without '{'"},
		"text after":         {`[1] x`, telemetry.ReasonInvalidJSON, "byte 4: want nothing after"},
		"text after nothing": {`[]x`, telemetry.ReasonInvalidJSON, "byte 2: want nothing after"},
	}
	for name, tt := range tests {
		_, refusal := wire.SplitBatch(nil, []byte(tt.batch))
		require.NotNil(t, refusal, name)
		require.Equal(t, tt.reason, refusal.Reason, name)
		require.Contains(t, refusal.Message, tt.want, name)
	}
	all, refusal := wire.SplitBatch(nil, []byte("["+strings.Repeat("1,", wire.MaxBatchReadings-1)+"1]"))
	require.Nil(t, refusal)
	require.Len(t, all, wire.MaxBatchReadings)
}

// One reading may be printed over several lines.
func TestLinesAreToldFromAPrintedReading(t *testing.T) {
	for text, want := range map[string]bool{
		"{\"a\":1}\n{\"b\":2}":      true,
		"{\"a\":1}\noops":           true,
		"{\"a\":\n{\"b\":2}":        true, // the first line is cut short
		"\n\n{}\n\n{}":              true,
		"{\n \"a\": 1\n}":           false,
		"{\n\t\"a\": [\n{\n}\n]\n}": false,
		"{\"a\":1}":                 false,
		"{\"a\":1}\n\n":             false,
		"{\"a\":1} {\"b\":2}":       false,
		"":                          false,
		"oops\n{}":                  false,
	} {
		require.Equal(t, want, wire.IsLines([]byte(text)), "%q", text)
	}
	require.True(t, wire.IsArray([]byte(" \n\t\r[")))
	require.False(t, wire.IsArray([]byte(" {[")))
	require.False(t, wire.IsArray(nil))
}

// FuzzSplitBatch checks that no byte but white space and separators is lost, and that the
// readings of valid JSON are what they were.
func FuzzSplitBatch(f *testing.F) {
	f.Add([]byte(`[{"a":1},{"b":"]"}]`))
	f.Add([]byte("{\"a\":1}\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, refusal := wire.SplitBatch(nil, data)
		if refusal != nil {
			return
		}
		rest := string(data)
		for _, e := range all {
			_, after, ok := strings.Cut(rest, string(e))
			require.True(t, ok)
			rest = after
		}
		for _, e := range all {
			again, refusal := wire.SplitBatch(nil, fmt.Appendf(nil, "[%s]", e))
			if wire.IsArray(data) && len(e) > 0 {
				require.Nil(t, refusal)
				require.Equal(t, [][]byte{e}, again)
			}
		}
	})
}

func BenchmarkSplitBatch(b *testing.B) {
	one := `{"device_id":"device_000","timestamp":1640995200000,"location":{"building":"A栋","floor":3,"room":"301"},` +
		`"sensors":{"temperature":{"value":25.6,"unit":"°C","status":"normal"},"humidity":{"value":65.2,"unit":"%","status":"normal"},` +
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},` +
		`"current":{"value":2.5,"unit":"A","status":"normal"}},` +
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`
	batch := []byte("[" + strings.Repeat(one+",", 99) + one + "]")
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	var dst [][]byte
	for b.Loop() {
		dst, _ = wire.SplitBatch(dst[:0], batch)
	}
	if len(dst) != 100 {
		b.Fatal(len(dst))
	}
}
