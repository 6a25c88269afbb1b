package mapping

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// sensorsOf maps a payload with one mapping of topic a/{id} and returns "name=value unit …"
// of its only reading, and the refusal.
func sensorsOf(t *testing.T, m *Mapper, payload string) (string, *telemetry.Refusal) {
	t.Helper()
	r := m.Map(Topics, "a/d1", []byte(payload), received)
	require.NotNil(t, r)
	defer r.Release()
	if len(r.Readings) == 0 {
		return "", r.Refusal
	}
	require.Len(t, r.Readings, 1)
	var back telemetry.Reading
	require.NoError(t, wire.DecodeReading(r.Readings[0].Payload, &back, nil))
	var list []string
	for _, s := range back.Sensors {
		v := fmt.Sprint(s.Number)
		switch s.Kind {
		case telemetry.Text:
			v = s.Text
		case telemetry.Bool:
			v = fmt.Sprint(s.Number == 1)
		case telemetry.Number:
		}
		list = append(list, strings.TrimSpace(s.Name+"="+v+" "+s.Unit))
	}
	return strings.Join(list, ","), r.Refusal
}

func TestSensors(t *testing.T) {
	for _, tt := range []struct {
		name, sensor, payload string
		want, problem         string
	}{
		{"a number", "{name: t, path: a.b, unit: V}", `{"a":{"b":1.5}}`, "t=1.5 V", ""},
		{"the first path that has a value", "{name: t, path: [a, b]}", `{"a":null,"b":2}`, "t=2", ""},
		{"scale and offset", "{name: t, path: a, scale: 0.1, offset: -40}", `{"a":617}`, "t=21.700000000000003", ""},
		{"a scale that divides", "{name: t, path: a, scale: 0.1}", `{"a":217}`, "t=21.7", ""},
		{"a large scale", "{name: t, path: a, scale: 3}", `{"a":7}`, "t=21", ""},
		{"a number in a text", "{name: t, path: a, kind: number}", `{"a":" 21.5 "}`, "t=21.5", ""},
		{"a text", "{name: t, path: a}", `{"a":"自动"}`, "t=自动", ""},
		{"a number as a text", "{name: t, path: a, kind: text}", `{"a":007.5e0}`, "", "invalid_json"},
		{"a number asked for as a text", "{name: t, path: a, kind: text}", `{"a":7.50}`, "t=7.50", ""},
		{"a boolean", "{name: t, path: a}", `{"a":true}`, "t=true", ""},
		{"a word as a boolean", "{name: t, path: a, kind: bool}", `{"a":"Off"}`, "t=false", ""},
		{"1 as a boolean", "{name: switch_status, path: a}", `{"a":1}`, "switch_status=true", ""},
		{"2 as a boolean", "{name: switch_status, path: a}", `{"a":2}`, "", `sensors.switch_status: mapping x: want true or false, got "2"`},
		{"a contract number in a text", "{name: temperature, path: a}", `{"a":"21.5"}`, "temperature=21.5", ""},
		{"a contract number that is none", "{name: temperature, path: a}", `{"a":"warm"}`, "", `sensors.temperature: mapping x: want a number, got "warm"`},
		{"mapped", "{name: t, path: a, map: {open: true, shut: false}}", `{"a":"open"}`, "t=true", ""},
		{"mapped number", "{name: t, path: a, map: {\"3\": auto}}", `{"a":3}`, "t=auto", ""},
		{"mapped to nothing", "{name: t, path: a, map: {nan: null}}", `{"a":"nan"}`, "", "sensors: mapping x: the message has none of its sensors"},
		{"a unit of the message", "{name: t, path: a, unit: C, unit_path: u}", `{"a":1,"u":"F"}`, "t=1 F", ""},
		{"no unit in the message", "{name: t, path: a, unit: C, unit_path: u}", `{"a":1}`, "t=1 C", ""},
		{"a constant", "{name: t, value: 5}", `{}`, "t=5", ""},
		{"a name of the topic", "{name: \"t_{id}\", path: a}", `{"a":1}`, "t_d1=1", ""},
		{"a name of the message", "{name: \"{.k}\", path: a}", `{"a":1,"k":"Oil Level"}`, "oil_level=1", ""},
		{"all", "{all: v, except: [z], units: {b: V}}", `{"v":{"b":1,"on":false,"Mode":"a","z":1,"n":null,"o":{},"l":[1],"long":"` + strings.Repeat("x", 65) + `"}}`, "b=1 V,on=false,mode=a", ""},
		{"an object", "{name: t, path: a}", `{"a":{}}`, "", "sensors.t: mapping x: want a number, true, false or a short text, got an object or a list"},
		{"a long text", "{name: t, path: a}", `{"a":"` + strings.Repeat("x", 65) + `"}`, "", "a text of 65 bytes; want at most 64"},
		{"too large", "{name: t, path: a, scale: 1.0e+300}", `{"a":1e300}`, "", "is too large"},
		{"infinite", "{name: t, path: a}", `{"a":1e999}`, "", "is too large"},
		{"nothing", "{name: t, path: a}", `{"b":1}`, "", "invalid_mapping: sensors: mapping x: the message has none of its sensors"},
		{"not JSON", "{name: t, path: a}", `on`, "", "invalid_json: the message is not JSON, as mapping x wants; see format: value"},
		{"empty", "{name: t, path: a}", " \n", "", "empty_message"},
		{"not UTF-8", "{name: t, path: a}", "{\"a\":\"\xff\"}", "", "invalid_utf8"},
		{"a NUL", "{name: t, path: a}", `{"a":"\u0000"}`, "", "invalid_"},
		{"deep", "{name: t, path: a}", strings.Repeat("[", 65) + strings.Repeat("]", 65), "", "too_deep"},
		{"brackets in a text are not deep", "{name: t, path: a}", `{"a":1,"b":"` + strings.Repeat(`[\"`, 65) + `"}`, "t=1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, refusal := sensorsOf(t, mapperWith(t, sensor(tt.sensor)), tt.payload)
			require.Equal(t, tt.want, got)
			if tt.problem == "" {
				require.Nil(t, refusal)
			} else {
				require.NotNil(t, refusal)
				require.Contains(t, refusal.Error(), tt.problem)
			}
		})
	}
}

// TestABadSensorCostsItselfAlone checks that the rest is stored, and that the message is
// kept as a dead letter too: nothing of it is lost.
func TestABadSensorCostsItselfAlone(t *testing.T) {
	m := mapperWith(t, file("topic: a/{id}", `device: "{id}"`, "device_info: {battery: b}", "location: {floor: '{.f}'}", "sensors: [{name: t, path: t}, {name: u, path: u, kind: bool}]"))
	got, refusal := sensorsOf(t, m, `{"t":1,"u":"maybe","b":"low","f":"ground"}`)
	require.Equal(t, "t=1", got)
	require.Equal(t, `invalid_mapping: location.floor: mapping x: want a whole number, got "ground"; the rest is stored (and 2 more)`, refusal.Error())
	got, refusal = sensorsOf(t, m, `{"t":1,"u":"yes","b":"80","f":"3"}`)
	require.Equal(t, "t=1,u=true", got)
	require.Nil(t, refusal)
}

func TestTimestamps(t *testing.T) {
	for _, tt := range []struct {
		name, clock, value string
		want               int64 // 0: refused
	}{
		{"ms", "{path: t}", "1795685400123", 1795685400123},
		{"s", "{path: t, format: s}", "1795685400.1234", 1795685400123},
		{"us", "{path: t, format: us}", "1795685400123456", 1795685400123},
		{"ns in a text", "{path: t, format: ns}", `"1795685400123456789"`, 1795685400123},
		{"a clock that starts in 1970", "{path: t, format: s}", "60", 60_000},
		{"a zone", "{path: t, format: rfc3339}", `"2026-11-26T17:30:00.5+08:00"`, 1795685400500},
		{"no zone", "{path: t, format: rfc3339}", `"2026-11-26T17:30:00"`, 0},
		{"local", "{path: t, format: rfc3339, zone: Asia/Shanghai}", `"2026-11-26T17:30:00"`, 1795685400000},
		{"local with a space", "{path: t, format: rfc3339, zone: Asia/Shanghai}", `"2026-11-26 17:30:00"`, 1795685400000},
		{"a zone before that of the mapping", "{path: t, format: rfc3339, zone: Asia/Shanghai}", `"2026-11-26T09:30:00Z"`, 1795685400000},
		{"absent", "{path: u}", "1", received.UnixMilli()},
		{"null", "{path: t}", "null", received.UnixMilli()},
		{"a number for a text", "{path: t, format: rfc3339}", "5", 0},
		{"no number", "{path: t}", `"now"`, 0},
		{"seconds taken for ms", "{path: t}", "1795685400", 0},
		{"far", "{path: t}", "9e18", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mapperWith(t, plain("timestamp: "+tt.clock))
			r := m.Map(Topics, "a/d1", []byte(`{"t":`+tt.value+`,"t2":1}`), received)
			defer r.Release()
			if tt.want == 0 {
				require.Empty(t, r.Readings)
				require.Equal(t, telemetry.ReasonInvalidTimestamp, r.Refusal.Reason)
				require.Equal(t, "timestamp", r.Refusal.Field)
				return
			}
			if tt.value == "null" {
				require.Empty(t, r.Readings, "no sensor either")
				return
			}
			var back telemetry.Reading
			require.NoError(t, wire.DecodeReading(r.Readings[0].Payload, &back, nil))
			require.Equal(t, tt.want, back.Timestamp)
		})
	}
}

func TestListsGiveOneReadingEach(t *testing.T) {
	m := mapperWith(t, file("topic: a", `device: "{k}-{$.id}"`, "each: [{path: list, key: k}, '@this']", "timestamp: {path: ts}", "sensors: [{name: t, path: t}]"))
	got := outcome(t, m, "a", []byte(`{"id":"z","list":{"b":[{"t":1,"ts":1},{"t":2,"ts":2}],"c":{"t":3,"ts":3},"d":[]}}`))
	require.Equal(t, 3, strings.Count(got, `"building":"A栋"`), got)
	for _, part := range []string{`"device_id":"b-z","timestamp":1,`, `"device_id":"b-z","timestamp":2,`, `"device_id":"c-z","timestamp":3,`} {
		require.Contains(t, got, part)
	}
	got = outcome(t, m, "a", []byte(`{"id":"z","list":[{"t":1},{"t":"x"},{"u":3}]}`))
	require.Contains(t, got, `"device_id":"0-z"`)
	require.Contains(t, got, `"device_id":"1-z"`)
	require.Contains(t, got, "a part of the message has none of its sensors")
	require.Contains(t, outcome(t, m, "a", []byte(`{"id":"z"}`)), "the message has none of its sensors")
}

func TestMessagesAreBounded(t *testing.T) {
	m := mapperWith(t, file("topic: a", "device: d", "each: [list, $.list, $.list]", "sensors: [{name: t, path: '@this'}]"))
	payload := `{"list":[` + strings.Repeat("1,", 99) + `1]}` // a million entries
	r := m.Map(Topics, "a", []byte(payload), received)
	defer r.Release()
	require.Len(t, r.Readings, MaxReadings)
	require.Equal(t, telemetry.ReasonTooLarge, r.Refusal.Reason)

	bad := m.Map(Topics, "a", []byte(`{"list":[`+strings.Repeat("{},", 99)+`{}]}`), received)
	defer bad.Release()
	require.Empty(t, bad.Readings)
	require.Equal(t, MaxReadings+1, bad.parts, "it stops")

	large := m.Map(Topics, "a", make([]byte, MaxBytes+1), received)
	defer large.Release()
	require.Equal(t, telemetry.ReasonTooLarge, large.Refusal.Reason)

	m = mapperWith(t, file("topic: a/{id}", "device: d", "each: list", "location: {room: '{$.room}'}", "sensors: [{name: t, path: '@this'}]"))
	payload = `{"room":"` + strings.Repeat("x", 60_000) + `","list":[` + strings.Repeat("1,", 99) + `1]}`
	r = m.Map(Topics, "a/d1", []byte(payload), received)
	defer r.Release()
	require.Less(t, len(r.Readings), 10)
	require.LessOrEqual(t, len(r.buf), maxOutput+wire.MaxReadingBytes)
	require.Equal(t, telemetry.ReasonTooLarge, r.Refusal.Reason)

	var members strings.Builder
	for i := range 70 {
		fmt.Fprintf(&members, `"s%d":%d,`, i, i)
	}
	_, refusal := sensorsOf(t, mapperWith(t, sensor("{all: '@this'}")), "{"+members.String()+`"x":1}`)
	require.Contains(t, refusal.Error(), "more than 64 sensors; the rest is stored (and 6 more)")
}

func TestPlaces(t *testing.T) {
	m := mapperWith(t, file("topic: [{filter: 'a/{id}', location: {building: B栋, floor: 2, room: '{id}-room'}}]", `device: "{id}"`,
		"location: {room: '{.room}', floor: '{.floor}'}", "sensors: [{name: t, path: t}]"))
	require.Contains(t, outcome(t, m, "a/d1", []byte(`{"t":1}`)), `"location":{"building":"B栋","floor":2,"room":"d1-room"}`)
	require.Contains(t, outcome(t, m, "a/d1", []byte(`{"t":1,"room":301,"floor":-1}`)), `"location":{"building":"B栋","floor":-1,"room":"301"}`)
	require.Contains(t, outcome(t, mapperWith(t, plain()), "a/d1", []byte(`{"t":1}`)), `"location":{"building":"A栋","floor":0,"room":""}`)
	require.Contains(t, outcome(t, mapperWith(t, file("topic: a", `device: "{.id}"`, "sensors: [{name: t, path: t}]")), "a", []byte(`{"t":1}`)),
		"invalid_device_id: device: mapping x: a part of the device id is missing")
}

func TestPresence(t *testing.T) {
	m := mapperWith(t, file("topic: a/{id}", `device: "{id}"`, "presence: {path: s, map: {up: true, down: false}}", "sensors: [{name: t, path: t}]"))
	require.Contains(t, outcome(t, m, "a/d1", []byte(`{"s":"down"}`)), `"sensors":{},"presence":"offline"}`)
	require.Equal(t, "ignored", outcome(t, m, "a/d1", []byte(`{"s":"up"}`)))
	require.Contains(t, outcome(t, m, "a/d1", []byte(`{"s":"up","t":1}`)), `"t":{"value":1}`)
	m = mapperWith(t, file("topic: a/{id}", "format: value", `device: "{id}"`, "presence: {map: {up: true, down: false}}"))
	require.Contains(t, outcome(t, m, "a/d1", []byte(`sideways`)), `invalid_mapping: presence: mapping x: want true or false, got "sideways"`)
}

func TestDeviceIDsStayDifferent(t *testing.T) {
	ids := map[string]string{}
	for name, want := range map[string]string{
		"0x00158d0001ab": "0x00158d0001ab", "hall-1": "hall-1", "a b": "a_b_", "a.b": "a_b_", "a  b": "a_b_", "a_b": "a_b", "客厅": "__", "卧室": "__",
		strings.Repeat("x", 64): strings.Repeat("x", 64), strings.Repeat("x", 65): strings.Repeat("x", 55) + "_", strings.Repeat("x", 66): strings.Repeat("x", 55) + "_",
	} {
		got := string(appendDeviceID(nil, []byte(name)))
		require.True(t, telemetry.ValidDeviceID(got), got)
		require.True(t, strings.HasPrefix(got, want), got)
		require.Empty(t, ids[got], "%s and %s are one device", name, ids[got])
		ids[got] = name
	}
}

func TestSensorNames(t *testing.T) {
	for name, want := range map[string]string{
		"co2": "co2", "CO2": "co2", "oilLevel": "oil_level", "Inputs/Oil Temp": "inputs_oil_temp", "PM2.5": "pm2_5", "2nd": "s_2nd", "_x_": "x", "AM2301": "am2301",
		strings.Repeat("x", 33): "xxxxxxxxxxxxxxxxxxxxxxx_",
		"温度":                    "s_", "Température": "temp_rature_", "": "s_",
	} {
		got := sensorName(name)
		require.True(t, telemetry.ValidSensorName(got), got)
		require.True(t, got == want || strings.HasSuffix(want, "_") && strings.HasPrefix(got, want) && len(got) == len(want)+8, "%s is %s", name, got)
	}
	require.NotEqual(t, sensorName("温度"), sensorName("湿度"))
}

func TestTopics(t *testing.T) {
	set, err := Load([]byte(`mappings:
  - {id: one, topic: "a/{x}/c", format: ignore}
  - {id: two, topic: ["a/b/c", "a/#", "s{x}e/+"], format: ignore}
  - {id: three, topic: "+/d", format: ignore}
  - {id: four, topic: "/lead", format: ignore}
  - {id: five, topic: "#", format: ignore}
`), building)
	require.NoError(t, err)
	var s scratch
	for topic, want := range map[string]string{
		"a/b/c": "one", "a/b": "two", "a": "two", "a/d": "two", "x/d": "three", "/lead": "four", "lead": "five", "smile/1": "two", "se/1": "two", "sm/1": "five",
		"$SYS/x": "", "": "", strings.Repeat("x/", 31) + "x": "five", strings.Repeat("x/", 32) + "x": "",
	} {
		r := set.match(Topics, topic, &s)
		if want == "" {
			require.Nil(t, r, topic)
			continue
		}
		require.NotNil(t, r, topic)
		require.Equal(t, want, r.mapping.ID, topic)
	}
	require.Equal(t, "one", set.match(Subjects, "a.b.c", &s).mapping.ID)
	require.Equal(t, "b", s.capture("x"))
	set.match(Topics, "smile/1", &s)
	require.Equal(t, "mil", s.capture("x"))
	require.Equal(t, []string{"a.*.c", "a.b.c", "a", "a.>", "*.*", "*.d"}, set.Subjects(), "none for a topic with an empty level, nor for every topic")
}

// TestSubjectsHaveDotsInNames has a topic whose level has a dot, which is two tokens.
func TestSubjectsHaveDotsInNames(t *testing.T) {
	set, err := Load([]byte(file("topic: spBv1.0/{g}/x", "format: ignore")), building)
	require.NoError(t, err)
	require.Equal(t, []string{"spBv1.0.*.x"}, set.Subjects())
	var s scratch
	require.NotNil(t, set.match(Subjects, "spBv1.0.plant.x", &s))
	require.Equal(t, "plant", s.capture("g"))
}
