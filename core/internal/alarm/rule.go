// Package alarm decides when an alarm is raised and cleared: a pure function from a
// device's state and its next reading to the new state and the transitions between them,
// in the terms of ISA-18.2 and OPC UA Part 9. Time is event time, so the same readings
// give the same journal whenever they are processed, alert ids included. Rules files are
// read by package rules; this one does no I/O and nothing in it blocks.
package alarm

import (
	"cmp"
	"time"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// Kind is the kind of a condition.
type Kind string

// Kinds of conditions.
const (
	High       Kind = "high"        // above a limit
	HighHigh   Kind = "high_high"   // above a second, worse limit
	Low        Kind = "low"         // below a limit
	LowLow     Kind = "low_low"     // below a second, worse limit
	Rate       Kind = "rate"        // changes faster than a limit
	Stuck      Kind = "stuck"       // does not change while readings arrive
	Deviation  Kind = "deviation"   // further than a limit from the other sensors of the room
	SwitchIs   Kind = "switch"      // a boolean is on, or off
	BatteryLow Kind = "battery_low" // below a limit in percent
	SignalWeak Kind = "signal_weak" // below a limit in dBm
	Offline    Kind = "offline"     // nothing comes: judged outside, see Finding
	Anomaly    Kind = "anomaly"     // not as usual: judged outside; the rule adjusts that, see AnomalyLimits
)

// Direction of a rate of change.
type Direction string

// Directions.
const (
	Both Direction = "both"
	Up   Direction = "up"
	Down Direction = "down"
)

// Sensitivity is how little must be unusual for an alarm.
type Sensitivity string

// Sensitivities.
const (
	SensitivityLow    Sensitivity = "low"
	SensitivityMedium Sensitivity = "medium"
	SensitivityHigh   Sensitivity = "high"
)

// outside reports whether the condition is judged outside of this package, on findings.
func (c *Condition) outside() bool { return c.Kind == Offline || c.Kind == Anomaly }

// Combine is how two conditions make one.
type Combine string

// Ways to combine.
const (
	And Combine = "and"
	Or  Combine = "or"
)

// Rule raises an alarm while its condition holds.
type Rule struct {
	ID string
	// Type is the alert_type; empty: ID. Of several rules with one type the first that
	// matches a device applies to it.
	Type     string
	Severity telemetry.Severity
	Where    Where
	If       Condition
	// Other is the second condition of two, nil when there is one. If gives the alarm
	// its parameter and threshold.
	Combine Combine
	Other   *Condition
	// OnDelay is how long the condition must hold before there is an alarm, OffDelay
	// how long it must be gone before the alarm clears.
	OnDelay, OffDelay time.Duration
	// Disabled switches the rule off. It is how a rules file switches off a built-in
	// rule.
	Disabled bool
}

// Sensors returns the names of the sensors that r judges.
func (r Rule) Sensors() (names []string) {
	r = r.normal()
	for _, c := range []*Condition{&r.If, r.Other} {
		if c != nil && !c.outside() && c.Kind != BatteryLow && c.Kind != SignalWeak {
			names = append(names, c.Parameter)
		}
	}
	return names
}

// Where restricts a rule to some devices; the zero value matches all. Each list that is
// not empty must have an entry that matches.
type Where struct {
	Buildings []string
	Floors    []int
	Models    []string // patterns: * matches anything
	Devices   []string // patterns: * matches anything
}

// Condition is one comparison. Only the fields that its Kind names are used.
type Condition struct {
	Kind Kind
	// Parameter is the name of a sensor: of a number for high, low, rate, stuck and
	// deviation, of a boolean for switch (empty: switch_status). The others imply theirs.
	// In versions of rules it has its former name.
	Parameter string `json:"Signal"`
	// Unit of Limit and Deadband, of high, low, rate and deviation; empty: the canonical
	// unit of the parameter.
	Unit string `json:",omitempty"`
	// Limit: of rate in the unit per Per, positive; of deviation positive.
	Limit float64
	// Deadband is how far the value must return inside the limit before the condition
	// ends, in the limit's unit. Not negative.
	Deadband float64

	Direction Direction     // of rate; empty: Both
	Per       time.Duration // of rate, the unit of time of Limit; 0: a minute
	Window    time.Duration // of rate, over which it is measured; 0: a minute
	For       time.Duration // of stuck
	On        bool          // of switch: which state is the alarm
	Mean      bool          // of deviation: from the mean; else from the median
	Sensors   int           // of deviation: how many others must have a value; 0: 2

	Sensitivity Sensitivity `json:",omitempty"` // of anomaly; empty: SensitivityMedium
	Off         bool        `json:",omitempty"` // of anomaly: no alarm
}

// RuleSet is the source of Rules.
type RuleSet struct {
	Rules []Rule
	// MaxWait is how long a reading may have waited in a gateway's buffer and still raise
	// an alarm that is notified; 0: 5 minutes.
	MaxWait time.Duration
	// Catalogue converts the rules' units; nil: the built-in one.
	Catalogue *sensors.Catalogue
}

// With returns rs with the rules of over added; one with the id of a rule in rs replaces
// it.
func (rs RuleSet) With(over RuleSet) RuleSet {
	out := RuleSet{MaxWait: rs.MaxWait, Catalogue: cmp.Or(over.Catalogue, rs.Catalogue)}
	if over.MaxWait != 0 {
		out.MaxWait = over.MaxWait
	}
	replaced := make(map[string]int, len(rs.Rules))
	for i, r := range rs.Rules {
		replaced[r.ID] = i
	}
	out.Rules = append(out.Rules, rs.Rules...)
	for _, r := range over.Rules {
		if i, ok := replaced[r.ID]; ok {
			out.Rules[i] = r
			continue
		}
		out.Rules = append(out.Rules, r)
	}
	return out
}
