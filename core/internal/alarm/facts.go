package alarm

import (
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// measureOf says what an alarm's figures measure; k has the newest reading that a condition held in.
func (rs *Rules) measureOf(c *cond, k *cell) telemetry.Measure {
	m := telemetry.Measure{Kind: string(c.Kind), Unit: k.Unit}
	if m.Unit == "" && c.signal >= 0 {
		m.Unit = rs.signals.list[c.signal].unit
	}
	switch c.Kind {
	case Rate:
		m.Per = perName(c.Per)
	case Stuck:
		m.ForMS = c.span
	case Deviation:
		m.RoomValue = k.Room
	case SwitchIs:
		m.Unit = ""
	default:
	}
	return m
}

// perName returns the name of a rate's unit of time as rules files and alerts have it.
func perName(per time.Duration) string {
	if per == time.Second {
		return "second"
	}
	return "minute"
}

// combine returns how alerts call the way in which r joins its conditions.
func (r *rule) combine() string {
	switch {
	case r.n < 2:
		return ""
	case r.Combine == And:
		return "all"
	default:
		return "any"
	}
}

// other returns the condition beside lead, nil unless it is among those in now. Without a value in
// this reading it is as it was.
func (x *step) other(r *rule, now, lead uint8, was *telemetry.OtherCondition) *telemetry.OtherCondition {
	if r.n < 2 || now&^(1<<lead) == 0 {
		return nil
	}
	c := &r.conds[1-lead]
	v, known := x.measure(c)
	if !known && was != nil && was.Kind == string(c.Kind) && was.Threshold.Parameter == c.Parameter {
		return was
	}
	if !known {
		return &telemetry.OtherCondition{Measure: x.rules.measureOf(c, &cell{}), Threshold: c.threshold(0)}
	}
	shown := x.shown(c, v)
	return &telemetry.OtherCondition{
		Measure: x.rules.measureOf(c, &cell{Unit: x.ownUnit(c), Room: x.roomValue(c)}), Threshold: c.threshold(shown), CurrentValue: &shown,
	}
}

// roomValue returns what c compares the sensor with, nil unless it is a room.
func (x *step) roomValue(c *cond) *float64 {
	if c.look != atRoom || x.in.Room == nil {
		return nil
	}
	room := x.in.Room.Of(c.Parameter)
	if c.Mean {
		return &room.Mean
	}
	return &room.Median
}
