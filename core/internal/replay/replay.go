// Package replay runs the alarm engine over readings again: to try rules on what has
// happened, and to explain an alarm. It does no I/O and nothing in it blocks.
package replay

import (
	"maps"
	"slices"
	"strings"

	"industrial-iot-monitor/core/internal/alarm"
)

// Replay runs rules over the readings of any number of devices, those of each device in
// order.
type Replay struct {
	rules  *alarm.Rules
	states map[string]alarm.State
}

// New returns a replay with rules over devices of which nothing is known.
func New(rules *alarm.Rules) *Replay {
	return &Replay{rules: rules, states: make(map[string]alarm.State)}
}

// Step judges one reading and appends what it caused to dst.
func (r *Replay) Step(in alarm.Input, dst []alarm.Transition) []alarm.Transition {
	id := in.Reading.DeviceID
	s, known := r.states[id]
	if !known {
		id = strings.Clone(id) // a reading's texts may share its whole text
	}
	s, dst, _ = r.rules.Step(s, in, dst)
	r.states[id] = s
	return dst
}

// Finish lets what is due by now (ms) happen, device by device in the order of their
// ids: delays that still run, incidents that nobody has seen the end of.
func (r *Replay) Finish(now int64, dst []alarm.Transition) []alarm.Transition {
	for _, id := range slices.Sorted(maps.Keys(r.states)) {
		r.states[id], dst, _ = r.rules.Tick(r.states[id], now, dst)
	}
	return dst
}

// Open returns how many alarms are not normal now.
func (r *Replay) Open() int {
	n := 0
	for _, s := range r.states {
		n += s.Open()
	}
	return n
}
