package alarm

import (
	"time"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Describe returns a rule for people and programs, its limits in canonical units.
func Describe(r Rule, catalogue *sensors.Catalogue) wire.Rule {
	r = r.normal()
	out := wire.Rule{
		RuleCondition: describeCondition(r.If, catalogue),
		ID:            r.ID, Type: r.Type, Severity: r.Severity, Disabled: r.Disabled,
		OnDelayMS: r.OnDelay.Milliseconds(), OffDelayMS: r.OffDelay.Milliseconds(),
		Where: wire.RuleWhere{Buildings: r.Where.Buildings, Floors: r.Where.Floors, Models: r.Where.Models, Devices: r.Where.Devices},
	}
	if r.Other != nil {
		other := describeCondition(*r.Other, catalogue)
		out.Other = &other
		out.Combine = map[bool]string{true: "any", false: "all"}[r.Combine == Or]
	}
	return out
}

func describeCondition(c Condition, catalogue *sensors.Catalogue) wire.RuleCondition {
	c, _ = c.canonical(catalogue) // of a rule that was compiled it cannot fail
	out := wire.RuleCondition{Kind: string(c.Kind), Parameter: c.Parameter}
	if c.outside() {
		return out
	}
	x := newCond(c, "")
	out.Operator = x.operator()
	switch c.Kind {
	case Stuck:
		out.ForMS = c.For.Milliseconds()
		return out
	case SwitchIs:
		out.Is = map[bool]string{true: "on", false: "off"}[c.On]
		return out
	case Rate:
		out.Per = map[bool]string{true: "second", false: "minute"}[c.Per == time.Second]
		out.Direction, out.WindowMS = string(c.Direction), c.Window.Milliseconds()
	case Deviation:
		out.From = map[bool]string{true: "mean", false: "median"}[c.Mean]
		out.Sensors = c.Sensors
	default:
	}
	out.Limit, out.Deadband = &c.Limit, c.Deadband
	out.Unit = unitOf(signalName{c.Parameter, c.Kind == BatteryLow || c.Kind == SignalWeak}, catalogue)
	return out
}

// Holds returns, by id, for how many of the devices each rule is the one of its type that
// applies.
func (rs *Rules) Holds(devices []wire.RuleDevice) map[string]int {
	out := make(map[string]int, len(rs.rules))
	for i := range devices {
		d := &devices[i]
		at := telemetry.Location{Building: d.Building, Floor: d.Floor}
		for k := range rs.rules {
			if r := &rs.rules[k]; r.alone || rs.governs(r, d.ID, d.Model, at) {
				out[r.ID]++
			}
		}
	}
	return out
}

// Change returns r with other figures, which are in canonical units; of two conditions
// those of the first.
func (r Rule) Change(c wire.RuleChange, catalogue *sensors.Catalogue) (Rule, []FieldError) {
	r = r.normal()
	r.If, _ = r.If.canonical(catalogue)
	var wrong problems
	hasLimit := describeCondition(r.If, catalogue).Limit != nil
	wrong.want(hasLimit || c.Limit == nil, "limit", "a rule of kind %s has none", r.If.Kind)
	wrong.want(hasLimit || c.Deadband == nil, "deadband", "a rule of kind %s has none", r.If.Kind)
	set := func(to *float64, v *float64) {
		if v != nil {
			*to = *v
		}
	}
	set(&r.If.Limit, c.Limit)
	set(&r.If.Deadband, c.Deadband)
	delay := func(to *time.Duration, ms *int64) {
		if ms != nil {
			*to = time.Duration(min(max(*ms, -1), 2*MaxDelay.Milliseconds())) * time.Millisecond
		}
	}
	delay(&r.OnDelay, c.OnDelayMS)
	delay(&r.OffDelay, c.OffDelayMS)
	return r, append(wrong.list, r.Check(catalogue)...)
}
