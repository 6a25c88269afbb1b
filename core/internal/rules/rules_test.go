package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/yamldoc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const folder = "../../../deploy/rules/"

// schema is deploy/rules/rules.schema.json.
func schema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	s, err := jsonschema.NewCompiler().Compile(folder + "rules.schema.json")
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

func example(tb testing.TB) []byte {
	tb.Helper()
	data, err := os.ReadFile(folder + "rules.example.yaml")
	require.NoError(tb, err)
	return data
}

// load loads a file with the built-in catalogue of sensors.
func load(data []byte) (alarm.RuleSet, error) { return Load(data, sensors.Default()) }

func TestExample(t *testing.T) {
	data := example(t)
	require.NoError(t, validate(schema(t), data))
	set, err := load(data)
	require.NoError(t, err)
	kinds := map[alarm.Kind]bool{}
	for _, r := range set.Rules {
		kinds[r.If.Kind] = true
	}
	for kind := range kindFields {
		if kind != alarm.Low && kind != alarm.LowLow {
			require.True(t, kinds[kind], "%s is not shown", kind)
		}
	}
	_, err = alarm.Compile(set)
	require.NoError(t, err)
	require.Equal(t, alarm.Rule{
		ID: "temperature_high", Severity: telemetry.SeverityHigh, OnDelay: 10 * time.Second, OffDelay: 30 * time.Second,
		If: alarm.Condition{Kind: alarm.High, Parameter: telemetry.Temperature, Limit: 75, Deadband: 3},
	}, set.Rules[0])
	require.Equal(t, alarm.Where{Buildings: []string{"A栋", "B栋"}, Floors: []int{1}, Devices: []string{"cold_*"}}, set.Rules[2].Where)
	last := set.Rules[len(set.Rules)-1]
	require.True(t, last.Disabled)
	require.Equal(t, "humidity_high", last.ID)
}

// TestFormatIsReadBack: a formatted rule parses to the same rule.
func TestFormatIsReadBack(t *testing.T) {
	set, err := load(example(t))
	require.NoError(t, err)
	compiled, err := alarm.Compile(set)
	require.NoError(t, err)
	for _, r := range append(set.Rules, compiled.All()...) {
		text := "rules:\n" + Format(r)
		back, err := load([]byte(text))
		require.NoError(t, err, text)
		require.NoError(t, validate(schema(t), []byte(text)), text)
		require.Len(t, back.Rules, 1)
		require.Equal(t, r.Version(), back.Rules[0].Version(), text)
	}
}

func TestFiles(t *testing.T) {
	rule := func(lines ...string) string {
		return "rules:\n  - id: x\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	high := []string{"kind: high", "parameter: temperature", "limit: 80"}
	with := func(lines ...string) string { return rule(append(slices.Clip(high), lines...)...) }
	tests := []struct {
		name, file string
		problem    string // empty: a good file
		goOnly     bool   // the schema cannot check it
	}{
		{"no rules", "rules: []\n", "", false},
		{"a version", "version: 1\nrules: []\n", "", false},
		{"one rule", with(), "", false},
		{"flow style", `{rules: [{id: x, kind: high, parameter: humidity, limit: 1.5}]}`, "", false},
		{"all there can be", with("deadband: 0", "on_delay: 1h30m", "off_delay: 500ms", "severity: critical", "type: hot", "disabled: false", "where: {building: A栋, floor: [-1, 2], model: [\"a*\"], device: d}"), "", false},
		{"both", rule("all:", "  - {kind: high, parameter: temperature, limit: 1}", "  - {kind: switch, is: on}"), "", false},
		{"either", rule("any:", "  - {kind: stuck, parameter: temperature, for: 10m}", "  - {kind: rate, parameter: temperature, limit: 1}", "on_delay: 1m"), "", false},
		{"any sensor", rule("kind: high", "parameter: co2", "limit: 1000"), "", false},
		{"any switch", rule("kind: switch", "parameter: door_open", "is: on"), "", false},
		{"a unit", rule("kind: high", "parameter: temperature", "limit: 176", "deadband: 3.6", "unit: °F"), "", false},
		{"a unit of a rate", rule("kind: rate", "parameter: pressure", "limit: 1", "unit: kPa"), "", false},
		{"a unit of a deviation", rule("kind: deviation", "parameter: temperature", "limit: 9", "unit: °F"), "", false},
		{"switched off", rule("disabled: true"), "", false},
		{"switched off with a severity", rule("disabled: true", "severity: low"), "", false},
		{"offline", rule("kind: offline", "on_delay: 5m"), "", false},
		{"a switch as true", rule("kind: switch", "is: true"), "", false},

		{"not YAML", "rules: [", "line 1: this is not YAML", false},
		{"empty", "", "the file has 0 documents; want one with the key rules", true},
		{"two documents", "rules: []\n---\nrules: []\n", "the file has 2 documents", true},
		{"a list", "- id: x\n", "line 1: a list: want keys and values", false},
		{"no key rules", "version: 1\n", "rules: missing; want a list of rules", false},
		{"rules no list", "rules: 5\n", "line 1: rules: 5: want a list", false},
		{"unknown key", "rules: []\nrule: []\n", "line 2: rule: unknown field; want one of version, rules", false},
		{"wrong version", "version: 2\nrules: []\n", "line 1: version: 2: want 1, the only version there is", false},
		{"a key twice", "rules: []\nrules: []\n", "line 2: ", false},
		{"rule is a text", "rules:\n  - temperature\n", `line 2: rules[0]: "temperature": want keys and values`, false},
		{"no id", "rules:\n  - kind: offline\n", "line 2: rules[0].id: missing; want a name of letters, digits, _ or -", false},
		{"bad id", "rules:\n  - id: too hot\n    kind: offline\n", `line 2: rules[0].id: "too hot": want 1 to 64 letters, digits, _ or -`, false},
		{"no kind", rule("limit: 5"), "line 2: rules[0].kind: missing; want high, high_high,", false},
		{"unknown kind", rule("kind: hihi", "limit: 5"), `line 3: rules[0].kind: "hihi": want high, high_high, low, low_low, rate, stuck, deviation, switch, battery_low, signal_weak, offline or anomaly`, false},
		{"limit is a text", rule("kind: high", "parameter: temperature", "limit: hot"), `line 5: rules[0].limit: "hot": want a number`, false},
		{"limit is quoted", rule("kind: high", "parameter: temperature", `limit: "80"`), `line 5: rules[0].limit: "80": want a number`, false},
		{"limit is infinite", rule("kind: high", "parameter: temperature", "limit: .inf"), "line 5: rules[0].limit: .inf: want a number", false},
		{"no limit", rule("kind: high", "parameter: temperature"), "line 2: rules[0].limit: missing; want a number", false},
		{"limit is nothing", rule("kind: high", "parameter: temperature", "limit:"), "line 5: rules[0].limit: nothing: want a number", false},
		{"bad parameter", rule("kind: high", "limit: 5", "parameter: Noise"), `line 5: rules[0].parameter: "Noise": want the name of a sensor, like temperature or co2`, false},
		{"no parameter", rule("kind: high", "limit: 5"), "line 2: rules[0].parameter: missing; want the name of a sensor, like temperature or co2", false},
		{"unknown unit", with("unit: Q"), `line 6: rules[0].unit: "Q": want a unit of temperature: °C, `, true},
		{"unit of another kind", with("unit: kPa"), `line 6: rules[0].unit: "kPa": want a unit of temperature: °C, `, true},
		{"unit of an unknown sensor", rule("kind: high", "parameter: zorb", "limit: 5", "unit: °C"), `line 6: rules[0].unit: zorb is not in the catalogue of sensors, so "°C" cannot be converted`, true},
		{"unit of a battery", rule("kind: battery_low", "limit: 5", "unit: V"), "line 5: rules[0].unit: unknown field", false},
		{"unit of one of two", rule("all:", "  - {kind: switch, is: on}", "  - {kind: low, parameter: current, limit: 300, unit: V}"), `line 5: rules[0].all[1].unit: "V": want a unit of current: A, `, true},
		{"unit is a number", with("unit: 5"), "line 6: rules[0].unit: 5: want a unit", false},
		{"bad name of a switch", rule("kind: switch", "parameter: Door", "is: on"), `line 4: rules[0].parameter: "Door": want the name of a sensor`, false},
		{"negative deadband", with("deadband: -1"), "line 6: rules[0].deadband: -1: want a finite number, 0 or more", false},
		{"unknown severity", with("severity: bad"), `line 6: rules[0].severity: "bad": want critical, high, medium or low`, false},
		{"field of another kind", with("window: 1m"), "line 6: rules[0].window: unknown field; want one of id, type, severity, where, on_delay, off_delay, disabled, kind, parameter, limit, deadband", false},
		{"time without unit", with("on_delay: 30"), "line 6: rules[0].on_delay: 30: want a time with its unit, like 30s, 5m or 1h30m", false},
		{"time in words", with(`off_delay: "a while"`), `line 6: rules[0].off_delay: "a while": want a time`, false},
		{"negative time", with(`on_delay: "-30s"`), `line 6: rules[0].on_delay: "-30s": want a time`, false},
		{"time too long", with("on_delay: 25h"), "line 6: rules[0].on_delay: 25h0m0s: want 0s to 24h", true},
		{"disabled is a text", with("disabled: perhaps"), `line 6: rules[0].disabled: "perhaps": want true or false`, false},
		{"rate of zero", rule("kind: rate", "parameter: current", "limit: 0"), "line 5: rules[0].limit: 0: want more than 0", false},
		{"rate with a window too short", rule("kind: rate", "parameter: current", "limit: 1", "window: 1s"), "line 6: rules[0].window: 1s: want 2s to 24h", true},
		{"rate in an odd unit", rule("kind: rate", "parameter: current", "limit: 1", "per: hour"), `line 6: rules[0].per: "hour": want second or minute`, false},
		{"stuck for no time", rule("kind: stuck", "parameter: current"), "line 2: rules[0].for: missing; want a time like 30s or 5m", false},
		{"no sensors", rule("kind: deviation", "parameter: current", "limit: 1", "sensors: 0"), "line 6: rules[0].sensors: 0: want a whole number of 1 or more", false},
		{"half a sensor", rule("kind: deviation", "parameter: current", "limit: 1", "sensors: 1.5"), "line 6: rules[0].sensors: 1.5: want a whole number", false},
		{"switch without a state", rule("kind: switch"), "line 2: rules[0].is: missing; want on or off", false},
		{"battery above 100", rule("kind: battery_low", "limit: 120"), "line 4: rules[0].limit: 120: want a percentage", false},
		{"strong signal", rule("kind: signal_weak", "limit: 85"), "line 4: rules[0].limit: 85: want dBm, less than 0", false},
		{"offline with a limit", rule("kind: offline", "limit: 85"), "line 4: rules[0].limit: unknown field", false},
		{"offline with an off-delay", rule("kind: offline", "off_delay: 5s"), "line 4: rules[0].off_delay: a rule of kind offline has none", false},
		{"one condition of two", rule("all:", "  - {kind: switch, is: on}"), "line 4: rules[0].all: 1 conditions; want two", false},
		{"both and either", rule("all: []", "any: []"), "line 4: rules[0].any: all is present too; want one of them", false},
		{"conditions and a kind", rule("kind: offline", "any:", "  - {kind: switch, is: on}", "  - {kind: switch, is: off}"), "line 3: rules[0].kind: unknown field", false},
		{"a condition with a delay", rule("all:", "  - {kind: switch, is: on}", "  - {kind: switch, is: off, on_delay: 5s}"), "line 5: rules[0].all[1].on_delay: unknown field; want one of kind, parameter, is", false},
		{"a condition about nothing", rule("all:", "  - {kind: switch, is: on}", "  - {kind: offline}"), "line 5: rules[0].all[1].kind: offline: it cannot be combined", false},
		{"bad limit of a condition", rule("all:", "  - {kind: switch, is: on}", "  - {kind: battery_low, limit: 0}"), "line 5: rules[0].all[1].limit: 0: want a percentage", false},
		{"unknown place", with("where: {house: 5}"), "line 6: rules[0].where.house: unknown field; want one of building, floor, model, device", false},
		{"floor is a text", with("where: {floor: ground}"), `line 6: rules[0].where.floor: "ground": want a whole number, or a list of them`, false},
		{"no building", with("where: {building: []}"), "line 6: rules[0].where.building: the list is empty", false},
		{"an anchor", "rules: &r []\n", "line 1: rules: an anchor, alias or tag: want a list", true},
		{"an id twice", with() + "  - id: x\n    disabled: true\n", `line 6: rules[1].id: "x" is the id of the rule in line 2 too; want another`, true},
		{"one type for two parameters", with() + "  - {id: y, type: x, kind: battery_low, limit: 5}\n", "rules x and y: one type, x, but two parameters, temperature and battery", true},
	}
	s := schema(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load([]byte(tt.file))
			bySchema := validate(s, []byte(tt.file))
			if tt.problem == "" {
				require.NoError(t, err)
				require.NoError(t, bySchema)
				return
			}
			var all *yamldoc.Error
			require.ErrorAs(t, err, &all, tt.file)
			require.Contains(t, err.Error(), tt.problem)
			if tt.goOnly {
				return
			}
			require.Error(t, bySchema, "the schema lets it pass")
		})
	}
}

func TestEveryProblemIsReported(t *testing.T) {
	_, err := load([]byte("rules:\n  - {id: a, kind: high}\n  - {id: b, kind: low, parameter: X, limit: y}\n"))
	require.Equal(t, `line 2: rules[0].parameter: missing; want the name of a sensor, like temperature or co2: [a-z][a-z0-9_]{0,31}
line 2: rules[0].limit: missing; want a number
line 3: rules[1].parameter: "X": want the name of a sensor, like temperature or co2: [a-z][a-z0-9_]{0,31}
line 3: rules[1].limit: "y": want a number`, err.Error())

	many := "rules:\n" + strings.Repeat("  - {}\n", 100)
	_, err = load([]byte(many))
	var all *yamldoc.Error
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Problems, 21)
	require.Equal(t, "and 180 more", all.Problems[20].Message)
}

func TestTooMuch(t *testing.T) {
	_, err := load(bytes.Repeat([]byte("#"), MaxBytes+1))
	require.ErrorContains(t, err, "want at most")
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range MaxRules + 1 {
		fmt.Fprintf(&b, "  - {id: r%d, disabled: true}\n", i)
	}
	_, err = load([]byte(b.String()))
	require.ErrorContains(t, err, "1001 rules; want at most 1000")
}

func FuzzLoad(f *testing.F) {
	f.Add(example(f))
	f.Add([]byte("rules: [{id: x, kind: high, parameter: temperature, limit: 1}]"))
	f.Add([]byte("rules: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := load(data)
		if err != nil {
			var all *yamldoc.Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("%v is no list of problems", err)
			}
			return
		}
		for _, r := range set.Rules {
			if _, err := load([]byte("rules:\n" + Format(r))); err != nil {
				t.Fatalf("written out it is bad: %v\n%s", err, Format(r))
			}
		}
	})
}
