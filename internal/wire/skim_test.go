package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

func TestIsObject(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":[`, n/2) + strings.Repeat(`]}`, n/2) }
	for text, want := range map[string]bool{
		`{}`: true, ` {"a" : [1, -2.5e3 ,"x\u00e9", null,true,{}] } `: true, `{"a":1,"a":2}`: true, deep(wire.MaxDepth): true,
		``: false, `boom`: false, `[]`: false, `"x"`: false, `{`: false, `{"a"}`: false, `{"a":}`: false, `{"a":1,}`: false, `{a:1}`: false,
		`{"a":[1,]}`: false, `{"a":01}`: false, `{"a":nul}`: false, `{"a":"\x"}`: false, "{\"a\":\"\n\"}": false, "{\"a\":\"\xff\"}": false,
		`{}{}`: false, `{"a":1}]`: false, `{"a":[1}}`: false, deep(wire.MaxDepth + 2): false,
	} {
		require.Equal(t, want, wire.IsObject([]byte(text)), text)
	}
}

// FuzzIsObject compares with encoding/json, which has no limit of depth as low.
func FuzzIsObject(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":"\u00e9"},null]}`, ` {} `, `{"a":1,}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := utf8.Valid(text) && json.Valid(text) && strings.HasPrefix(strings.TrimLeft(string(text), " \t\r\n"), "{")
		if depth := strings.Count(string(text), "{") + strings.Count(string(text), "["); depth <= wire.MaxDepth {
			require.Equal(t, want, wire.IsObject(text))
		} else if wire.IsObject(text) {
			require.True(t, want)
		}
	})
}

func BenchmarkIsObject(b *testing.B) {
	text := []byte(`{"device_id":"device_001","timestamp":1640995200000,"location":{"building":"A栋","floor":3,"room":"301"},"sensors":{` +
		`"temperature":{"value":25.3,"unit":"°C","status":"normal"},"humidity":{"value":60.2,"unit":"%","status":"normal"},` +
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},"current":{"value":2.5,"unit":"A","status":"normal"}},` +
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`)
	b.ReportAllocs()
	for b.Loop() {
		if !wire.IsObject(text) {
			b.Fatal("not an object")
		}
	}
}
