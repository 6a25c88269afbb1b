package fleet

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// Label is the ground truth of one fault, for checking an alarm engine. Times are ms since
// 1970. From Start to End, inclusive, every reading of the device exceeds the contract's
// default limit of the parameter; before Onset and after Recovery none does; between them
// the value ramps.
type Label struct {
	Device    string `json:"device_id"`
	Type      string `json:"alert_type"` // as in an alert: "temperature_high"
	Parameter string `json:"-"`          // the sensor
	Onset     int64  `json:"onset"`
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	Recovery  int64  `json:"recovery"`
}

// faultKind is a kind of fault: a value ramps to a target between lo and hi.
type faultKind struct {
	name      string
	parameter string
	lo, hi    float64
}

// The kinds of faults, with targets clear of the contract's default limits (80 and 0 °C,
// 90 %, 10 A).
var faultKinds = [...]faultKind{
	{"temperature_high", telemetry.Temperature, 84, 97},
	{"temperature_low", telemetry.Temperature, -13, -3},
	{"humidity_high", telemetry.Humidity, 93, 98},
	{"current_high", telemetry.Current, 11, 15},
}

// faultsOf has the kinds of faults of each model's sensors.
var faultsOf = func() map[string][]*faultKind {
	of := make(map[string][]*faultKind, len(models))
	for i := range models {
		for k := range faultKinds {
			if models[i].channel(faultKinds[k].parameter) >= 0 {
				of[models[i].name] = append(of[models[i].name], &faultKinds[k])
			}
		}
	}
	return of
}()

// faultPlan divides time into slots. A hash of slot and device decides whether the device
// has a fault in it; a fault never crosses the slot.
type faultPlan struct {
	slot        int64 // ms
	probability float64
	ramp        int64 // ms
	short, long float64
}

// maxProbability of a fault in a slot, so that a device is healthy part of the time even
// if Faults is too high for the fleet.
const maxProbability = 0.9

func newFaultPlan(o Options) faultPlan {
	interval := float64(o.Interval.Milliseconds())
	p := faultPlan{
		slot:  max(2*minute, int64(14*interval)),
		ramp:  max(2*second, int64(interval)/2),
		short: max(float64(15*second), 3.5*interval),
		long:  max(float64(35*second), 6*interval),
	}
	p.probability = min(maxProbability, o.Faults*float64(p.slot)/float64(minute)/float64(o.Devices))
	return p
}

// fault is a label and its target value.
type fault struct {
	kind                          *faultKind
	target                        float64
	onset, start, end, recoveryMS int64
}

// at returns the fault of device d in slot n.
func (p *faultPlan) at(d *device, n int64) (fault, bool) {
	key := hash(d.key+keyFault, uint64(n))
	if unit(hash(key, 0)) >= p.probability {
		return fault{}, false
	}
	kinds := faultsOf[d.model.name]
	kind := kinds[hash(key, 1)%uint64(len(kinds))]
	length := int64(between(key, 2, p.short, p.long))
	onset := n*p.slot + int64(between(key, 3, 0, float64(p.slot-length-2*p.ramp)))
	return fault{
		kind: kind, target: between(key, 4, kind.lo, kind.hi),
		onset: onset, start: onset + p.ramp,
		end: onset + p.ramp + length, recoveryMS: onset + 2*p.ramp + length,
	}, true
}

// faultyWobble is the part of its ordinary variation that a value keeps during a fault:
// visible, but too small to come back within a limit.
const faultyWobble = 0.05

// apply changes the values v of the device's channels if it has a fault at t.
func (p *faultPlan) apply(d *device, t int64, v []float64) {
	if p.probability == 0 {
		return
	}
	f, ok := p.at(d, t/p.slot)
	if !ok || t < f.onset || t > f.recoveryMS {
		return
	}
	part := 1.0
	switch {
	case t < f.start:
		part = float64(t-f.onset) / float64(p.ramp)
	case t > f.end:
		part = float64(f.recoveryMS-t) / float64(p.ramp)
	}
	k := d.model.channel(f.kind.parameter)
	c := &d.model.channels[k]
	wobble := faultyWobble * (v[k] - (c.low+c.high)/2)
	v[k] += (f.target + wobble - v[k]) * part
	if f.kind.parameter != telemetry.Current {
		return
	}
	if k := d.model.channel(telemetry.SwitchStatus); k >= 0 {
		v[k] = 1
	}
	if k := d.model.channel(telemetry.Temperature); k >= 0 {
		v[k] += 6 * part // within the ordinary bounds
	}
}

// Labels returns the faults that overlap from..to (ms since 1970, inclusive), by onset.
func (f *Fleet) Labels(from, to int64) []Label {
	var out []Label
	if f.plan.probability == 0 {
		return nil
	}
	for i := range f.devices {
		for n := from / f.plan.slot; n <= to/f.plan.slot; n++ {
			x, ok := f.plan.at(&f.devices[i], n)
			if !ok || x.recoveryMS < from || x.onset > to {
				continue
			}
			out = append(out, Label{
				Device: f.devices[i].id, Type: x.kind.name, Parameter: x.kind.parameter,
				Onset: x.onset, Start: x.start, End: x.end, Recovery: x.recoveryMS,
			})
		}
	}
	slices.SortFunc(out, func(a, b Label) int {
		return cmp.Or(cmp.Compare(a.Onset, b.Onset), cmp.Compare(a.Device, b.Device))
	})
	return out
}
