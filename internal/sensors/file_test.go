package sensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/yamldoc"
)

const folder = "../../deploy/sensors/"

// schema is deploy/sensors/sensors.schema.json.
func schema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	s, err := jsonschema.NewCompiler().Compile(folder + "sensors.schema.json")
	require.NoError(tb, err)
	return s
}

// validate checks a YAML file against the schema.
func validate(s *jsonschema.Schema, file []byte) error {
	var v any
	if err := yaml.Unmarshal(file, &v); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestExample(t *testing.T) {
	data, err := os.ReadFile(folder + "sensors.example.yaml")
	require.NoError(t, err)
	s := schema(t)
	require.NoError(t, validate(s, data))
	require.NoError(t, validate(s, defaultFile), "default.yaml")
	c, err := Load(data)
	require.NoError(t, err)
	for _, field := range kindFields {
		require.Contains(t, string(data), field+":", "a field is not shown")
	}

	k := c.Kind("temperature")
	require.Equal(t, "炉温", k.Zh)
	require.Equal(t, "Temperature", k.En, "a field that the file does not have stays")
	require.InDelta(t, 1600, k.Max, 0)
	require.Same(t, Default().Kind("humidity"), c.Kind("humidity"))
	require.Equal(t, "bar", c.Kind("pressure").Unit)
	got, known := c.Convert("pressure", "kPa", 250)
	require.True(t, known)
	require.InDelta(t, 2.5, got, 1e-12)
	require.Nil(t, c.Kind("window"), "disabled")
	require.NotNil(t, Default().Kind("window"), "the built-in catalogue has not changed")
	require.Equal(t, "bottles", c.KindOf("line_3_bottles").Name)
	interval, ok := c.IntervalOf("EM300-TH")
	require.True(t, ok)
	require.Equal(t, 10*time.Minute, interval)
}

func TestFiles(t *testing.T) {
	kind := func(lines ...string) string {
		return "sensors:\n  - kind: x\n" + strings.Join(append([]string{""}, lines...), "\n    ") + "\n"
	}
	tests := []struct {
		name, file string
		problem    string // empty: a good file
		goOnly     bool   // the schema cannot check it
	}{
		{"nothing", "sensors: []\n", "", false},
		{"a version", "version: 1\nsensors: []\n", "", false},
		{"a kind with nothing else", kind(), "", false},
		{"an own unit", kind("unit: bottles/min"), "", false},
		{"all there can be", kind("unit: mm/s", "quantity: speed", "value: number", "zh: 甲", "en: A", "min: -1", "max: 2.5", "decimals: 0", "match: [y, \"x_*\"]", "disabled: false"), "", false},
		{"a gas", kind("unit: ppm", "molar_mass: 4.0026"), "", false},
		{"one match", kind("match: y"), "", false},
		{"a built-in kind's range", "sensors:\n  - {kind: temperature, max: 100}\n", "", false},
		{"a unit that belongs to two, one of them first", kind("unit: Hz"), "", false},
		{"models", "sensors: []\nmodels:\n  - {model: \"a*\", interval: 1h30m}\n", "", false},

		{"not YAML", "sensors: [", "line 1: this is not YAML", false},
		{"empty", "", "the file has 0 documents; want one with the key sensors", true},
		{"no list", "version: 1\n", "line 1: sensors: missing; want a list of sensors", false},
		{"wrong version", "version: 2\nsensors: []\n", "line 1: version: 2: want 1", false},
		{"unknown key", "sensors: []\nsensor: []\n", "line 2: sensor: unknown field; want one of version, sensors, models", false},
		{"a text", "sensors: [co2]\n", `line 1: sensors[0]: "co2": want keys and values`, false},
		{"no kind", "sensors:\n  - unit: A\n", "line 2: sensors[0].kind: missing; want a name of lower-case letters", false},
		{"bad kind", "sensors:\n  - kind: CO2\n", `line 2: sensors[0].kind: "CO2": want a name of lower-case letters, digits and _`, false},
		{"a kind twice", "sensors:\n  - kind: x\n  - kind: x\n", `line 3: sensors[1].kind: "x" is the kind in line 2 too`, true},
		{"unknown field", kind("uint: A"), "line 4: sensors[0].uint: unknown field; want one of kind, unit,", false},
		{"unknown value", kind("value: integer"), `line 4: sensors[0].value: "integer": want number, boolean or text`, false},
		{"minimum is a text", kind("min: low"), `line 4: sensors[0].min: "low": want a number`, false},
		{"maximum is infinite", kind("max: .inf"), "line 4: sensors[0].max: .inf: want a number", false},
		{"an empty range", kind("min: 5", "max: 5"), "line 5: sensors[0].max: 5: want more than min, 5", true},
		{"a minimum above the built-in maximum", "sensors:\n  - {kind: humidity, min: 200}\n", "line 2: sensors[0].min: 200: want less than max, 100", true},
		{"half a digit", kind("decimals: 1.5"), "line 4: sensors[0].decimals: 1.5: want a whole number from 0 to 9", false},
		{"too many digits", kind("decimals: 10"), "line 4: sensors[0].decimals: 10: want a whole number from 0 to 9", false},
		{"no mass", kind("molar_mass: 0"), "line 4: sensors[0].molar_mass: 0: want the mass of a mole", false},
		{"an empty name", kind(`zh: ""`), `line 4: sensors[0].zh: "": want a name`, false},
		{"a long name", kind("en: " + strings.Repeat("n", 65)), "line 4: sensors[0].en: 65 bytes; want at most 64", false},
		{"a name of two lines", kind(`zh: "a\nb"`), `line 4: sensors[0].zh: "a\nb": want no control characters`, false},
		{"a unit with a control character", kind(`unit: "a\u0000"`), `line 4: sensors[0].unit: "a\x00": want no control characters`, false},
		{"an empty unit", kind(`unit: ""`), `line 4: sensors[0].unit: "": want a unit`, false},
		{"a long unit", kind("unit: " + strings.Repeat("n", 65)), "line 4: sensors[0].unit: 65 bytes; want at most 64", false},
		{"bad match", kind("match: [Temp]"), `line 4: sensors[0].match: "Temp": want the name of a sensor`, false},
		{"match for all", kind(`match: "*"`), `line 4: sensors[0].match: "*": want the name of a sensor`, false},
		{"empty match", kind("match: []"), "line 4: sensors[0].match: the list is empty", false},
		{"unknown quantity", kind("quantity: heat"), `line 4: sensors[0].quantity: "heat": want temperature, ratio,`, false},
		{"unit of another quantity", kind("unit: bar", "quantity: speed"), `line 5: sensors[0].unit: "bar": want a unit of speed: m/s,`, true},
		{"a gas in bar", kind("unit: bar", "molar_mass: 28"), `line 4: sensors[0].unit: "bar": want a unit of gas: %, 1, ‰, ppm`, true},
		{"unit of two quantities", kind("unit: g"), `line 4: sensors[0].unit: "g" is a unit of acceleration and of mass; want the field quantity to say which`, true},
		{"a sensor of the contract that is off", "sensors:\n  - {kind: humidity, disabled: true}\n", "line 2: sensors[0].disabled: true: humidity is one of the sensors that are always known", true},
		{"a sensor of the contract of another quantity", "sensors:\n  - {kind: temperature, unit: bar}\n", `line 2: sensors[0].unit: "bar": want a unit of temperature: °C, °F, K, °R`, true},
		{"a sensor of the contract without conversion", "sensors:\n  - {kind: current, unit: elephants}\n", `line 2: sensors[0].unit: "elephants": want a unit of current: A, mA`, true},
		{"a switch that is a number", "sensors:\n  - {kind: switch_status, value: number}\n", "line 2: sensors[0].value: number: switch_status is always a boolean", true},
		{"a temperature in °F", "sensors:\n  - {kind: temperature, unit: °F, min: -40}\n", "", false},
		{"a model without an interval", "sensors: []\nmodels: [{model: a}]\n", "line 2: models[0].interval: missing; want a time", false},
		{"an interval without a unit", "sensors: []\nmodels: [{model: a, interval: 600}]\n", "line 2: models[0].interval: 600: want a time with its unit", false},
		{"too short an interval", "sensors: []\nmodels: [{model: a, interval: 10ms}]\n", "line 2: models[0].interval: 10ms: want 1s to 168h0m0s", true},
		{"no model", "sensors: []\nmodels: [{interval: 10m}]\n", "line 2: models[0].model: missing; want a model", false},
		{"unknown field of a model", "sensors: []\nmodels: [{model: a, interval: 1m, x: 1}]\n", "line 2: models[0].x: unknown field", false},
		{"models no list", "sensors: []\nmodels: 7\n", "line 2: models: 7: want a list", false},
	}
	s := schema(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load([]byte(tt.file))
			bySchema := validate(s, []byte(tt.file))
			if tt.problem == "" {
				require.NoError(t, err)
				require.NoError(t, bySchema)
				require.NotNil(t, c.Kind("co2"))
				return
			}
			require.Nil(t, c)
			var all *yamldoc.Error
			require.ErrorAs(t, err, &all, tt.file)
			require.Contains(t, err.Error(), tt.problem)
			if !tt.goOnly {
				require.Error(t, bySchema, "the schema lets it pass")
			}
		})
	}
}

func TestTooMuch(t *testing.T) {
	_, err := Load(bytes.Repeat([]byte("#"), MaxBytes+1))
	require.ErrorContains(t, err, "want at most")
	list := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	_, err = Load([]byte("sensors:\n" + list(MaxKinds+1, "  - kind: k%d\n")))
	require.ErrorContains(t, err, "1001 sensors; want at most 1000")
	_, err = Load([]byte("sensors: []\nmodels:\n" + list(maxModels+1, "  - {model: m%d, interval: 1m}\n")))
	require.ErrorContains(t, err, "line 3: models: 1001 models; want at most 1000")
	_, err = Load([]byte("sensors:\n  - kind: x\n    match: [" + list(maxMatches+1, "m%d,") + "]\n"))
	require.ErrorContains(t, err, "line 3: sensors[0].match: 51 names; want at most 50")
}

// TestLaterEntryHasTheName is how a file takes a name from a built-in kind.
func TestLaterEntryHasTheName(t *testing.T) {
	c, err := Load([]byte(`sensors:
  - {kind: boiler, unit: bar, match: [temp, "temperature_*"]}
  - {kind: hall, match: [humidity]}
`))
	require.NoError(t, err)
	require.Equal(t, "boiler", c.KindOf("temp").Name)
	require.Equal(t, "boiler", c.KindOf("temperature_1_x").Name, "of equal patterns the later one")
	require.Equal(t, "temperature", c.KindOf("temperature").Name)
	require.Equal(t, "humidity", c.KindOf("humidity").Name, "a kind's own name comes first")
}

func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(folder + "sensors.example.yaml")
	require.NoError(f, err)
	f.Add(example)
	f.Add([]byte("sensors: [{kind: x, unit: g, quantity: mass}]\nmodels: [{model: m, interval: 1m}]"))
	f.Add([]byte("sensors: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Load(data)
		if err != nil {
			var all *yamldoc.Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("%v is no list of problems", err)
			}
			return
		}
		for _, k := range c.Kinds() {
			if v, known := k.Convert(k.Unit, 1); !known || v != 1 {
				t.Fatalf("%s: 1 %q became %v", k.Name, k.Unit, v)
			}
		}
	})
}
