package wire_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// TestNoObjectHasAKeyTwice repeats each member of a reading that has every field of the
// contract, plainly and escaped, behind and before the other members.
func TestNoObjectHasAKeyTwice(t *testing.T) {
	type object struct {
		path    string
		members []string
	}
	analog := []string{`"value":1`, `"unit":"u"`, `"status":"s"`, `"more":1`}
	objects := []object{
		{"", []string{
			`"device_id":"d"`, `"timestamp":1640995200000`, `"more":[]`, `"location":{<location>}`,
			`"sensors":{<sensors>}`, `"device_info":{<device_info>}`,
		}},
		{"location", []string{`"building":"B"`, `"floor":1`, `"room":"r"`, `"more":{}`}},
		{"sensors", []string{
			`"temperature":{<sensors.temperature>}`, `"humidity":{<sensors.humidity>}`, `"pressure":{<sensors.pressure>}`,
			`"current":{<sensors.current>}`, `"switch_status":{<sensors.switch_status>}`, `"co2":{<sensors.co2>}`, `"CO2":1`, `"none":null`,
		}},
		{"sensors.temperature", analog},
		{"sensors.humidity", analog},
		{"sensors.pressure", analog},
		{"sensors.current", analog},
		{"sensors.co2", analog},
		{"sensors.switch_status", []string{`"value":true`, `"status":"on"`, `"more":null`}},
		{"device_info", []string{`"model":"m"`, `"firmware":"f"`, `"battery":1`, `"signal_strength":-1`, `"interval_s":600`, `"more":"x"`}},
	}
	// build writes the reading with extra members in the object at path.
	build := func(path string, members ...string) string {
		text := "{<>}"
		for _, o := range objects {
			all := o.members
			if o.path == path {
				all = members
			}
			text = strings.ReplaceAll(text, "<"+o.path+">", strings.Join(all, ","))
		}
		return text
	}
	require.True(t, checkDecode(t, []byte(build("none"))), build("none"))
	for _, o := range objects {
		for _, member := range o.members {
			key, value, _ := strings.Cut(strings.TrimPrefix(member, `"`), `":`)
			field := strings.TrimPrefix(o.path+"."+key, ".")
			escaped := fmt.Sprintf(`"%s\u%04x":%s`, key[:len(key)-1], key[len(key)-1], value)
			for _, raw := range []string{
				build(o.path, append([]string{member}, o.members...)...),
				build(o.path, append(slices.Clip(o.members), member)...),
				build(o.path, append([]string{escaped}, o.members...)...),
				build(o.path, append(slices.Clip(o.members), escaped)...),
			} {
				requireTwice(t, raw, field, "the key occurs twice in one object")
			}
		}
	}
}

// requireTwice demands that raw is refused for a key that occurs twice.
func requireTwice(t *testing.T, raw, field, message string) {
	t.Helper()
	var r telemetry.Reading
	var got *telemetry.Refusal
	require.ErrorAs(t, wire.DecodeReading([]byte(raw), &r, nil), &got, raw)
	require.Equal(t, telemetry.Refusal{Reason: telemetry.ReasonDuplicateKey, Field: field, Message: message}, *got, raw)
	require.False(t, checkDecode(t, []byte(raw)))
}

// TestNoUnknownObjectHasAKeyTwice covers the values that the decoder skips.
func TestNoUnknownObjectHasAKeyTwice(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":%d`, i, i)
	}
	wide := strings.Join(many, ",")
	unknown := func(value string) string { return with(`{"device_id"`, `{"x":`+value+`,"device_id"`) }
	twice := func(key string) string { return "the key " + key + " occurs twice in one object" }
	for name, tt := range map[string]struct{ raw, field, message string }{
		"nested":            {unknown(`{"a":1,"b":2,"a":3}`), "x", twice(`"a"`)},
		"escaped":           {unknown(`{"a\n":1,"\u0061\u000a":3}`), "x", twice(`"a\n"`)},
		"empty key":         {unknown(`{"":1,"":{}}`), "x", twice(`""`)},
		"in an array":       {unknown(`[{"a":1},[{"b":1,"b":1}]]`), "x", twice(`"b"`)},
		"deep":              {unknown(`{"a":{"a":{"a":{"c":0,"c":0}}}}`), "x", twice(`"c"`)},
		"wide":              {unknown(`{` + wide + `,"k17":0}`), "x", twice(`"k17"`)},
		"in a sensor":       {with(`"sensors":{}`, `"sensors":{"current":{"value":1,"cal":{"a":1,"a":1}}}`), "sensors.current.cal", twice(`"a"`)},
		"in an own sensor":  {with(`"sensors":{}`, `"sensors":{"co2":{"value":1,"value":2}}`), "sensors.co2.value", "the key occurs twice in one object"},
		"of many fields":    {with(`{"device_id"`, `{`+wide+`,"k99":0,"device_id"`), "k99", "the key occurs twice in one object"},
		"unprintable field": {with(`{"device_id"`, `{"a\r\n":1,"a\u000d\n":0,"device_id"`), `a\r\n`, "the key occurs twice in one object"},
		"long field":        {with(`{"device_id"`, `{"`+strings.Repeat("栋", 99)+`":1,"`+strings.Repeat("栋", 99)+`":0,"device_id"`), strings.Repeat("栋", 12), "the key occurs twice in one object"},
	} {
		t.Run(name, func(t *testing.T) { requireTwice(t, tt.raw, tt.field, tt.message) })
	}
}

// TestSameKeyInOtherObjects accepts a key that only different objects share.
func TestSameKeyInOtherObjects(t *testing.T) {
	require.True(t, checkDecode(t, []byte(with(`"sensors":{}`,
		`"x":{"x":[{"x":1},{"x":1}],"building":1},"value":1,"sensors":{"x":1,"current":{"value":1,"x":1},"humidity":{"value":1,"x":1},"co2":{"value":1}}`))))
}

// TestManyUnknownKeysAreCheap fills a message with keys. With pairwise comparison, 16 times
// the keys would cost 256 times as much.
func TestManyUnknownKeysAreCheap(t *testing.T) {
	for _, place := range []string{`{%s"device_id"`, `{"x":{%s"end":0},"device_id"`} {
		cost := func(keys int) time.Duration {
			var fields strings.Builder
			for i := range keys {
				fmt.Fprintf(&fields, `"%04x":0,`, i*40503%65536)
			}
			raw := []byte(with(`{"device_id"`, fmt.Sprintf(place, fields.String())))
			best := time.Hour
			for range 20 {
				start := time.Now()
				var r telemetry.Reading
				require.NoError(t, wire.DecodeReading(raw, &r, nil))
				best = min(best, time.Since(start))
			}
			return best
		}
		// 16 times as many keys; a busy machine may measure more, but not forever.
		require.Eventually(t, func() bool { return cost(6400) < 80*cost(400) }, time.Minute, time.Millisecond)
	}
}

func TestUnknownFieldsDoNotAllocate(t *testing.T) {
	raw := []byte(with(`{"device_id"`, `{"a":1,"b":{"a":1,"b":2,"c":{"d":[{"e":1}]}},"c":2,"device_id"`))
	var r telemetry.Reading
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if err := wire.DecodeReading(raw, &r, nil); err != nil {
			t.Error(err)
		}
	}), 1.0)
}
