package alarm

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// TestEveryFieldOfARuleIsChecked gives each field its outermost good values and the bad
// ones next to them.
func TestEveryFieldOfARuleIsChecked(t *testing.T) {
	high := Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 1}}
	rate := Rule{ID: "x", If: Condition{Kind: Rate, Parameter: temperature, Limit: 2}}
	stuck := Rule{ID: "x", If: Condition{Kind: Stuck, Parameter: temperature, For: MinStuck}}
	deviation := Rule{ID: "x", If: Condition{Kind: Deviation, Parameter: temperature, Limit: 2}}
	battery := Rule{ID: "x", If: Condition{Kind: BatteryLow, Limit: 15}}
	weak := Rule{ID: "x", If: Condition{Kind: SignalWeak, Limit: -85}}
	pair := Rule{ID: "x", If: high.If, Other: &Condition{Kind: SwitchIs}}
	parameter := func(r *Rule, s string) { r.If.Parameter = s }
	names, noNames := []string{temperature, "co2", "a_1", strings.Repeat("x", 32)}, []string{"", "CO2", "2co", "_x", "a-b", "a.b", strings.Repeat("x", 33)}
	limit := func(r *Rule, v float64) { r.If.Limit = v }
	unit := func(r *Rule, v string) { r.If.Unit = v }
	on := Rule{ID: "x", If: Condition{Kind: SwitchIs, On: true}}
	deadband := func(r *Rule, v float64) { r.If.Deadband = v }
	for _, tt := range []fieldTest{
		field(high, func(r *Rule, v string) { r.ID, r.Type = v, "x" }, []string{"a", "A_-9"}, []string{"a b", "a.b"}, "id", "want 1 to 64 letters, digits, _ or -"),
		field(high, func(r *Rule, v string) { r.Type = v }, []string{"", "a"}, []string{"a b"}, "type", "want 1 to 64 letters, digits, _ or -"),
		field(high, func(r *Rule, v string) { r.Severity = telemetry.Severity(v) }, []string{"", "critical", "high", "medium", "low"}, []string{"worst"}, "severity", "want critical, high, medium or low"),
		field(high, func(r *Rule, v time.Duration) { r.OnDelay = v }, []time.Duration{0, MaxDelay}, []time.Duration{-1, MaxDelay + 1}, "on_delay", "want 0s to 24h"),
		field(high, func(r *Rule, v time.Duration) { r.OffDelay = v }, []time.Duration{0, MaxDelay}, []time.Duration{-1, MaxDelay + 1}, "off_delay", "want 0s to 24h"),
		field(high, limit, []float64{-1e300, 0, 1e300}, []float64{math.NaN(), math.Inf(1), math.Inf(-1)}, "if.limit", "want a finite number"),
		field(high, deadband, []float64{0, 1e300}, []float64{-0.001, math.NaN(), math.Inf(1)}, "if.deadband", "want a finite number, 0 or more"),
		field(high, parameter, names, noNames, "if.parameter", "want the name of a sensor, like temperature or co2"),
		field(rate, parameter, names, noNames, "if.parameter", "want the name of a sensor, like temperature or co2"),
		field(stuck, parameter, names, noNames, "if.parameter", "want the name of a sensor, like temperature or co2"),
		field(deviation, parameter, names, noNames, "if.parameter", "want the name of a sensor, like temperature or co2"),
		field(on, parameter, append(names, ""), noNames[1:], "if.parameter", "want the name of a sensor, like temperature or co2"),
		field(high, unit, []string{"", "°C", "°F", "K"}, []string{"kPa", "hot"}, "if.unit", "want a unit of temperature: °C"),
		field(rate, unit, []string{"", "°F"}, []string{"kPa"}, "if.unit", "want a unit of temperature: °C"),
		field(deviation, unit, []string{"", "°F"}, []string{"kPa"}, "if.unit", "want a unit of temperature: °C"),
		field(rate, limit, []float64{0.001}, []float64{0, -1}, "if.limit", "want more than 0"),
		field(deviation, limit, []float64{0.001}, []float64{0, -1}, "if.limit", "want more than 0"),
		field(rate, deadband, []float64{0, 1.999}, []float64{2, 3}, "if.deadband", "want less than the limit, 2"),
		field(deviation, deadband, []float64{0, 1.999}, []float64{2, 3}, "if.deadband", "want less than the limit, 2"),
		field(rate, func(r *Rule, v Direction) { r.If.Direction = v }, []Direction{"", Up, Down, Both}, []Direction{"left"}, "if.direction", "want up, down or both"),
		field(rate, func(r *Rule, v time.Duration) { r.If.Per = v }, []time.Duration{0, time.Second, time.Minute}, []time.Duration{time.Hour}, "if.per", "want second or minute"),
		field(rate, func(r *Rule, v time.Duration) { r.If.Window = v }, []time.Duration{0, MinWindow, MaxDelay}, []time.Duration{MinWindow - 1, MaxDelay + 1}, "if.window", "want 2s to 24h"),
		field(stuck, func(r *Rule, v time.Duration) { r.If.For = v }, []time.Duration{MinStuck, MaxDelay}, []time.Duration{MinStuck - 1, MaxDelay + 1}, "if.for", "want 10s to 24h"),
		field(deviation, func(r *Rule, v int) { r.If.Sensors = v }, []int{0, 1, 1000}, []int{-1, 1001}, "if.sensors", "want 1 to 1000"),
		field(battery, limit, []float64{0.001, 100}, []float64{0, 100.001}, "if.limit", "want a percentage, more than 0 and at most 100"),
		field(weak, limit, []float64{-0.001}, []float64{0, 1}, "if.limit", "want dBm, less than 0"),
		field(high, func(r *Rule, v Kind) { r.If.Kind = v }, []Kind{High, HighHigh, Low, LowLow, SwitchIs, Offline}, []Kind{"", "higher"}, "if.kind", "want high, high_high, low, low_low, rate, stuck, deviation, switch, battery_low, signal_weak, offline or anomaly"),
		field(pair, func(r *Rule, v Kind) { r.If.Kind = v }, []Kind{High}, []Kind{Offline}, "if.kind", "offline: it cannot be combined"),
		field(pair, func(r *Rule, v Kind) { r.Other = &Condition{Kind: v, Limit: 1} }, []Kind{SwitchIs, BatteryLow}, []Kind{Offline}, "other.kind", "offline: it cannot be combined"),
		field(pair, func(r *Rule, v Combine) { r.Combine = v }, []Combine{"", And, Or}, []Combine{"xor"}, "combine", "want and, or"),
	} {
		for _, r := range tt.good {
			require.Empty(t, r.Check(sensors.Default()), "%s: %+v", tt.field, r)
		}
		for _, r := range tt.bad {
			errs := r.Check(sensors.Default())
			require.Len(t, errs, 1, "%s: %+v", tt.field, r)
			require.Equal(t, tt.field, errs[0].Field)
			require.Contains(t, errs[0].Message, tt.want)
		}
	}
}

// fieldTest has rules that differ in one field.
type fieldTest struct {
	good, bad   []Rule
	field, want string
}

func field[T any](base Rule, set func(*Rule, T), good, bad []T, name, want string) fieldTest {
	rules := func(values []T) []Rule {
		out := make([]Rule, len(values))
		for i, v := range values {
			out[i] = base
			set(&out[i], v)
		}
		return out
	}
	return fieldTest{rules(good), rules(bad), name, want}
}

// TestEveryBadRuleIsNamed has a bad rule before and behind others.
func TestEveryBadRuleIsNamed(t *testing.T) {
	good := Condition{Kind: High, Parameter: temperature, Limit: 1}
	_, err := Compile(RuleSet{Rules: []Rule{{ID: "a", OnDelay: -1, If: good}, {ID: "b", If: good}, {ID: "b", If: good}, {ID: "c", OffDelay: -1, If: good}}})
	for _, want := range []string{"rule a: on_delay", "rule b: defined twice", "rule c: off_delay"} {
		require.ErrorContains(t, err, want)
	}
	_, err = Compile(RuleSet{Rules: []Rule{{ID: "a", Type: "x", If: good}, {ID: "b", Type: "x", If: Condition{Kind: High, Parameter: humidity, Limit: 1}}}})
	require.EqualError(t, err, "rules a and b: one type, x, but two parameters, temperature and humidity")
}
