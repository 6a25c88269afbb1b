// Package alarmtext writes what an alarm says in the reader's language, from its record alone, for
// files that the portal makes. The page writes the same texts (ui/src/model/alarmtext.js); testdata has
// examples that both are tested with. It is no place for other texts, and nothing in it blocks.
package alarmtext

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// Writer writes texts for one reader.
type Writer struct {
	Lang      string             // "zh"; else English
	Zone      *time.Location     // of times of day; nil: UTC
	Catalogue *sensors.Catalogue // names, units and decimals of sensors; nil: the built-in one
}

// condition is what a text about a sensor is made of.
type condition struct {
	telemetry.Measure

	threshold telemetry.Threshold
	value     float64
	known     bool // value is
	anomaly   *telemetry.Anomaly
	raised    int64
}

// Text describes an alarm. One that is over is described by its peak.
func (w Writer) Text(a *telemetry.Alert) string {
	over := a.Status != telemetry.AlertActive
	c := condition{Measure: a.Measure, threshold: a.Threshold, value: a.CurrentValue, known: true, anomaly: a.Anomaly, raised: a.RaisedAt}
	if over {
		c.value = a.PeakValue
	}
	c.Kind = kindOf(a)
	if c.Kind == "rate" && c.Per == "" {
		c.Per = perOf(a.Message)
	}
	text := cmp.Or(w.measured(&c, over), w.watched(a, c.Kind, c.value, over), w.typeText(a))
	if o := a.Other; o != nil {
		second := condition{Measure: o.Measure, threshold: o.Threshold}
		if o.CurrentValue != nil {
			second.value, second.known = *o.CurrentValue, true
		}
		if other := w.measured(&second, over); other != "" {
			return w.say("what.and", "a", text, "b", other)
		}
	}
	return text
}

var perNames = map[string]string{"second": "s", "minute": "min"}

var (
	oldRate   = regexp.MustCompile(` changes by .*/(s|min)\b`)
	oldRoom   = regexp.MustCompile(` the room's\b`)
	perSecond = regexp.MustCompile(`/s\b`)
)

// kindOf returns the kind of an alarm's condition, "" if it is not known. Records of former versions do
// not have it, but their message shows it.
func kindOf(a *telemetry.Alert) string {
	switch {
	case a.Kind != "":
		return a.Kind
	case a.Source == telemetry.SourceWatchdog:
		return a.AlertType
	case strings.Contains(a.Message, " and "): // two conditions, and nothing says which
		return ""
	case oldRate.MatchString(a.Message):
		return "rate"
	case oldRoom.MatchString(a.Message):
		return "deviation"
	case a.Threshold.Operator == ">":
		return "high"
	case a.Threshold.Operator == "<":
		return "low"
	default:
		return ""
	}
}

func perOf(message string) string {
	if perSecond.MatchString(message) {
		return "second"
	}
	return "minute"
}

func (w Writer) typeText(a *telemetry.Alert) string {
	if text, ok := w.words("type." + a.AlertType); ok {
		return text
	}
	if name, ok := strings.CutPrefix(a.AlertType, telemetry.AnomalyType); ok {
		return w.say("type.anomaly", "name", w.sensor(name).name)
	}
	return cmp.Or(a.Message, a.AlertType)
}

// Type returns the name of a type of alarms: its id, if there is no other.
func (w Writer) Type(alertType string) string {
	return w.typeText(&telemetry.Alert{AlertType: alertType})
}

// Limit returns the limit of an alarm with its unit, "" without one.
func (w Writer) Limit(a *telemetry.Alert) string {
	if a.Threshold.Operator == "" {
		return ""
	}
	unit := a.Unit
	if kindOf(a) == "rate" {
		unit += "/" + perNames[cmp.Or(a.Per, perOf(a.Message))]
	}
	return strings.TrimSpace(a.Threshold.Parameter + " " + a.Threshold.Operator + " " + strconv.FormatFloat(a.Threshold.Value, 'f', -1, 64) + " " + unitShown(unit))
}

// measured describes a condition on a sensor's values, "" if it is none.
func (w Writer) measured(c *condition, over bool) string {
	name := c.threshold.Parameter
	if name == "" {
		return ""
	}
	s := w.sensor(name)
	unit := cmp.Or(c.Unit, s.unit)
	limit := math.Abs(c.threshold.Value)
	switch c.Kind {
	case "rate", "deviation":
		if !c.known {
			return ""
		}
		size := precise(math.Abs(c.value), s.decimals)
		if c.Kind == "rate" {
			size += thin + unitShown(unit) + "/" + perNames[cmp.Or(c.Per, "minute")]
			return w.sayOver(choose(c.value < 0, "what.rate.down", "what.rate.up"), over, "name", s.name, "value", size, "limit", short(limit, s.decimals))
		}
		return w.sayOver(choose(c.value < 0, "what.deviation.below", "what.deviation.above"), over,
			"name", s.name, "value", withUnit(size, unit), "limit", short(limit, s.decimals))
	case "stuck":
		return w.sayOver("what.stuck", over, "name", s.name, "value", withUnit(fixed(c.threshold.Value, s.decimals), unit), "span", w.span(float64(c.ForMS)))
	case "switch":
		state, _ := w.words(choose(c.threshold.Value != 0, "switch.on", "switch.off"))
		return w.sayOver("what.switch", over, "name", s.name, "state", state)
	case "anomaly":
		if c.anomaly != nil {
			if text := w.unusual(c.anomaly, s, unit, c.raised); text != "" {
				return text
			}
		}
		return w.say("what.anomaly", "name", s.name, "value", withUnit(fixed(c.value, s.decimals), unit))
	case "high", "high_high", "low", "low_low", "battery_low", "signal_weak":
		value := ""
		if c.known {
			value = withUnit(fixed(c.value, s.decimals), unit) + " "
		}
		return w.say("what.beyond", "name", s.name, "value", value, "op", c.threshold.Operator, "limit", withUnit(short(c.threshold.Value, s.decimals), unit))
	default:
		return ""
	}
}

// watched describes what a watchdog found, "" if there is nothing to say beyond the alarm's type.
func (w Writer) watched(a *telemetry.Alert, kind string, value float64, over bool) string {
	const second, hour = 1000, 3_600_000
	switch kind {
	case "device_offline", "gateway_down":
		if a.SilentSince == 0 {
			return ""
		}
		end := ""
		if over && a.ClearedAt != 0 {
			end = w.moment(a.ClearedAt, a.RaisedAt)
		}
		return w.sayOver("what."+kind, end != "", "time", w.moment(a.SilentSince, a.RaisedAt), "end", end)
	case "device_clock", "gateway_clock":
		return w.say(choose(value < 0, "what.clock.behind", "what.clock.ahead"), "span", w.span(math.Abs(value)*second))
	case "gateway_buffer_horizon":
		return w.say("what."+kind, "span", w.span(value*hour), "limit", w.span(a.Threshold.Value*hour))
	case "gateway_ledger", "gateway_damaged":
		return w.say("what."+kind, "n", fixed(math.Abs(value), 0))
	default:
		return ""
	}
}

// sensor is what texts need to know of a sensor.
type sensor struct {
	name, unit string
	decimals   int
}

// unknownDecimals are those of a sensor that the catalogue does not know.
const unknownDecimals = 2

func (w Writer) sensor(name string) sensor {
	s := sensor{name: name, decimals: unknownDecimals}
	catalogue := w.Catalogue
	if catalogue == nil {
		catalogue = sensors.Default()
	}
	if k := catalogue.KindOf(name); k != nil {
		s = sensor{name: choose(w.Lang == "zh", k.Zh, k.En), unit: k.Unit, decimals: k.Decimals}
	}
	switch name { // figures of the device itself, which the catalogue need not have
	case "battery":
		s.unit, s.decimals = "%", 0
	case "signal_strength":
		s.unit, s.decimals = "dBm", 0
	}
	if own, ok := w.words("param." + name); ok {
		s.name = own
	}
	return s
}

// moment is a local time, with the date when it is not that of the day the alarm was raised on.
func (w Writer) moment(ms, raised int64) string {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	at, day := time.UnixMilli(ms).In(zone), time.UnixMilli(raised).In(zone)
	if at.Format(time.DateOnly) == day.Format(time.DateOnly) {
		return at.Format("15:04")
	}
	return at.Format("01-02 15:04")
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
