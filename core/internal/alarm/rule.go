// Package alarm decides when an alarm is raised and when it is cleared: a pure function
// from a device's state and its next reading to the new state and the transitions
// between them. Time is the readings' own, so the same readings give the same journal
// whenever they are read, alert ids included. It does no I/O and nothing in it blocks.
package alarm

import (
	"errors"
	"fmt"
	"math"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Operators of a rule: the side of the limit on which there is an alarm.
const (
	Above = ">"
	Below = "<"
)

// Rule raises an alarm while a parameter is beyond a limit.
type Rule struct {
	Type      string // unique, for example "temperature_high"
	Parameter telemetry.Parameter
	Operator  string // Above or Below
	Value     float64
	// Deadband is how far the value must come back inside the limit before the
	// alarm clears, in the parameter's unit. Not negative.
	Deadband float64
	Severity telemetry.Severity
}

// broken reports whether v is beyond the limit.
func (r *Rule) broken(v float64) bool {
	if r.Operator == Above {
		return v > r.Value
	}
	return v < r.Value
}

// relieved reports whether v is far enough inside the limit to clear the alarm.
func (r *Rule) relieved(v float64) bool {
	if r.Operator == Above {
		return v <= r.Value-r.Deadband
	}
	return v >= r.Value+r.Deadband
}

func (r *Rule) check() error {
	switch {
	case r.Type == "":
		return errors.New("a rule needs a type")
	case r.Parameter >= telemetry.NumAnalog:
		return fmt.Errorf("rule %s: unknown parameter %d", r.Type, r.Parameter)
	case r.Operator != Above && r.Operator != Below:
		return fmt.Errorf("rule %s: operator %q; want > or <", r.Type, r.Operator)
	case !finite(r.Value):
		return fmt.Errorf("rule %s: limit %v; want a finite number", r.Type, r.Value)
	case !finite(r.Deadband) || r.Deadband < 0:
		return fmt.Errorf("rule %s: deadband %v; want a finite number, not negative", r.Type, r.Deadband)
	}
	return nil
}

func finite(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }

// Rules is a set of rules in force. It does not change and may be shared.
type Rules struct {
	by      [telemetry.NumAnalog][]Rule
	maxWait int64
}

// NewRules returns the set of rules. A reading that waited longer than maxWait in a
// gateway's buffer raises nothing: nobody is paged for what is long over.
func NewRules(maxWait time.Duration, rules ...Rule) (*Rules, error) {
	rs := &Rules{maxWait: maxWait.Milliseconds()}
	types := make(map[string]bool, len(rules))
	for _, r := range rules {
		if err := r.check(); err != nil {
			return nil, err
		}
		if types[r.Type] {
			return nil, fmt.Errorf("rule %s: defined twice", r.Type)
		}
		types[r.Type] = true
		rs.by[r.Parameter] = append(rs.by[r.Parameter], r)
	}
	return rs, nil
}

func (rs *Rules) find(p telemetry.Parameter, alertType string) *Rule {
	for i := range rs.by[p] {
		if rs.by[p][i].Type == alertType {
			return &rs.by[p][i]
		}
	}
	return nil
}
