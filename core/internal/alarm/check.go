package alarm

import (
	"fmt"
	"math"
	"time"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// Bounds of a rule's times.
const (
	MaxDelay  = 24 * time.Hour
	MinWindow = 2 * time.Second
	MinStuck  = 10 * time.Second
)

// FieldError is one error in a rule.
type FieldError struct {
	// Field as in a rules file; that of a condition starts with "if." or "other.".
	Field   string
	Message string // the value found, and the values wanted
}

// Error implements error.
func (c FieldError) Error() string { return c.Field + " " + c.Message }

// WantParameter describes a parameter.
const WantParameter = "the name of a sensor, like temperature or co2: [a-z][a-z0-9_]{0,31}"

// problems collects errors.
type problems struct {
	prefix string
	list   []FieldError
}

func (c *problems) want(ok bool, field, format string, args ...any) {
	if !ok {
		c.list = append(c.list, FieldError{c.prefix + field, fmt.Sprintf(format, args...)})
	}
}

// Check returns all errors in r; its units are those of the catalogue.
func (r Rule) Check(catalogue *sensors.Catalogue) []FieldError {
	r = r.normal()
	var c problems
	c.want(telemetry.ValidDeviceID(r.ID), "id", "%q: want 1 to 64 letters, digits, _ or -", r.ID)
	c.want(telemetry.ValidDeviceID(r.Type), "type", "%q: want 1 to 64 letters, digits, _ or -", r.Type)
	c.want(priority(r.Severity) != 0, "severity", "%q: want critical, high, medium or low", r.Severity)
	c.want(r.OnDelay >= 0 && r.OnDelay <= MaxDelay, "on_delay", "%s: want 0s to 24h", r.OnDelay)
	c.want(r.OffDelay >= 0 && r.OffDelay <= MaxDelay, "off_delay", "%s: want 0s to 24h", r.OffDelay)
	if r.If.Kind == Anomaly {
		c.want(priority(r.Severity) > priority(telemetry.SeverityHigh), "severity", "%q: of a rule of kind anomaly want medium or low", r.Severity)
	}
	c.prefix = "if."
	r.If.check(&c, catalogue)
	if r.Other != nil {
		c.want(!r.If.outside(), "kind", "%s: it cannot be combined", r.If.Kind)
		c.prefix = "other."
		r.Other.check(&c, catalogue)
		c.want(!r.Other.outside(), "kind", "%s: it cannot be combined", r.Other.Kind)
		c.prefix = ""
		c.want(r.Combine == And || r.Combine == Or, "combine", "%q: want and, or", r.Combine)
	}
	return c.list
}

func (c *Condition) check(out *problems, catalogue *sensors.Catalogue) {
	want := out.want
	want(finite(c.Limit), "limit", "%v: want a finite number", c.Limit)
	want(finite(c.Deadband) && c.Deadband >= 0, "deadband", "%v: want a finite number, 0 or more", c.Deadband)
	parameter := func() {
		want(telemetry.ValidSensorName(c.Parameter), "parameter", "%q: want %s", c.Parameter, WantParameter)
		if c.Unit != "" && telemetry.ValidSensorName(c.Parameter) {
			_, err := c.canonical(catalogue)
			want(err == nil, "unit", "%v", err)
		}
	}
	size := func() {
		want(c.Limit > 0, "limit", "%v: want more than 0", c.Limit)
		want(c.Deadband < c.Limit || c.Limit <= 0, "deadband", "%v: want less than the limit, %v", c.Deadband, c.Limit)
	}
	switch c.Kind {
	case High, HighHigh, Low, LowLow:
		parameter()
	case Rate:
		parameter()
		size()
		want(c.Direction == Both || c.Direction == Up || c.Direction == Down, "direction", "%q: want up, down or both", c.Direction)
		want(c.Per == time.Second || c.Per == time.Minute, "per", "%s: want second or minute", c.Per)
		want(c.Window >= MinWindow && c.Window <= MaxDelay, "window", "%s: want 2s to 24h", c.Window)
	case Stuck:
		parameter()
		want(c.For >= MinStuck && c.For <= MaxDelay, "for", "%s: want 10s to 24h", c.For)
	case Deviation:
		parameter()
		size()
		want(c.Sensors >= 1 && c.Sensors <= 1000, "sensors", "%d: want 1 to 1000", c.Sensors)
	case BatteryLow:
		want(c.Limit > 0 && c.Limit <= 100, "limit", "%v: want a percentage, more than 0 and at most 100", c.Limit)
	case SignalWeak:
		want(c.Limit < 0, "limit", "%v: want dBm, less than 0", c.Limit)
	case SwitchIs:
		parameter()
	case Offline:
	case Anomaly:
		want(c.Parameter == AnySensor || telemetry.ValidSensorName(c.Parameter), "parameter", "%q: want %s, or * for all", c.Parameter, WantParameter)
		_, known := sensitivities[c.Sensitivity]
		want(known, "sensitivity", "%q: want low, medium or high", c.Sensitivity)
	default:
		want(false, "kind", "%q: want high, high_high, low, low_low, rate, stuck, deviation, switch, battery_low, signal_weak, offline or anomaly", c.Kind)
	}
}

func finite(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }

// priority returns the rank of a severity, 1 to 4, and 0 for none.
func priority(s telemetry.Severity) int {
	switch s {
	case telemetry.SeverityCritical:
		return 1
	case telemetry.SeverityHigh:
		return 2
	case telemetry.SeverityMedium:
		return 3
	case telemetry.SeverityLow:
		return 4
	default:
		return 0
	}
}
