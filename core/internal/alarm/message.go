package alarm

import (
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// threshold returns the threshold of an alarm; value is that of a stuck sensor.
func (c *cond) threshold(value float64) telemetry.Threshold {
	t := telemetry.Threshold{Parameter: c.Parameter, Operator: c.operator(), Value: c.Limit}
	switch c.Kind {
	case Stuck:
		t.Value = value
	case SwitchIs:
		t.Value = 0
		if c.On {
			t.Value = 1
		}
	case Rate:
		if c.Direction == Down {
			t.Value = -c.Limit
		}
	default:
	}
	return t
}

func (c *cond) operator() string {
	switch {
	case c.Kind == Stuck || c.Kind == SwitchIs:
		return "="
	case c.fold == negated:
		return "<"
	default:
		return ">"
	}
}

// limitUnit returns the unit of a condition's limit, given that of its signal.
func (c *Condition) limitUnit(of string) string {
	switch c.Kind {
	case Rate:
		if c.Per == time.Second {
			return of + "/s"
		}
		return of + "/min"
	case Stuck, SwitchIs, Offline, Anomaly:
		return ""
	default:
		return of
	}
}

// raisedText describes each of the conditions in now.
func (x *step) raisedText(r *rule, now uint8) string {
	var parts []string
	for i := range r.n {
		c := &r.conds[i]
		if now&(1<<i) == 0 {
			continue
		}
		if v, known := x.measure(c); known {
			parts = append(parts, x.condText(c, v))
		} else {
			parts = append(parts, c.name()+" is as it was")
		}
	}
	return strings.Join(parts, " and ")
}

func (c *cond) name() string { return inWords(c.Parameter) }

// inWords returns the name of a parameter as messages have it.
func inWords(parameter string) string {
	if parameter == telemetry.SwitchStatus {
		return "switch"
	}
	return strings.ReplaceAll(parameter, "_", " ")
}

func (x *step) condText(c *cond, v float64) string {
	unit := x.unitOf(c)
	switch c.Kind {
	case SwitchIs:
		return c.name() + " is " + onOff(v != 0)
	case Stuck:
		return c.name() + " has stayed at " + quantity(x.raw(c), unit) + " for " + FormatDuration(c.For)
	case Rate:
		per := c.limitUnit(unit)
		return c.name() + " changes by " + quantity(v, per) + ", limit " + quantity(c.Limit, per)
	case Deviation:
		side := "above"
		if v < 0 {
			side = "below"
		}
		return c.name() + " " + quantity(x.raw(c), unit) + " is " + quantity(c.fold.score(v), unit) + " " + side +
			" the room's, limit " + quantity(c.Limit, unit)
	default:
		side := "above"
		if c.fold == negated {
			side = "below"
		}
		return c.name() + " " + quantity(v, unit) + " is " + side + " " + quantity(c.Limit, unit)
	}
}

// clearedText describes how an alarm ended; it names the limit of the raise.
func (x *step) clearedText(a *Alarm, c *cond, v float64, known bool) string {
	unit := x.unitOf(c)
	if !known {
		return strings.ReplaceAll(a.AlertType, "_", " ") + " is over"
	}
	switch c.Kind {
	case SwitchIs:
		return c.name() + " is " + onOff(v != 0) + " again"
	case Stuck:
		return c.name() + " moves again: " + quantity(x.raw(c), unit)
	case Rate:
		per := c.limitUnit(unit)
		return c.name() + " changes by " + quantity(v, per) + ", back within " + quantity(a.Threshold.Value, per) + ", peak " + quantity(a.PeakValue, per)
	case Deviation:
		return c.name() + " is " + quantity(c.fold.score(v), unit) + " from the room's, back within " + quantity(a.Threshold.Value, unit) +
			", peak " + quantity(a.PeakValue, unit)
	default:
		side := "below"
		if a.Threshold.Operator == "<" {
			side = "above"
		}
		return c.name() + " " + quantity(v, unit) + " is back " + side + " " + quantity(a.Threshold.Value, unit) + ", peak " + quantity(a.PeakValue, unit)
	}
}

// describe describes the value of a parameter.
func describe(parameter string, v float64, unit string, kind telemetry.ValueKind) string {
	if kind == telemetry.Bool {
		return inWords(parameter) + " is " + onOff(v != 0)
	}
	return inWords(parameter) + " is " + quantity(v, unit)
}

// unitOf returns the unit of a condition's signal.
func (x *step) unitOf(c *cond) string {
	if f := x.value(c.signal); f != nil {
		return x.unit(f)
	}
	return x.rules.signals.list[c.signal].unit
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// quantity formats a value with its unit, with at most two decimals.
func quantity(v float64, unit string) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if unit == "" {
		return s
	}
	return s + " " + unit
}

// FormatDuration formats a time as in a rules file: 90s is 1m30s, 10m0s is 10m.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
