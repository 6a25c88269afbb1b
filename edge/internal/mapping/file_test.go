package mapping

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/yamldoc"
)

// file returns a file with one mapping of these lines.
func file(lines ...string) string {
	return "mappings:\n  - id: x\n    " + strings.Join(lines, "\n    ") + "\n"
}

// plain returns a mapping that is complete, with more lines.
func plain(lines ...string) string {
	return file(append([]string{"topic: a/{id}", `device: "{id}"`, "sensors: [{name: t, path: t}]"}, lines...)...)
}

// sensor returns a mapping with one sensor.
func sensor(s string) string {
	return file("topic: a/{id}", `device: "{id}"`, "sensors:", "  - "+s)
}

func TestFiles(t *testing.T) {
	s := schema(t)
	for _, tt := range []struct {
		name, file string
		problem    string // empty: a good file
		goOnly     bool   // the schema cannot check it
	}{
		{"no mappings", "mappings: []\n", "", false},
		{"a mapping", plain(), "", false},
		{"all there can be", plain(`location: {building: B栋, floor: 3, room: "{.room}"}`, "timestamp: {path: [ts, time], format: rfc3339, zone: Europe/Berlin}",
			`device_info: {model: "m {.m}", firmware: "{$.fw}", battery: b, signal_strength: [r, s]}`, "each: [{path: list, key: k}, '@this']",
			"presence: {path: on, map: {y: true, n: false}}", "empty: ignore"), "", false},
		{"a sensor with all there can be", sensor(`{name: "t_{id}", path: [a, b], unit: V, unit_path: u, kind: number, scale: 0.1, offset: -40, map: {x: null, y: 1}, units: {t_1: mV}}`), "", false},
		{"a constant", sensor("{name: t, value: 5}"), "", false},
		{"all members", sensor("{all: '@this', except: [a, b], units: {t: °C}}"), "", false},
		{"topics with places", file("topic: ['a/{id}', {filter: 'b/{id}/{r}', location: {room: '{r}', floor: -1}}]", `device: "{id}"`, "sensors: [{name: t, path: t}]"), "", false},
		{"sparkplug", file("topic: spBv1.0/#", "format: sparkplug_b"), "", false},
		{"presence alone", file("topic: a/{id}", "format: value", `device: "{id}"`, "presence: {map: {on: true, off: false}}"), "", false},
		{"ignore", file("topic: a/#", "format: ignore"), "", false},

		{"not YAML", "mappings: [", "line 1: this is not YAML", false},
		{"unknown key", "mapping: []\nmappings: []\n", "line 1: mapping: unknown field", false},
		{"no id", "mappings:\n  - topic: a\n    format: ignore\n", "line 2: mappings[0].id: missing", false},
		{"bad id", "mappings:\n  - id: a b\n    topic: a\n    format: ignore\n", `mappings[0].id: "a b": want 1 to 64`, false},
		{"an id twice", file("topic: a", "format: ignore") + "  - id: x\n    topic: b\n    format: ignore\n", `line 5: mappings[1].id: "x" is the id of the mapping in line 2 too`, true},
		{"no topic", file("format: ignore"), "line 2: mappings[0].topic: missing", false},
		{"no topics", file("topic: []", "format: ignore"), "line 3: mappings[0].topic: 0 topics; want 1 to 64", false},
		{"a contract topic", file("topic: devices/{id}/telemetry", "format: ignore"), "line 3: mappings[0].topic: devices/… is for readings of the contract", true},
		{"a server topic", file("topic: $SYS/#", "format: ignore"), "line 3: mappings[0].topic: topics that start with $", true},
		{"half a wildcard", file("topic: a/b+", "format: ignore"), `want + or {name} as a whole level`, true},
		{"hash in the middle", file("topic: a/#/b", "format: ignore"), `want + or {name} as a whole level`, true},
		{"a capture twice", file("topic: '{a}/{a}'", "format: ignore"), "{a} occurs twice", true},
		{"two captures in a level", file("topic: '{a}-{b}'", "format: ignore"), "want one {name} in a level", true},
		{"a bad capture", file("topic: '{A}'", "format: ignore"), "{A}: want a name of a-z", true},
		{"unknown format", file("topic: a", "format: xml"), `line 4: mappings[0].format: "xml": want json, value, sparkplug_b or ignore`, false},
		{"ignore with more", file("topic: a", "format: ignore", "device: d"), "line 5: mappings[0].device: unknown field", false},
		{"no device", file("topic: a", "sensors: [{name: t, path: t}]"), "line 2: mappings[0].device: missing", false},
		{"unknown capture", file("topic: a/{id}", `device: "{node}"`, "sensors: [{name: t, path: t}]"), "line 4: mappings[0].device: {node} is not in the topic a/{id}", true},
		{"a capture that one topic lacks", file("topic: ['a/{id}', b]", `device: "{id}"`, "sensors: [{name: t, path: t}]"), "{id} is not in the topic b", true},
		{"an open brace", file("topic: a", `device: "{id"`, "sensors: [{name: t, path: t}]"), `"{id": want {name}`, true},
		{"a closing brace", file("topic: a", `device: "id}"`, "sensors: [{name: t, path: t}]"), `} without {`, true},
		{"a path in a bare value", file("topic: a", "format: value", `device: "{.id}"`, "sensors: [{name: t}]"), "only a mapping of format json has paths", true},
		{"no sensors", file("topic: a", "device: d"), "line 2: mappings[0].sensors: missing", false},
		{"empty sensors", file("topic: a", "device: d", "sensors: []"), "line 5: mappings[0].sensors: 0 sensors; want 1 to 64", false},
		{"no name", sensor("{path: t}"), "line 6: mappings[0].sensors[0].name: missing", false},
		{"a bad name", sensor("{name: T-1, path: t}"), `line 6: mappings[0].sensors[0].name: "T-1": want a-z, 0-9 and _`, true},
		{"a name twice", file("topic: a", "device: d", "sensors: [{name: t, path: t}, {name: t, path: u}]"), `mappings[0].sensors[1].name: "t" is the name of another sensor too`, true},
		{"no path", sensor("{name: t}"), "line 6: mappings[0].sensors[0].path: want either path or value", true},
		{"path and value", sensor("{name: t, path: t, value: 1}"), "want either path or value", false},
		{"a path with a bare value", file("topic: a", "format: value", "device: d", "sensors: [{name: t, path: t}]"), "the payload is the value", false},
		{"two sensors of a bare value", file("topic: a", "format: value", "device: d", "sensors: [{name: t}, {name: u}]"), "2 sensors; want 1 to 1", false},
		{"scale 0", sensor("{name: t, path: t, scale: 0}"), "0 makes every value the same", false},
		{"scale is a text", sensor("{name: t, path: t, scale: x}"), `mappings[0].sensors[0].scale: "x": want a number`, false},
		{"a list in a map", sensor("{name: t, path: t, map: {a: [1]}}"), "map.a: a list: want a number, true, false, a text, or null", false},
		{"a unit that is none", sensor("{all: '@this', units: {t: 1}}"), "units.t: 1: want a unit", false},
		{"value is null", sensor("{name: t, value: null}"), "value: nothing: want a number", false},
		{"unknown kind", sensor("{name: t, path: t, kind: float}"), `"float": want number, bool or text`, false},
		{"timestamp without path", plain("timestamp: {format: s}"), "timestamp.path: missing", false},
		{"unknown zone", plain("timestamp: {path: t, format: rfc3339, zone: Mars}"), `zone: "Mars": want a zone`, true},
		{"zone of a number", plain("timestamp: {path: t, zone: Asia/Shanghai}"), "of a time in format rfc3339", true},
		{"four lists", plain("each: [a, b, c, d]"), "4 lists; want 1 to 3", false},
		{"a key that is taken", plain("each: {path: a, key: id}"), `each[0].key: "id": want a name`, true},
		{"presence without map", plain("presence: {path: a}"), "presence.map: missing", false},
		{"presence without path", plain("presence: {map: {a: true}}"), "presence.path: want a path", false},
		{"not a sparkplug topic", file("topic: sp/#", "format: sparkplug_b"), "want spBv1.0/#", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load([]byte(tt.file), building)
			bySchema := validate(s, []byte(tt.file))
			if tt.problem == "" {
				require.NoError(t, err, tt.file)
				require.NoError(t, bySchema)
				return
			}
			var all *yamldoc.Error
			require.ErrorAs(t, err, &all, tt.file)
			require.Contains(t, err.Error(), tt.problem)
			if tt.goOnly {
				require.NoError(t, bySchema)
			} else {
				require.Error(t, bySchema, "the schema accepts it: %v", err)
			}
		})
	}
}

// TestTheExampleInTheDocsIsValid checks the YAML of docs/mappings.md.
func TestTheExampleInTheDocsIsValid(t *testing.T) {
	text, err := os.ReadFile("../../../docs/mappings.md")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(text), "```yaml\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```")
	require.NoError(t, validate(schema(t), []byte(block)))
	_, err = Load([]byte(block), building)
	require.NoError(t, err)
}

func TestAMappingNeedsABuilding(t *testing.T) {
	_, err := Load([]byte(plain()), "")
	require.ErrorContains(t, err, "location.building: missing; want a building here, or in EDGE_BUILDING")
	for _, good := range []string{
		plain("location: {building: B栋}"),
		file("topic: {filter: 'a/{id}', location: {building: B栋}}", `device: "{id}"`, "sensors: [{name: t, path: t}]"),
		file("topic: a", "format: ignore"),
	} {
		_, err := Load([]byte(good), "")
		require.NoError(t, err)
	}
	_, err = Load([]byte(file("topic: [a, {filter: b, location: {building: B栋}}]", "device: d", "sensors: [{name: t, path: t}]")), "")
	require.Error(t, err, "the first topic has none")
}

func TestFilesAreBounded(t *testing.T) {
	_, err := Load([]byte(strings.Repeat("#", MaxFileBytes+1)), building)
	require.ErrorContains(t, err, "want at most 1048576")
	var b strings.Builder
	b.WriteString("mappings:\n")
	for i := range MaxMappings + 1 {
		fmt.Fprintf(&b, "  - {id: m%d, topic: t%d, format: ignore}\n", i, i)
	}
	_, err = Load([]byte(b.String()), building)
	require.ErrorContains(t, err, "257 mappings; want at most 256")
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(plain()))
	f.Add([]byte(file("topic: spBv1.0/#", "format: sparkplug_b")))
	f.Add([]byte(sensor("{all: '@this', units: {t: °C}}")))
	f.Add([]byte("mappings: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Load(data, building)
		if err != nil {
			var all *yamldoc.Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("%v is no list of problems", err)
			}
			return
		}
		require.LessOrEqual(t, len(set.Mappings), MaxMappings)
		set.Subjects()
	})
}
