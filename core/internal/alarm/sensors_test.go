package alarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// of is a reading of d1, i seconds after t0, with these sensors.
func of(i int, sensors ...telemetry.Sensor) Input {
	in := at(t0+int64(i)*1000, 0)
	in.Reading.Sensors = sensors
	return in
}

func number(name string, v float64, unit string) telemetry.Sensor {
	return telemetry.Sensor{Name: name, Number: v, Unit: unit}
}

// TestAnySensorHasRules has sensors that the contract does not name.
func TestAnySensorHasRules(t *testing.T) {
	for name, tt := range map[string]struct {
		c      Condition
		values []float64 // of the sensor "x", or of the door
		want   []string  // messages
	}{
		"high": {Condition{Kind: High, Parameter: "x", Limit: 1000, Deadband: 100}, []float64{1000, 1001, 901, 900}, []string{
			"x 1001 u is above 1000 u", "x 900 u is back below 1000 u, peak 1001 u",
		}},
		"low": {Condition{Kind: LowLow, Parameter: "x", Limit: 2}, []float64{3, 1, 2}, []string{"x 1 u is below 2 u", "x 2 u is back above 2 u, peak 1 u"}},
		"rate": {Condition{Kind: Rate, Parameter: "x", Limit: 5, Per: time.Second, Window: 2 * time.Second}, []float64{0, 1, 2, 20}, []string{
			"x changes by 9.5 u/s, limit 5 u/s",
		}},
		"stuck":      {Condition{Kind: Stuck, Parameter: "x", For: 10 * time.Second}, []float64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8}, []string{"x has stayed at 7 u for 10s", "x moves again: 8 u"}},
		"deviation":  {Condition{Kind: Deviation, Parameter: "x", Limit: 5}, []float64{104, 106}, []string{"x 106 u is 6 u above the room's, limit 5 u"}},
		"switch":     {Condition{Kind: SwitchIs, Parameter: "door_open", On: true}, []float64{0, 1, 0}, []string{"door open is on", "door open is off again"}},
		"switch off": {Condition{Kind: SwitchIs, Parameter: "door_open"}, []float64{1, 0, 1}, []string{"door open is off", "door open is on again"}},
	} {
		t.Run(name, func(t *testing.T) {
			rs := compile(t, Rule{ID: "r", If: tt.c})
			var s State
			var got []string
			for i, v := range tt.values {
				in := of(i, number("other", v, "u"), telemetry.Switch("door_open", v != 0), number("x", v, "u"))
				in.Room = &RoomView{{"x", RoomValue{Count: 2, Mean: 100, Median: 100}}}
				var out []Transition
				s, out, _ = rs.Step(s, in, nil)
				for k := range out {
					got = append(got, out[k].Alert.Message)
					require.Equal(t, tt.c.Parameter, out[k].Alert.Threshold.Parameter)
				}
				s = again(t, s)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// TestOnlyComparableValuesAreJudged: no text, no value in an unknown unit, no boolean
// where a number is wanted, nor the other way round.
func TestOnlyComparableValuesAreJudged(t *testing.T) {
	rs := compile(t,
		Rule{ID: "high", If: Condition{Kind: High, Parameter: "x", Limit: 0.5}},
		Rule{ID: "stuck", If: Condition{Kind: Stuck, Parameter: "x", For: 10 * time.Second}},
		Rule{ID: "rate", If: Condition{Kind: Rate, Parameter: "x", Limit: 0.1, Window: 2 * time.Second}},
		Rule{ID: "on", If: Condition{Kind: SwitchIs, Parameter: "y", On: true}},
		Rule{ID: "off", If: Condition{Kind: SwitchIs, Parameter: "y"}},
		Rule{ID: "battery", If: Condition{Kind: BatteryLow, Limit: 20}},
	)
	for name, sensors := range map[string][]telemetry.Sensor{
		"unknown unit":      {{Name: "x", Number: 99, Unit: "furlong", Status: telemetry.StatusUnitUnknown}},
		"text":              {{Name: "x", Kind: telemetry.Text, Text: "99"}, {Name: "y", Kind: telemetry.Text, Text: "on"}},
		"boolean":           {telemetry.Switch("x", true)},
		"number":            {number("y", 1, "")},
		"a sensor, no info": {number("battery", 3.1, "V")},
	} {
		s := State{}
		var journal []Transition
		for i := range 30 {
			s, journal, _ = rs.Step(s, of(i, sensors...), journal)
		}
		require.Empty(t, journal, name)
	}
	_, journal := play(rs, State{}, of(0, number("x", 99, ""), telemetry.Switch("y", true)))
	require.Equal(t, []brief{{"high", telemetry.EventRaised, 0}, {"on", telemetry.EventRaised, 0}}, briefs(journal))
}

// TestLimitsInAUnitOfTheirOwn: readings come in canonical units.
func TestLimitsInAUnitOfTheirOwn(t *testing.T) {
	hot := Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 176, Deadband: 3.6, Unit: "°F"}}
	rs := compile(t, hot)
	_, journal := play(rs, State{}, series(79.9, 80.1, 78.1, 77.9)...)
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 1}, {"x", telemetry.EventCleared, 3}}, briefs(journal))
	a := journal[0].Alert
	require.InDelta(t, 80, a.Threshold.Value, 1e-9)
	require.InDelta(t, 2, a.Deadband, 1e-9)
	require.Equal(t, "temperature 80.1 °C is above 80 °C", a.Message)
	require.Equal(t, []Limit{{Parameter: temperature, Operator: ">", Unit: "°C", Value: a.Threshold.Value, Deadband: a.Deadband, Kind: High, SensorUnit: "°C"}}, rs.Limits("x"))
	written, version, _ := rs.Rule("x")
	require.Equal(t, hot.If.normal(), written.If, "shown as written")
	require.Equal(t, version, a.RuleVersion)

	// A rate and a deviation are differences: the zero point of the unit does not count.
	rs = compile(t, Rule{ID: "x", If: Condition{Kind: Rate, Parameter: temperature, Limit: 9, Unit: "°F", Window: 4 * time.Second}})
	require.InDelta(t, 5, rs.Limits("x")[0].Value, 1e-9)
	rs = compile(t, Rule{ID: "x", If: Condition{Kind: Deviation, Parameter: temperature, Limit: 9, Unit: "°F"}})
	require.InDelta(t, 5, rs.Limits("x")[0].Value, 1e-9)
	rs = compile(t, Rule{
		ID: "x", If: Condition{Kind: SwitchIs, On: true},
		Other: &Condition{Kind: Low, Parameter: current, Limit: 300, Unit: "mA"},
	})
	require.InDelta(t, 0.3, rs.Limits("x")[1].Value, 1e-9)

	_, err := Compile(RuleSet{Rules: []Rule{{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 1, Unit: "kPa"}}}})
	require.ErrorContains(t, err, `rule x: if.unit "kPa": want a unit of temperature: °C`)
}

// TestReloadedRulesFindTheirState: other rules have other indexes, the state has names.
func TestReloadedRulesFindTheirState(t *testing.T) {
	rules := []Rule{
		{ID: "co2_high", If: Condition{Kind: High, Parameter: "co2", Limit: 1000}, OnDelay: 5 * time.Second},
		{ID: "flow_stuck", If: Condition{Kind: Stuck, Parameter: "flow", For: 20 * time.Second}},
		{ID: "ph_low", If: Condition{Kind: Low, Parameter: "ph", Limit: 6}},
		{ID: "ph_rate", If: Condition{Kind: Rate, Parameter: "ph", Limit: 1, Window: 8 * time.Second}},
		{ID: "door", If: Condition{Kind: SwitchIs, Parameter: "door", On: true}, OffDelay: 3 * time.Second},
	}
	inputs := make([]Input, 60)
	for i := range inputs {
		inputs[i] = of(i, number("ph", 7-float64(i%7)/4, ""), number("co2", 900+float64(i%20)*10, "ppm"), number("flow", float64(i/30), ""), telemetry.Switch("door", i%11 < 4))
	}
	_, want := play(compile(t, rules...), State{}, inputs...)
	require.Greater(t, len(want), 10)
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		var s State
		var got []Transition
		for _, in := range inputs {
			if rnd.IntN(3) == 0 {
				rnd.Shuffle(len(rules), func(i, k int) { rules[i], rules[k] = rules[k], rules[i] })
				if rnd.IntN(2) == 0 {
					s = again(t, s)
				}
			}
			more := Rule{ID: "more", If: Condition{Kind: High, Parameter: fmt.Sprint("p", rnd.IntN(9)), Limit: 1e6}}
			var out []Transition
			s, out, _ = compile(t, slices.Insert(slices.Clone(rules), rnd.IntN(len(rules)), more)...).Step(s, in, nil)
			slices.SortFunc(out, func(a, b Transition) int {
				return slices.Index(order, a.Alert.AlertType) - slices.Index(order, b.Alert.AlertType)
			})
			got = append(got, out...)
		}
		require.Equal(t, timeless(want), timeless(got), "seed %d", seed)
	}
}

var order = []string{"co2_high", "flow_stuck", "ph_low", "ph_rate", "door"}

// TestLateReadingRaisesNothingUnderNewRules: a signal that rules did not judge before has
// no time of its own yet.
func TestLateReadingRaisesNothingUnderNewRules(t *testing.T) {
	ph := Rule{ID: "ph_low", If: Condition{Kind: Low, Parameter: "ph", Limit: 6}}
	late, next := of(5, number("ph", 1, "")), of(11, number("ph", 1, ""))
	for name, restart := range map[string]bool{"reload": false, "restart with new rules": true} {
		s, _ := play(standard(t), State{}, of(10, number(temperature, 20, ""), number("ph", 7, "")))
		if restart {
			s = again(t, s)
		}
		s, journal := play(compile(t, ph), s, late)
		require.Empty(t, journal, name)
		_, journal = play(compile(t, ph), again(t, s), late, next)
		require.Equal(t, []brief{{"ph_low", telemetry.EventRaised, 11}}, briefs(journal), name)
	}
	s := State{}.SeenUntil(t0 + 10_000)
	_, journal := play(compile(t, ph), again(t, s), late, next)
	require.Equal(t, []brief{{"ph_low", telemetry.EventRaised, 11}}, briefs(journal), "restored from the device's state")

	// A sensor that comes late every time is judged nevertheless.
	rs := compile(t, ph, builtIn().Rules[0])
	_, journal = play(rs, State{}, of(10, number(temperature, 20, "")), of(5, number("ph", 7, "")), of(20, number(temperature, 20, "")), of(15, number("ph", 1, "")))
	require.Equal(t, []brief{{"ph_low", telemetry.EventRaised, 15}}, briefs(journal))
}

// TestAlarmOfAParameterWithoutRulesClears: the next reading that has it ends the alarm.
func TestAlarmOfAParameterWithoutRulesClears(t *testing.T) {
	rs := compile(t,
		Rule{ID: "a", If: Condition{Kind: High, Parameter: "co2", Limit: 1}},
		Rule{ID: "b", If: Condition{Kind: SwitchIs, Parameter: "door", On: true}},
		Rule{ID: "c", If: Condition{Kind: BatteryLow, Limit: 20}},
		Rule{ID: "d", If: Condition{Kind: SignalWeak, Limit: -80}},
	)
	bad := func(i int) Input {
		in := of(i, number("co2", 2, "ppm"), telemetry.Switch("door", true))
		in.Reading.Info = telemetry.DeviceInfo{Battery: telemetry.Some(5.0), SignalStrength: telemetry.Some(-90.0)}
		return in
	}
	s, journal := play(rs, State{}, bad(10))
	require.Len(t, journal, 4)
	other := standard(t)
	s, journal = play(other, s, of(12, number(temperature, 20, "")))
	require.Empty(t, journal, "it has none of them")
	s, journal = play(other, s, bad(9))
	require.Empty(t, journal, "late")
	unknown := of(13, telemetry.Sensor{Name: "co2", Number: 1, Status: telemetry.StatusUnitUnknown})
	s, journal = play(other, s, unknown)
	require.Empty(t, journal)
	_, journal = play(other, again(t, s), bad(14))
	require.Len(t, journal, 4)
	for i, text := range []string{"co2 is 2 ppm", "door is on", "battery is 5 %", "signal strength is -90 dBm"} {
		require.Equal(t, telemetry.EventCleared, journal[i].Alert.Event)
		require.Equal(t, "the rule "+[]string{"a", "b", "c", "d"}[i]+" is gone; "+text, journal[i].Alert.Message)
	}
}

// TestOrderOfSensorsDoesNotMatter: of the message, and from one to the next.
func TestOrderOfSensorsDoesNotMatter(t *testing.T) {
	rs := compile(t, busy()...)
	for seed := range uint64(10) {
		inputs := wander(rand.New(rand.NewPCG(seed, 12)), 200)
		_, want := play(rs, State{}, inputs...)
		rnd := rand.New(rand.NewPCG(seed, 13))
		for _, in := range inputs {
			s := in.Reading.Sensors
			rnd.Shuffle(len(s), func(i, k int) { s[i], s[k] = s[k], s[i] })
		}
		_, got := play(rs, State{}, inputs...)
		require.Equal(t, want, got, "seed %d", seed)
	}
}

// TestManyRulesOfManySensors: more than a machine word has bits, each found by its sensor.
func TestManyRulesOfManySensors(t *testing.T) {
	var rules []Rule
	for i := range 1000 {
		rules = append(rules, Rule{ID: fmt.Sprint("r", i), If: Condition{Kind: High, Parameter: fmt.Sprint("p", i/2), Limit: float64(i % 2)}})
	}
	rs := compile(t, rules...)
	var sensors []telemetry.Sensor
	for i := range telemetry.MaxSensors {
		sensors = append(sensors, number(fmt.Sprint("p", i*7), 1, ""))
	}
	s, journal := play(rs, State{}, of(0, sensors...))
	require.Len(t, journal, telemetry.MaxSensors)
	for i := range journal {
		require.Equal(t, fmt.Sprint("r", i*14), journal[i].Alert.AlertType)
	}
	require.Len(t, s.tracks, telemetry.MaxSensors, "those of the device, not those of the rules")
	for i := range sensors {
		sensors[i].Number = 0
	}
	_, journal = play(rs, s, of(1, sensors...))
	require.Len(t, journal, telemetry.MaxSensors)
}
