package replay

import (
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// explain shows how an alarm came about. The inputs are the readings of the alarm's device
// around the evidence, in order; set holds the rules in force. If the alarm's rule is gone
// or has changed, the limit recorded in the alarm takes its place, and Incomplete says so.
func explain(set *alarm.Rules, a telemetry.Alert, inputs []alarm.Input) wire.Explanation {
	x := wire.Explanation{
		AlertID: a.AlertID, Rule: a.Rule, RuleVersion: a.RuleVersion,
		OnDelayMS: a.OnDelayMS, OffDelayMS: a.OffDelayMS,
		Conditions: []wire.Condition{}, Samples: []wire.Sample{},
	}
	if a.Source != telemetry.SourceRule {
		x.Why = wire.NotByReadings
		x.Error = "this alarm was not raised by readings but by the " + string(a.Source)
		return x
	}
	r, version, ok := set.Rule(a.Rule)
	switch {
	case ok && version == a.RuleVersion:
		x.RuleText = rules.Format(r)
	default:
		former, known := formerRule(a)
		if !known {
			x.Why = wire.RuleLost
			x.Error = "the rule " + a.Rule + " has changed since, and the alarm does not record its former limit"
			return x
		}
		r = former
		x.Why = wire.RuleChanged
		x.Incomplete = "the rule " + a.Rule + " has changed since; this is its former limit"
	}
	alone, err := alarm.Compile(alarm.RuleSet{Rules: []alarm.Rule{r}, MaxWait: maxWait, Catalogue: set.Catalogue()})
	if err != nil {
		x.Error = "the rule cannot be replayed: " + err.Error()
		return x
	}
	for _, l := range alone.Limits(r.ID) {
		x.Conditions = append(x.Conditions, wire.Condition{
			Parameter: l.Parameter, Operator: l.Operator, Limit: l.Value, Deadband: l.Deadband, Unit: l.Unit,
			Kind: string(l.Kind), SensorUnit: l.SensorUnit,
		})
	}
	raised := samples(&x, alone, a, r.ID, inputs)
	switch {
	case len(inputs) == 0:
		x.Why = wire.ReadingsGone
		x.Incomplete = "the readings are no longer in Kafka"
	case !raised && x.Incomplete == "" && compares(r):
		x.Why = wire.RoomNotKept
		x.Incomplete = "the values of the room's other sensors were not kept"
	case !raised && x.Incomplete == "":
		x.Why = wire.NotShown
		x.Incomplete = "the remaining readings do not show how it was raised"
	}
	return x
}

// maxWait is so long that backfilled readings are replayed like live ones: a historical
// alarm is explained in the same way.
const maxWait = 100 * 365 * 24 * time.Hour

// samples replays the inputs and reports whether they raise the alarm.
func samples(x *wire.Explanation, set *alarm.Rules, a telemetry.Alert, rule string, inputs []alarm.Input) bool {
	var s alarm.State
	var out []alarm.Transition
	raised, acked := false, a.Ack == nil
	for _, in := range inputs {
		ts := in.PlantTime()
		if !acked && ts > a.Ack.At {
			acked = true
			s, out, _, _ = set.Command(s, &telemetry.AlarmCommand{
				CommandID: "replay", DeviceID: a.DeviceID, AlertType: a.AlertType,
				Action: telemetry.ActionAcknowledge, By: a.Ack.By, At: a.Ack.At,
			}, a.Ack.At, out[:0])
		}
		var o alarm.Observation
		s, out, o = set.Observe(s, in, rule, out[:0])
		for i := range out {
			event := out[i].Alert.Event
			raised = raised || event == telemetry.EventRaised || event == telemetry.EventRepeated
		}
		x.Samples = append(x.Samples, wire.Sample{
			Time: ts, Offset: in.Offset, Values: o.Values, Raw: o.Raw, Holds: o.Holds,
			Pending: o.Pending, State: o.State, Event: o.Event,
		})
	}
	return raised
}

// compares reports whether a rule compares a sensor with the others of its room.
func compares(r alarm.Rule) bool {
	return r.If.Kind == alarm.Deviation || r.Other != nil && r.Other.Kind == alarm.Deviation
}

// formerRule rebuilds the rule that raised an alarm from the limit recorded in it.
func formerRule(a telemetry.Alert) (alarm.Rule, bool) {
	name := a.Threshold.Parameter
	if !telemetry.ValidSensorName(name) || name == alarm.Battery || name == alarm.Strength {
		return alarm.Rule{}, false // of the latter two it is not known whether they are sensors
	}
	switch alarm.Kind(a.Kind) {
	case "", alarm.High, alarm.HighHigh, alarm.Low, alarm.LowLow: // former versions recorded no kind
	default:
		return alarm.Rule{}, false // the limit alone does not say how it was measured
	}
	if a.Combine != "" {
		return alarm.Rule{}, false
	}
	r := alarm.Rule{
		ID: a.Rule, Type: a.AlertType, Severity: a.Severity,
		OnDelay:  time.Duration(a.OnDelayMS) * time.Millisecond,
		OffDelay: time.Duration(a.OffDelayMS) * time.Millisecond,
		If:       alarm.Condition{Kind: alarm.High, Parameter: name, Limit: a.Threshold.Value, Deadband: a.Deadband},
	}
	switch a.Threshold.Operator {
	case ">":
	case "<":
		r.If.Kind = alarm.Low
	default:
		return alarm.Rule{}, false
	}
	return r, true
}
