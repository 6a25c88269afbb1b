// Package anomaly decides from a detector's verdicts when an alarm about an unusual sensor is
// raised, becomes graver and clears, and keeps the number of these alarms within a budget. Time is
// plant time, so the same readings give the same alarms whenever they are processed. It does no
// I/O, has no clock, and nothing in it blocks.
package anomaly

import (
	"math"
	"strings"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/detect"
)

const (
	// TypePrefix starts the alarm types; the sensor's name follows.
	TypePrefix = "anomaly_"
	// Base is the score from which on an alarm is raised at ordinary sensitivity, while the
	// budget is unspent.
	Base = 0.5
	// least is the lowest base that a rule can set.
	least = Base * 0.8
	// most is the highest base: a score above it raises an alarm whatever rules and feedback say.
	most = 0.95
	// graveMS is how long an alarm lasts until it is of medium severity, and graveSensors how
	// many sensors of a device are unusual at once for the same.
	graveMS      = 15 * 60_000
	graveSensors = 2
	// liftStep is by how much feedback raises a sensor's base; what it raised halves every liftHalf.
	liftStep = 1.25
	maxLift  = 4
	liftHalf = 30 * 24 * 3_600_000
)

// Sensor returns the sensor that an alarm type is about; false: it is not of this package.
func Sensor(alertType string) (string, bool) { return strings.CutPrefix(alertType, TypePrefix) }

// Device is what is known about the alarms of one device. The zero value is that of a device
// without any. It holds only sensors that were unusual or had feedback.
type Device struct {
	Sensors []Episode `json:"sensors,omitempty"`
}

// Episode is one sensor's time of being unusual.
type Episode struct {
	Sensor string  `json:"sensor"`
	Since  int64   `json:"since,omitempty"` // ms, 0: it is usual
	Peak   float64 `json:"peak,omitempty"`  // highest score since then
	Raised bool    `json:"raised,omitempty"`
	Grave  bool    `json:"grave,omitempty"`
	Quiet  int64   `json:"quiet,omitempty"` // since when it looks usual again, 0: it does not
	// Lift is by how much feedback had raised the base at LiftAt; 0: there was none.
	Lift   float64 `json:"lift,omitempty"`
	LiftAt int64   `json:"lift_at,omitempty"`
}

// Limits are what applies to a sensor now.
type Limits struct {
	alarm.AnomalyLimits
	// Pressure is the share of the budget that is spent, 0 to 1.
	Pressure float64
}

// Policy tells the limits of a sensor.
type Policy interface {
	Limits(sensor string) Limits
}

// Input is one reading as the detector saw it; Samples and Verdicts belong together.
type Input struct {
	At       int64
	Samples  []detect.Sample
	Verdicts []detect.Verdict
	// Learn: no alarm is raised, because the reading is old, or was processed before.
	Learn bool
}

// Step is what happens to an alarm.
type Step uint8

// Steps.
const (
	Raise Step = iota
	Escalate
	Clear
)

// Change is one step of the alarm about the sensor of a sample.
type Change struct {
	Step  Step
	Index int // of the sample
	Grave bool
}

// Judge judges one reading and appends what changes to dst. It allocates nothing for a reading
// that is usual.
func (d *Device) Judge(in *Input, p Policy, dst []Change) []Change {
	if len(d.Sensors) == 0 && !unusual(in.Verdicts) {
		return dst
	}
	together := 0
	for i := range in.Verdicts {
		if v := &in.Verdicts[i]; !v.Learning && level(v) >= Base {
			together++
		}
	}
	for i := range in.Verdicts {
		v := &in.Verdicts[i]
		e := d.find(in.Samples[i].Sensor)
		if (e == nil || e.Since == 0) && (v.Learning || v.Score < least) {
			continue
		}
		if e == nil {
			d.Sensors = append(d.Sensors, Episode{Sensor: strings.Clone(in.Samples[i].Sensor)})
			e = &d.Sensors[len(d.Sensors)-1]
		}
		if step, changed := e.judge(in, v, together, p); changed {
			dst = append(dst, Change{Step: step, Index: i, Grave: e.Grave})
		}
		if step := len(dst) - 1; step >= 0 && dst[step].Step == Clear && dst[step].Index == i {
			e.end()
		}
	}
	d.prune(in.At)
	return dst
}

func unusual(verdicts []detect.Verdict) bool {
	for i := range verdicts {
		if verdicts[i].Score >= least {
			return true
		}
	}
	return false
}

func level(v *detect.Verdict) float64 { return max(v.Score, v.State) }

// judge moves e on by one verdict.
func (e *Episode) judge(in *Input, v *detect.Verdict, together int, p Policy) (Step, bool) {
	lim := p.Limits(e.Sensor)
	if lim.Off {
		raised := e.Raised
		if !raised {
			e.end()
		}
		return Clear, raised
	}
	base := min(lim.Base*e.lift(in.At), most)
	if e.Raised {
		return e.follow(in.At, level(v) < base/2, together, &lim)
	}
	if level(v) < base || v.Learning {
		e.end()
		return 0, false
	}
	if e.Since == 0 {
		if v.Score < base { // it lasts, and is no news
			return 0, false
		}
		e.Since = in.At
	}
	e.Peak = max(e.Peak, v.Score)
	if in.Learn || in.At-e.Since < lim.OnDelay || e.Peak < Threshold(base, lim.Pressure) {
		return 0, false
	}
	e.Raised, e.Grave = true, lim.Grave && together >= graveSensors
	return Raise, true
}

// follow moves an alarm on.
func (e *Episode) follow(at int64, quiet bool, together int, lim *Limits) (Step, bool) {
	switch {
	case !quiet:
		e.Quiet = 0
	case e.Quiet == 0:
		e.Quiet = at
	}
	switch {
	case e.Quiet != 0:
		return Clear, at-e.Quiet >= lim.OffDelay
	case !e.Grave && lim.Grave && (at-e.Since >= graveMS || together >= graveSensors):
		e.Grave = true
		return Escalate, true
	default:
		return 0, false
	}
}

// end makes the sensor usual; what feedback raised stays.
func (e *Episode) end() { *e = Episode{Sensor: e.Sensor, Lift: e.Lift, LiftAt: e.LiftAt} }

func (d *Device) find(sensor string) *Episode {
	for i := range d.Sensors {
		if d.Sensors[i].Sensor == sensor {
			return &d.Sensors[i]
		}
	}
	return nil
}

// prune forgets what says nothing any more.
func (d *Device) prune(at int64) {
	for i := len(d.Sensors) - 1; i >= 0; i-- {
		if e := &d.Sensors[i]; e.Since == 0 && e.lift(at) < 1.01 {
			d.Sensors = append(d.Sensors[:i], d.Sensors[i+1:]...)
		}
	}
	if len(d.Sensors) == 0 {
		d.Sensors = nil
	}
}

// Accept ends the alarm about a sensor, of which an operator said that it is none, at plant time
// at, and raises the sensor's base a little.
func (d *Device) Accept(sensor string, at int64) {
	e := d.find(sensor)
	if e == nil {
		d.Sensors = append(d.Sensors, Episode{Sensor: strings.Clone(sensor)})
		e = &d.Sensors[len(d.Sensors)-1]
	}
	e.end()
	e.Lift, e.LiftAt = min(e.lift(at)*liftStep, maxLift), at
}

// lift returns by how much feedback raises the base at plant time at.
func (e *Episode) lift(at int64) float64 {
	if e.Lift == 0 {
		return 1
	}
	return 1 + (e.Lift-1)*math.Exp2(-float64(max(at-e.LiftAt, 0))/liftHalf)
}
