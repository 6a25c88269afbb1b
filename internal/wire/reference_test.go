package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// checkDecode decodes raw and compares everything about the result with what
// encoding/json makes of it. It returns whether the reading was accepted.
//
// The known differences to encoding/json: at most MaxDepth levels and MaxReadingBytes
// bytes, only valid UTF-8, and no key twice in one object.
func checkDecode(t *testing.T, raw []byte) bool {
	t.Helper()
	var got telemetry.Reading
	err := wire.DecodeReading(raw, &got, nil)
	reason := telemetry.Reason("accepted")
	if err != nil {
		var refusal *telemetry.Refusal
		require.ErrorAs(t, err, &refusal)
		require.Less(t, len(refusal.Message), 160, refusal.Message)
		require.True(t, utf8.ValidString(refusal.Message))
		reason = refusal.Reason
		if strings.Contains(refusal.Message, "half of a surrogate pair") {
			require.Regexp(t, `(?i)\\u(0000|d[89a-f])`, string(raw))
			return false
		}
	}
	valid, deep := json.Valid(raw), bracketDepth(raw) > wire.MaxDepth
	switch {
	case len(raw) > wire.MaxReadingBytes:
		require.Equal(t, telemetry.ReasonTooLarge, reason)
	case strings.Trim(string(raw), " \t\r\n") == "":
		require.Equal(t, telemetry.ReasonEmpty, reason)
	case !utf8.Valid(raw):
		require.Equal(t, telemetry.ReasonInvalidUTF8, reason)
	case !valid && deep:
		require.Contains(t, []telemetry.Reason{telemetry.ReasonInvalidJSON, telemetry.ReasonTooDeep}, reason)
	case !valid:
		require.Equal(t, telemetry.ReasonInvalidJSON, reason)
	case deep:
		require.Equal(t, telemetry.ReasonTooDeep, reason)
	default:
		reasons := []telemetry.Reason{telemetry.ReasonInvalidReading, telemetry.ReasonInvalidTimestamp}
		if hasDuplicateKeys(t, raw) {
			require.Contains(t, append(reasons, telemetry.ReasonDuplicateKey), reason)
			return false
		}
		want, wantErr := referenceReading(raw)
		require.Equal(t, wantErr == nil, err == nil, "reference: %v, decoder: %v", wantErr, err)
		if err != nil {
			require.Contains(t, reasons, reason)
			return false
		}
		got = sorted(got)
		require.Equal(t, want, got)
		for i := range want.Sensors { // Equal takes 0 for -0
			require.Equal(t, math.Float64bits(want.Sensors[i].Number), math.Float64bits(got.Sensors[i].Number))
		}
		require.NotContains(t, fmt.Sprint(got), "\x00")
		return true
	}
	return false
}

// sorted returns r with its sensors and flaws in the order of their names.
func sorted(r telemetry.Reading) telemetry.Reading {
	r = r.Clone()
	slices.SortFunc(r.Sensors, func(a, b telemetry.Sensor) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(r.Flaws)
	return r
}

// bracketDepth counts how deep the objects and arrays in raw go.
func bracketDepth(raw []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case b == '"':
			quoted = !quoted
		case quoted && b == '\\':
			i++
		case quoted:
		case b == '{' || b == '[':
			depth++
			deepest = max(deepest, depth)
		case b == '}' || b == ']':
			depth--
		}
	}
	return deepest
}

// hasDuplicateKeys reports whether an object in raw has a key twice.
func hasDuplicateKeys(t *testing.T, raw []byte) bool {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var walk func() bool
	walk = func() bool {
		tok, err := d.Token()
		require.NoError(t, err)
		found, keys := false, map[any]bool{}
		for tok == json.Delim('{') && d.More() {
			key, err := d.Token()
			require.NoError(t, err)
			found = found || keys[key]
			keys[key] = true
			found = walk() || found
		}
		for tok == json.Delim('[') && d.More() {
			found = walk() || found
		}
		if tok == json.Delim('{') || tok == json.Delim('[') {
			_, err := d.Token()
			require.NoError(t, err)
		}
		return found
	}
	return walk()
}

// reference decodes a reading with encoding/json, to compare the decoder with.
type reference struct {
	err   error
	flaws []string
}

func referenceReading(raw []byte) (telemetry.Reading, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return telemetry.Reading{}, err
	}
	var ref reference
	var r telemetry.Reading
	top := ref.object(tree, true)
	r.DeviceID = ref.text(top["device_id"], true)
	r.Timestamp = ref.integer(top["timestamp"], true)
	ref.check(telemetry.ValidDeviceID(r.DeviceID) && telemetry.ValidDeviceTimestamp(r.Timestamp))

	loc := ref.object(top["location"], true)
	r.Location.Building = ref.text(loc["building"], true)
	r.Location.Room = optional[string](&ref, loc, "location", "room")
	if n := optional[json.Number](&ref, loc, "location", "floor"); n != "" {
		f, _ := strconv.ParseFloat(string(n), 64)
		if r.Location.Floor = int(f); f != math.Trunc(f) || math.Abs(f) > math.MaxInt32+1 || int(int32(r.Location.Floor)) != r.Location.Floor {
			r.Location.Floor, ref.flaws = 0, append(ref.flaws, "location.floor")
		}
	}
	ref.check(r.Location.Building != "" && len(r.Location.Building) <= telemetry.MaxBuildingBytes)

	for name, v := range ref.object(top["sensors"], true) {
		if s, ok := ref.sensor(name, v); ok {
			r.Sensors = append(r.Sensors, s)
		}
	}
	ref.check(len(r.Sensors) <= telemetry.MaxSensors)
	info := optional[map[string]any](&ref, top, "", "device_info")
	r.Info = telemetry.DeviceInfo{
		Model: optional[string](&ref, info, "device_info", "model"), Firmware: optional[string](&ref, info, "device_info", "firmware"),
		Battery: ref.optionalNumber(info, "battery"), SignalStrength: ref.optionalNumber(info, "signal_strength"),
	}
	if v := ref.optionalNumber(info, "interval_s"); v.Value > 0 && v.Value <= telemetry.MaxIntervalS {
		r.Info.IntervalS = v.Value
	} else if v.Present {
		ref.flaws = append(ref.flaws, "device_info.interval_s")
	}
	switch p := optional[string](&ref, top, "", "presence"); p {
	case "", "online":
		if v, ok := top["presence"].(string); ok && v == "" {
			ref.flaws = append(ref.flaws, "presence")
		}
	case "offline":
		r.Offline = true
	default:
		ref.flaws = append(ref.flaws, "presence")
	}
	r.Flaws = ref.flaws
	return sorted(r), ref.err
}

func (ref *reference) sensor(name string, v any) (telemetry.Sensor, bool) {
	s, path := telemetry.Sensor{Name: name}, "sensors."+name
	number := slices.Contains([]string{"temperature", "humidity", "pressure", "current"}, name)
	toggle := name == "switch_status"
	fields, isObject := v.(map[string]any)
	switch {
	case v == nil:
		return s, false
	case number || toggle:
		ref.check(isObject)
	case !isObject || !regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`).MatchString(name):
		quoted := strconv.Quote(name[:min(len(name), 36)])
		if name == "" {
			ref.flaws = append(ref.flaws, "sensors")
		} else {
			ref.flaws = append(ref.flaws, "sensors."+strings.Trim(quoted, `"`))
		}
		return s, false
	}
	wrong := func(field string) {
		ref.check(!number && !toggle)
		ref.flaws = append(ref.flaws, path+"."+field)
	}
	good := true
	switch value := fields["value"].(type) {
	case json.Number:
		f, err := strconv.ParseFloat(string(value), 64)
		if s.Number = f; err != nil || toggle {
			wrong("value")
			good = false
		}
	case bool:
		if s.Kind = telemetry.Bool; value {
			s.Number = 1
		}
		ref.check(!number)
	case string:
		s.Kind, s.Text = telemetry.Text, value
		ref.check(!number && !toggle)
		if len(value) > telemetry.MaxSensorTextBytes {
			wrong("value")
			good = false
		}
	default:
		wrong("value")
		good = false
	}
	if unit, isText := fields["unit"].(string); isText || fields["unit"] == nil {
		s.Unit = unit
	} else {
		wrong("unit")
		good = false
	}
	s.Status = optional[string](ref, fields, path, "status")
	return s, good
}

// optional returns a field that may be absent or null; one of another type is a flaw.
func optional[T any](ref *reference, fields map[string]any, group, name string) T {
	v, ok := fields[name].(T)
	if !ok && fields[name] != nil {
		ref.flaws = append(ref.flaws, strings.TrimPrefix(group+"."+name, "."))
	}
	return v
}

func (ref *reference) optionalNumber(info map[string]any, name string) telemetry.Optional {
	n := optional[json.Number](ref, info, "device_info", name)
	if n == "" {
		return telemetry.Optional{}
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		ref.flaws = append(ref.flaws, "device_info."+name)
		return telemetry.Optional{}
	}
	return telemetry.Some(f)
}

func (ref *reference) check(ok bool) {
	if !ok && ref.err == nil {
		ref.err = errors.New("not a reading")
	}
}

func typed[T any](ref *reference, v any, required bool) T {
	t, ok := v.(T)
	ref.check(ok || v == nil && !required)
	return t
}

func (ref *reference) object(v any, required bool) map[string]any {
	return typed[map[string]any](ref, v, required)
}
func (ref *reference) text(v any, required bool) string { return typed[string](ref, v, required) }

func (ref *reference) float(v any, required bool) float64 {
	n := typed[json.Number](ref, v, required)
	if n == "" {
		return 0
	}
	f, err := strconv.ParseFloat(string(n), 64)
	ref.check(err == nil)
	return f
}

func (ref *reference) integer(v any, required bool) int64 {
	f := ref.float(v, required)
	ref.check(f == math.Trunc(f) && math.Abs(f) < 1<<60)
	return int64(f)
}

func FuzzDecodeReading(f *testing.F) {
	f.Add(sampleText(f))
	for _, s := range refusalSeeds() {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"\u0064evice_id":"d","timestamp":1640995200000.0,"location":{"building":"\ud83d\ude00\ud800","floor":-2e0},` +
		`"sensors":{"current":{"status":null,"value":-0.0e-1},"pressure":null,"x":[1,{"y":[]}],"humidity":{"value":123456789012345678901234567890e-10}}}`))
	f.Add([]byte(`{"device_id":"d","timestamp":1640995200000,"location":{"building":"b"},"x":{"y":[{"a":1,"\u0061":2}],"\ud800":0,"\udfff":0},"sensors":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkDecode(t, raw)
	})
}

// FuzzNumber puts any text in the place of a number.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{
		"0", "-0", "1.5", "1e5", "1E+22", "1e23", "9007199254740993", "0.1e-400", "1e999", "179769313486231580793e289",
		"2.2250738585072011e-308", "01", "1.", ".5", "-", "+1", "1e", "NaN", "-Infinity", "0x1p-2", "1_000",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkDecode(t, []byte(`{"device_id":"d","timestamp":1640995200000,"location":{"building":"b"},"sensors":{"current":{"value":`+s+`}}}`))
		checkDecode(t, []byte(`{"device_id":"d","timestamp":`+s+`,"location":{"building":"b"},"sensors":{}}`))
		checkDecode(t, []byte(`{"device_id":"d","timestamp":1640995200000,"location":{"floor":`+s+`,"building":"b"},"sensors":{}}`))
	})
}

// FuzzString puts any text in the place of a string.
func FuzzString(f *testing.F) {
	for _, s := range []string{"a", `\"`, `\u0000`, `\ud800\udc00`, `\udc00`, `\ud800\u0041`, `\ud800\ud800\udc00`, `\x`, "\t", `a"b`, "栋", `\`, `\u12`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkDecode(t, []byte(`{"device_id":"d","timestamp":1640995200000,"location":{"building":"b","room":"`+s+`"},"sensors":{}}`))
		checkDecode(t, []byte(`{"`+s+`":"d","timestamp":1640995200000,"location":{"building":"b"},"sensors":{}}`))
	})
}
