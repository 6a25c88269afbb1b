package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/telemetry"
)

// Format returns a rule as an entry of the list in a rules file, with defaults left out.
func Format(r alarm.Rule) string {
	w := &writer{}
	w.b.WriteString("- id: " + r.ID + "\n")
	w.indent = "  "
	if r.Type != r.ID {
		w.text("type", r.Type)
	}
	switch {
	case r.Other == nil && r.Disabled && r.If.Kind == alarm.Offline:
	case r.Other == nil:
		w.condition(&r.If)
	default:
		w.line("%s:", map[bool]string{true: "any", false: "all"}[r.Combine == alarm.Or])
		for _, c := range []*alarm.Condition{&r.If, r.Other} {
			w.indent = "    "
			w.dash = true
			w.condition(c)
		}
		w.indent = "  "
	}
	w.time("on_delay", r.OnDelay)
	w.time("off_delay", r.OffDelay)
	w.text("severity", string(r.Severity))
	w.where(&r.Where)
	if r.Disabled {
		w.line("disabled: true")
	}
	return w.b.String()
}

// writer writes keys and values.
type writer struct {
	b      strings.Builder
	indent string
	dash   bool // the next line starts a list entry
}

func (w *writer) line(format string, args ...any) {
	w.b.WriteString(w.indent)
	if w.dash {
		w.b.WriteString("- ")
		w.indent += "  "
		w.dash = false
	}
	fmt.Fprintf(&w.b, format+"\n", args...)
}

func (w *writer) text(key, value string) {
	if value != "" {
		w.line("%s: %s", key, value)
	}
}

func (w *writer) number(key string, v float64) {
	w.line("%s: %s", key, strconv.FormatFloat(v, 'g', -1, 64))
}

func (w *writer) time(key string, d time.Duration) {
	if d != 0 {
		w.line("%s: %s", key, alarm.FormatDuration(d))
	}
}

func (w *writer) condition(c *alarm.Condition) {
	w.text("kind", string(c.Kind))
	for _, f := range kindFields[c.Kind] {
		switch f {
		case "parameter":
			switch {
			case c.Kind == alarm.Anomaly:
				w.text(f, strconv.Quote(c.Parameter))
			case c.Kind != alarm.SwitchIs || c.Parameter != telemetry.SwitchStatus:
				w.text(f, c.Parameter)
			}
		case "unit":
			if c.Unit != "" {
				w.text(f, strconv.Quote(c.Unit))
			}
		case "limit":
			w.number(f, c.Limit)
		case "deadband":
			if c.Deadband != 0 {
				w.number(f, c.Deadband)
			}
		case "direction":
			w.text(f, string(c.Direction))
		case "per":
			w.text(f, map[bool]string{true: "second", false: "minute"}[c.Per == time.Second])
		case "window":
			w.time(f, c.Window)
		case "for":
			w.time(f, c.For)
		case "from":
			w.text(f, map[bool]string{true: "mean", false: "median"}[c.Mean])
		case "sensors":
			if c.Sensors != 0 {
				w.line("%s: %d", f, c.Sensors)
			}
		case "sensitivity":
			w.text(f, string(c.Sensitivity))
		case "enabled":
			if c.Off {
				w.line("enabled: false")
			}
		case "is":
			w.text(f, map[bool]string{true: `"on"`, false: `"off"`}[c.On])
		}
	}
}

func (w *writer) where(x *alarm.Where) {
	if len(x.Buildings)+len(x.Floors)+len(x.Models)+len(x.Devices) == 0 {
		return
	}
	w.line("where:")
	w.indent += "  "
	w.list("building", x.Buildings)
	floors := make([]string, len(x.Floors))
	for i, f := range x.Floors {
		floors[i] = strconv.Itoa(f)
	}
	if len(floors) > 0 {
		w.line("floor: [%s]", strings.Join(floors, ", "))
	}
	w.list("model", x.Models)
	w.list("device", x.Devices)
	w.indent = w.indent[:len(w.indent)-2]
}

func (w *writer) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	w.line("%s: [%s]", key, strings.Join(quoted, ", "))
}
