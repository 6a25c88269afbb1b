package wire_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func sampleReading() telemetry.Reading {
	m := func(name string, v float64, unit string) telemetry.Sensor {
		return telemetry.Sensor{Name: name, Number: v, Unit: unit, Status: "normal"}
	}
	return telemetry.Reading{
		DeviceID: "device_001", Timestamp: 1640995200000,
		Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"},
		Sensors: telemetry.Sensors{
			m("temperature", 25.6, "°C"), m("humidity", 65.2, "%"), m("pressure", 1013.25, "hPa"),
			{Name: "switch_status", Kind: telemetry.Bool, Number: 1, Status: "on"},
			m("current", 2.5, "A"),
		},
		Info: telemetry.DeviceInfo{Model: "IOT-SENSOR-V2", Firmware: "1.2.3", Battery: telemetry.Some(85), SignalStrength: telemetry.Some(-45)},
	}
}

func TestDecodeSample(t *testing.T) {
	var r telemetry.Reading
	require.NoError(t, wire.DecodeReading(sampleText(t), &r, nil))
	require.Equal(t, sampleReading(), r)
}

func TestDecodeDoesNotAliasAndResets(t *testing.T) {
	raw := sampleText(t)
	r := telemetry.Reading{Sensors: telemetry.Sensors{{Status: "old"}}, Flaws: []string{"old"}}
	require.NoError(t, wire.DecodeReading(raw, &r, nil))
	clear(raw)
	want := sampleReading()
	want.Flaws = []string{}
	require.Equal(t, want, r)
	kept := r.Clone()
	require.NoError(t, wire.DecodeReading([]byte(minimal), &r, nil))
	require.Equal(t, telemetry.Reading{
		DeviceID: "d-1", Timestamp: 1640995200000, Location: telemetry.Location{Building: "B"},
		Sensors: telemetry.Sensors{}, Flaws: []string{},
	}, r)
	require.Equal(t, want, kept, "a clone does not change")
}

const minimal = `{"device_id":"d-1","timestamp":1640995200000,"location":{"building":"B"},"sensors":{}}`

// with returns minimal with one part replaced.
func with(old, replacement string) string {
	if !strings.Contains(minimal, old) {
		panic(old)
	}
	return strings.Replace(minimal, old, replacement, 1)
}

func TestDecodeAccepts(t *testing.T) {
	sensors := func(s string) string { return with(`"sensors":{}`, `"sensors":`+s) }
	tests := map[string]string{
		"minimal":                minimal,
		"white space":            " \t\r\n" + strings.NewReplacer(":", " : ", ",", "\n,\t", "{", "{ ", "}", " }").Replace(minimal) + "\n",
		"unknown fields":         with(`{"device_id"`, `{"a":[1,-2.5e9,true,false,null,"x",{},[]],"":{"":0},"device_id"`),
		"unknown sensor":         sensors(`{"co2":{"value":"any"},"x":1}`),
		"escaped key":            with(`"device_id"`, `"devic\u0065_id"`),
		"escaped device id":      with(`"d-1"`, `"\u0064\u002D1"`),
		"escapes":                with(`"B"`, `"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`),
		"null sensor is absent":  sensors(`{"temperature":null,"switch_status":null}`),
		"null optional fields":   sensors(`{"temperature":{"value":1,"unit":null,"status":null}},"device_info":null`),
		"null info fields":       sensors(`{},"device_info":{"model":null,"battery":null}`),
		"null floor and room":    with(`"building"`, `"floor":null,"room":null,"building"`),
		"negative floor":         with(`"building"`, `"floor":-3,"building"`),
		"floor as float":         with(`"building"`, `"floor":30e-1,"building"`),
		"timestamp as float":     with(`1640995200000`, `1640995200000.000`),
		"timestamp as exponent":  with(`1640995200000`, `1.6409952E+12`),
		"dead clock":             with(`1640995200000`, `946684800000`),
		"first timestamp":        with(`1640995200000`, `0`),
		"last before seconds":    with(`1640995200000`, `946684799`),
		"first after seconds":    with(`1640995200000`, `4102444800`),
		"wrong side fields":      with(`{"building":"B"}`, `{"building":"B","floor":"3F","room":301},"device_info":{"model":[],"firmware":12,"battery":"85%","signal_strength":1e999}`),
		"interval":               with(`{"device_id"`, `{"device_info":{"interval_s":0.5},"device_id"`),
		"longest interval":       with(`{"device_id"`, `{"device_info":{"interval_s":2678400},"device_id"`),
		"interval too long":      with(`{"device_id"`, `{"device_info":{"interval_s":2678400.1},"device_id"`),
		"no interval":            with(`{"device_id"`, `{"device_info":{"interval_s":0},"device_id"`),
		"negative interval":      with(`{"device_id"`, `{"device_info":{"interval_s":-5},"device_id"`),
		"interval in words":      with(`{"device_id"`, `{"device_info":{"interval_s":"10m"},"device_id"`),
		"wrong info":             with(`{"device_id"`, `{"device_info":"v2","device_id"`),
		"any sensor":             sensors(`{"co2":{"value":412.5,"unit":"ppm"},"door":{"value":false},"mode":{"value":"自动","status":"ok"}}`),
		"malformed own sensors":  sensors(`{"CO2":{"value":1},"a b":{"value":1},"co2":7,"ph":{},"p":{"value":null},"q":{"value":1,"unit":5},"r":{"value":1,"status":[]},"s":{"value":1e999}}`),
		"most sensors":           sensors(manySensors(telemetry.MaxSensors)),
		"longest sensor name":    sensors(`{"a` + strings.Repeat("_", 31) + `":{"value":1}}`),
		"sensor name too long":   sensors(`{"a` + strings.Repeat("_", 32) + `":{"value":1}}`),
		"longest text":           sensors(`{"x":{"value":"` + strings.Repeat("x", 64) + `"}}`),
		"text too long":          sensors(`{"x":{"value":"` + strings.Repeat("x", 65) + `"}}`),
		"status of wrong type":   sensors(`{"temperature":{"value":1,"status":3}}`),
		"surrogates elsewhere":   with(`{"device_id"`, `{"x":"\ud83d","device_id"`),
		"last timestamp":         with(`1640995200000`, `4102444799999`),
		"1e999 in unknown":       with(`{"device_id"`, `{"x":1e999,"device_id"`),
		"longest device id":      with(`d-1`, strings.Repeat("x", 64)),
		"longest building":       with(`"B"`, `"`+strings.Repeat("x", 128)+`"`),
		"deepest":                with(`{"device_id"`, `{"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+`,"device_id"`),
		"largest":                minimal + strings.Repeat(" ", wire.MaxReadingBytes-len(minimal)),
		"signed switch off":      sensors(`{"switch_status":{"status":"off","value":false}}`),
		"other case is unknown":  with(`{"device_id"`, `{"Device_ID":5,"device_id"`),
		"case differs in sensor": sensors(`{"Temperature":5}`),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			var r telemetry.Reading
			require.NoError(t, wire.DecodeReading([]byte(raw), &r, nil))
			require.True(t, checkDecode(t, []byte(raw)))
		})
	}
}

// manySensors returns the JSON of n sensors.
func manySensors(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"s%d":{"value":%d}`, i, i)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// TestFlawsAreListed checks that a wrong side field costs that field alone.
func TestFlawsAreListed(t *testing.T) {
	raw := with(`{"building":"B"}`, `{"building":"B","floor":"3F","room":301}`)
	raw = strings.Replace(raw, `"sensors":{}`, `"sensors":{"CO2":{"value":1},"ph":{"value":7,"unit":5},"co2":{"value":400,"status":1}},"device_info":{"model":"m","battery":"85%"}`, 1)
	var r telemetry.Reading
	require.NoError(t, wire.DecodeReading([]byte(raw), &r, nil))
	require.Equal(t, []string{"location.floor", "location.room", "sensors.CO2", "sensors.ph.unit", "sensors.co2.status", "device_info.battery"}, r.Flaws)
	require.Equal(t, telemetry.Sensors{{Name: "co2", Number: 400}}, r.Sensors)
	require.Equal(t, telemetry.DeviceInfo{Model: "m"}, r.Info)

	var wrong strings.Builder
	for i := range 100 {
		fmt.Fprintf(&wrong, `"X%d":1,`, i)
	}
	require.NoError(t, wire.DecodeReading([]byte(with(`"sensors":{}`, `"sensors":{`+wrong.String()+`"co2":null}`)), &r, nil))
	require.Len(t, r.Flaws, telemetry.MaxFlaws)
}

func TestPresenceIsOnlineOrOffline(t *testing.T) {
	var r telemetry.Reading
	for value, want := range map[string]bool{`"offline"`: true, `"online"`: false, `null`: false} {
		require.NoError(t, wire.DecodeReading([]byte(with(`"sensors":{}`, `"sensors":{},"presence":`+value)), &r, nil))
		require.Equal(t, want, r.Offline, value)
		require.Empty(t, r.Flaws)
	}
	for _, value := range []string{`"away"`, `false`, `""`} {
		require.NoError(t, wire.DecodeReading([]byte(with(`"sensors":{}`, `"sensors":{},"presence":`+value)), &r, nil))
		require.False(t, r.Offline)
		require.Equal(t, []string{"presence"}, r.Flaws)
	}
}

type refusalTest struct {
	name, raw string
	reason    telemetry.Reason
	field     string
	message   string
}

func refusalTests() []refusalTest {
	const (
		reading = telemetry.ReasonInvalidReading
		stamp   = telemetry.ReasonInvalidTimestamp
		syntax  = telemetry.ReasonInvalidJSON
		twice   = telemetry.ReasonDuplicateKey
	)
	sensors := func(s string) string { return with(`"sensors":{}`, `"sensors":`+s) }
	at := func(s string) string { return with(`1640995200000`, s) }
	return []refusalTest{
		{"empty", "", telemetry.ReasonEmpty, "", "the message is empty; want a reading as JSON"},
		{"blank", " \r\n\t", telemetry.ReasonEmpty, "", "the message is empty; want a reading as JSON"},
		{"too large", strings.Repeat("x", 1<<20), telemetry.ReasonTooLarge, "", "1048576 bytes; want at most 65536"},
		{"invalid UTF-8", with("B", "A\xffB"), telemetry.ReasonInvalidUTF8, "", "byte 70: 0xff is not UTF-8"},
		{"surrogate in UTF-8", with("B", "\xed\xa0\x80"), telemetry.ReasonInvalidUTF8, "", "byte 69: 0xed is not UTF-8"},
		{"cut character", with("B", "\xe6\xa0"), telemetry.ReasonInvalidUTF8, "", "byte 69: 0xe6 is not UTF-8"},
		{"depth 10,000", strings.Repeat("[", 10000), telemetry.ReasonTooDeep, "", "byte 32: objects and arrays are nested more than 32 deep"},
		{"depth 33", with(`{"device_id"`, `{"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+`,"device_id"`), telemetry.ReasonTooDeep, "", "byte 36: objects and arrays are nested more than 32 deep"},

		{"truncated", minimal[:40], syntax, "", "byte 40: want ',' or '}', got the end"},
		{"truncated key", minimal[:5], syntax, "", `byte 5: want '"', got the end`},
		{"truncated string", minimal[:15], syntax, "device_id", `byte 15: want '"', got the end`},
		{"truncated colon", minimal[:12], syntax, "device_id", `byte 12: want ':', got the end`},
		{"truncated value", minimal[:13], syntax, "device_id", `byte 13: want a value, got the end`},
		{"only a brace", "{", syntax, "", `byte 1: want a key or '}', got the end`},
		{"trailing garbage", minimal + " x", syntax, "", "byte 87: want nothing after the reading, got 'x'"},
		{"two readings", minimal + minimal, syntax, "", "byte 86: want nothing after the reading, got '{'"},
		{"trailing comma", with(`{}}`, `{},}`), syntax, "", "byte 86: want a key, got '}'"},
		{"trailing comma in array", sensors(`{"x":[1,]}`), syntax, "", "byte 91: want a value, got ']'"},
		{"missing comma in array", sensors(`{"x":[1 2]}`), syntax, "", "byte 91: want ',' or ']', got '2'"},
		{"single quotes", `{'device_id':1}`, syntax, "", `byte 1: want a key or '}', got '\''`},
		{"byte order mark", "\uFEFF" + minimal, syntax, "", `byte 0: want a value, got '\ufeff'`},
		{"zero byte", "\x00" + minimal, syntax, "", `byte 0: want a value, got '\x00'`},
		{"bad literal", sensors(`{"x":nul}`), syntax, "", "byte 88: want a value, got 'n'"},
		{"bad literal, switch", sensors(`{"switch_status":{"value":tru}}`), syntax, "sensors.switch_status.value", "byte 109: want a value, got 't'"},
		{"NaN", sensors(`{"temperature":{"value":NaN}}`), syntax, "sensors.temperature.value", "byte 107: want a value, got NaN, which is not a JSON number"},
		{"-Infinity", sensors(`{"temperature":{"value":-Infinity}}`), syntax, "sensors.temperature.value", "byte 108: want a digit, got Infinity, which is not a JSON number"},
		{"leading zero", sensors(`{"temperature":{"value":025}}`), syntax, "sensors.temperature.value", "byte 107: want a number without leading zeros, got '0'"},
		{"no fraction", sensors(`{"temperature":{"value":25.}}`), syntax, "sensors.temperature.value", "byte 110: want a digit, got '}'"},
		{"no exponent", sensors(`{"temperature":{"value":25e+}}`), syntax, "sensors.temperature.value", "byte 111: want a digit, got '}'"},
		{"control character", with("B", "\n"), syntax, "location.building", "byte 69: want control characters in strings escaped, got 0x0a"},
		{"bad escape", with("B", `\x`), syntax, "location.building", `byte 70: want one of "\/bfnrtu after a backslash, got 'x'`},
		{"bad hex", with("B", `\u12g4`), syntax, "location.building", `byte 69: want four hex digits after \u`},
		{"cut hex", minimal[:69] + `\u12`, syntax, "location.building", `byte 69: want four hex digits after \u`},
		{"cut escape", minimal[:69] + `\`, syntax, "location.building", `byte 70: want one of "\/bfnrtu after a backslash, got the end`},
		{"syntax before type", `{"device_id":5,`, syntax, "", "byte 15: want a key, got the end"},

		{"array", "[]", reading, "", "want an object, got an array"},
		{"null", "null", reading, "", "want an object, got null"},
		{"string", `"x"`, reading, "", "want an object, got a string"},
		{"empty object", "{}", reading, "device_id", "missing; want a string"},
		{"no timestamp", `{"device_id":"d"}`, reading, "timestamp", "missing; want milliseconds since 1970"},
		{"no location", `{"device_id":"d","timestamp":1640995200000}`, reading, "location", "missing; want an object"},
		{"no building", with(`"building":"B"`, ``), reading, "location.building", "missing; want a string that is not empty"},
		{"no sensors", with(`,"sensors":{}`, ``), reading, "sensors", "missing; want an object"},
		{"null sensors", sensors("null"), reading, "sensors", "want an object, got null"},
		{"null location", with(`{"building":"B"}`, "null"), reading, "location", "want an object, got null"},
		{"null device id", with(`"d-1"`, "null"), reading, "device_id", "want a string, got null"},
		{"device id number", with(`"d-1"`, "17"), reading, "device_id", "want a string, got a number"},
		{"device id empty", with(`d-1`, ""), reading, "device_id", `want 1 to 64 of A-Z a-z 0-9 _ -, got ""`},
		{"device id dot", with(`d-1`, "a.b"), reading, "device_id", `want 1 to 64 of A-Z a-z 0-9 _ -, got "a.b"`},
		{"device id long", with(`d-1`, strings.Repeat("x", 65)), reading, "device_id", `want 1 to 64 of A-Z a-z 0-9 _ -, got "` + strings.Repeat("x", 35) + "…"},
		{"device id Chinese", with(`d-1`, strings.Repeat("栋", 30)), reading, "device_id", `want 1 to 64 of A-Z a-z 0-9 _ -, got "` + strings.Repeat("栋", 11) + "…"},

		{"seconds", at("1640995200"), stamp, "timestamp", "1640995200 looks like seconds; want milliseconds since 1970"},
		{"microseconds", at("1640995200000000"), stamp, "timestamp", "1640995200000000 looks like microseconds; want milliseconds since 1970"},
		{"nanoseconds", at("1640995200000000000"), stamp, "timestamp", "1640995200000000000 looks like nanoseconds; want milliseconds since 1970"},
		{"year 2100", at("4102444800000"), stamp, "timestamp", "4102444800000 is outside 1970-01-01 to 2100-01-01; want milliseconds since 1970"},
		{"last second", at("4102444799"), stamp, "timestamp", "4102444799 looks like seconds; want milliseconds since 1970"},
		{"negative timestamp", at("-1640995200000"), stamp, "timestamp", "-1640995200000 is outside 1970-01-01 to 2100-01-01; want milliseconds since 1970"},
		{"timestamp with fraction", at("1640995200.5"), stamp, "timestamp", "want whole milliseconds since 1970, got 1640995200.5"},
		{"timestamp huge", at(strings.Repeat("9", 400)), stamp, "timestamp", "want whole milliseconds since 1970, got " + strings.Repeat("9", 36) + "…"},
		{"timestamp text", at(`"2022-01-01T00:00:00Z"`), reading, "timestamp", "want a number, got a string"},
		{"timestamp null", at(`null`), reading, "timestamp", "want a number, got null"},

		{"zero in a name", with(`"B"`, `"B\u0000"`), reading, "location.building", `want no \u0000 and no half of a surrogate pair`},
		{"half a pair", with(`"B"`, `"\ud83d"`), reading, "location.building", `want no \u0000 and no half of a surrogate pair`},
		{"other half", with(`"B"`, `"B","room":"\ude00\ud83d"`), reading, "location.room", `want no \u0000 and no half of a surrogate pair`},
		{"half before a letter", with(`"B"`, `"\ud83d\u0041"`), reading, "location.building", `want no \u0000 and no half of a surrogate pair`},
		{"zero in a text", sensors(`{"mode":{"value":"\u0000"}}`), reading, "sensors.mode", `want no \u0000 and no half of a surrogate pair`},
		{"zero in a unit", sensors(`{"mode":{"value":1,"unit":"\u0000"}}`), reading, "sensors.mode.unit", `want no \u0000 and no half of a surrogate pair`},
		{"too many sensors", sensors(manySensors(telemetry.MaxSensors + 1)), reading, "sensors", "more than 64; want at most 64"},
		{"building empty", with(`"B"`, `""`), reading, "location.building", "want a string that is not empty"},
		{"building null", with(`"B"`, `null`), reading, "location.building", "want a string, got null"},
		{"building long", with(`B`, strings.Repeat("x", 129)), reading, "location.building", "129 bytes; want at most 128"},
		{"sensors array", sensors("[]"), reading, "sensors", "want an object, got an array"},
		{"sensor number", sensors(`{"humidity":65.2}`), reading, "sensors.humidity", "want an object, got a number"},
		{"sensor without value", sensors(`{"pressure":{"unit":"hPa"}}`), reading, "sensors.pressure.value", "missing; want a number"},
		{"value null", sensors(`{"current":{"value":null}}`), reading, "sensors.current.value", "want a number, got null"},
		{"value text", sensors(`{"temperature":{"value":"25.6"}}`), reading, "sensors.temperature.value", "want a number, got a string"},
		{"value boolean", sensors(`{"temperature":{"value":false}}`), reading, "sensors.temperature.value", "want a number, got a boolean"},
		{"value object", sensors(`{"temperature":{"value":{}}}`), reading, "sensors.temperature.value", "want a number, got an object"},
		{"value 1e999", sensors(`{"temperature":{"value":1e999}}`), reading, "sensors.temperature.value", "want a finite number, got 1e999"},
		{"unit array", sensors(`{"temperature":{"value":1,"unit":[]}}`), reading, "sensors.temperature.unit", "want a string, got an array"},
		{"switch number", sensors(`{"switch_status":{"value":1}}`), reading, "sensors.switch_status.value", "want true or false, got a number"},
		{"switch null", sensors(`{"switch_status":{"value":null}}`), reading, "sensors.switch_status.value", "want true or false, got null"},
		{"switch without value", sensors(`{"switch_status":{}}`), reading, "sensors.switch_status.value", "missing; want true or false"},
		{"switch array", sensors(`{"switch_status":[]}`), reading, "sensors.switch_status", "want an object, got an array"},
		{"first refusal counts", `{"timestamp":-1,"device_id":5}`, stamp, "timestamp", "-1 is outside 1970-01-01 to 2100-01-01; want milliseconds since 1970"},
		{"type before repetition", with(`{"device_id"`, `{"device_id":1,"device_id"`), reading, "device_id", "want a string, got a number"},
		{"syntax before repetition", with(`{"device_id"`, `{"device_id":"x","device_id"`) + "x", syntax, "", "byte 102: want nothing after the reading, got 'x'"},
		{"repetition before absence", `{"x":1,"x":2}`, twice, "x", "the key occurs twice in one object"},
	}
}

func refusalSeeds() []string {
	var seeds []string
	for _, tt := range refusalTests() {
		if len(tt.raw) < 2000 {
			seeds = append(seeds, tt.raw)
		}
	}
	return seeds
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range refusalTests() {
		t.Run(tt.name, func(t *testing.T) {
			var r telemetry.Reading
			var got *telemetry.Refusal
			require.ErrorAs(t, wire.DecodeReading([]byte(tt.raw), &r, nil), &got)
			require.Equal(t, telemetry.Refusal{Reason: tt.reason, Field: tt.field, Message: tt.message}, *got)
			require.False(t, checkDecode(t, []byte(tt.raw)))
		})
	}
}

// TestDecodeEveryDamage cuts the sample at every length and puts every byte in
// every place.
func TestDecodeEveryDamage(t *testing.T) {
	raw := sampleText(t)
	for i := range raw {
		checkDecode(t, raw[:i])
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		data := append([]byte(nil), raw...)
		for range 1 + r.IntN(2) {
			data[r.IntN(len(data))] = `{}[]",:\/u0129.eE+-tfn`[r.IntN(22)]
		}
		checkDecode(t, data)
	}
}

// TestNumbersLikeStrconv reads numbers of every size and precision.
func TestNumbersLikeStrconv(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		digits := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		for range r.IntN(3) * r.IntN(3) {
			digits += strconv.Itoa(r.IntN(1000))
		}
		s := digits
		if r.IntN(2) == 0 {
			s += "." + strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		}
		if r.IntN(2) == 0 {
			s += fmt.Sprintf("e%d", r.IntN(700)-350)
		}
		if r.IntN(2) == 0 {
			s = "-" + s
		}
		checkDecode(t, []byte(with(`"sensors":{}`, `"sensors":{"current":{"value":`+s+`}}`)))
	}
}

func TestDecodeAllocatesOnce(t *testing.T) {
	raw := sampleText(t)
	var r telemetry.Reading
	var l wire.Layout
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if err := wire.DecodeReading(raw, &r, &l); err != nil {
			t.Error(err)
		}
	}), 1.0)
}
