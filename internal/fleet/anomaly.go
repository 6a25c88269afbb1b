package fleet

import (
	"cmp"
	"math"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// Kinds of labels beside those of package telemetry.
const (
	Silence     telemetry.AnomalyKind = "silence"     // no readings at all
	Maintenance telemetry.AnomalyKind = "maintenance" // a planned stop, no fault
)

// AnomalyKinds are the kinds of anomalies that a fleet plays.
var AnomalyKinds = []telemetry.AnomalyKind{
	telemetry.AnomalySpike, telemetry.AnomalyLevel, telemetry.AnomalyDrift, telemetry.AnomalyStuck,
	telemetry.AnomalyNoise, telemetry.AnomalyOscillation, telemetry.AnomalyDropout, Silence,
	telemetry.AnomalyCorrelation, telemetry.AnomalyPeers,
}

// AnomalyLabel is the ground truth of one anomaly. Readings from Onset to End (ms since 1970,
// inclusive) show it; all others are as if there were none.
type AnomalyLabel struct {
	Device string                `json:"device_id"`
	Sensor string                `json:"sensor,omitempty"` // empty: the whole device
	With   string                `json:"with,omitempty"`   // the other sensor, of a correlation
	Kind   telemetry.AnomalyKind `json:"kind"`
	Onset  int64                 `json:"onset"`
	End    int64                 `json:"end"`
	// Intensity is the displacement in usual spreads of the sensor (standard deviations over a
	// week); of noise, the added deviation in usual deviations from one value to the next; of
	// dropouts, the share that is missing; of stuck values 0.
	Intensity float64 `json:"intensity,omitempty"`
}

func byOnset(a, b AnomalyLabel) int {
	return cmp.Or(cmp.Compare(a.Onset, b.Onset), cmp.Compare(a.Device, b.Device))
}

// maxAnomalies per device and day.
const maxAnomalies = 24

// anomalyPlan divides time into slots, as faultPlan does. Slots are a day unless there are many
// anomalies; each lasts for at most half of its slot.
type anomalyPlan struct {
	slot        int64 // ms
	probability float64
	interval    int64 // ms between two readings
	from        int64
	kinds       []telemetry.AnomalyKind
}

func newAnomalyPlan(o *Options) anomalyPlan {
	p := anomalyPlan{slot: day, interval: o.Interval.Milliseconds(), from: o.AnomaliesFrom, kinds: o.Kinds}
	if len(p.kinds) == 0 {
		p.kinds = AnomalyKinds
	}
	if o.Anomalies > maxProbability {
		p.slot = int64(float64(day) / o.Anomalies * maxProbability)
	}
	p.probability = o.Anomalies * float64(p.slot) / float64(day)
	return p
}

// recipe says how long a kind lasts and how strong it is.
type recipe struct {
	short, long  int64
	weak, strong float64
}

var recipes = map[telemetry.AnomalyKind]recipe{
	telemetry.AnomalyLevel:       {2 * hour, 8 * hour, 5, 9},
	telemetry.AnomalyDrift:       {90 * minute, 4 * hour, 8, 14},
	telemetry.AnomalyStuck:       {30 * minute, 4 * hour, 0, 0},
	telemetry.AnomalyNoise:       {10 * minute, hour, 6, 12},
	telemetry.AnomalyOscillation: {10 * minute, hour, 5, 9},
	telemetry.AnomalyDropout:     {15 * minute, hour, 0.5, 1},
	Silence:                      {10 * minute, hour, 1, 1},
	telemetry.AnomalyCorrelation: {hour, 4 * hour, 2, 3.5},
	telemetry.AnomalyPeers:       {5 * hour, 10 * hour, 2, 3.5},
}

// anomaly is one of a device, ready to be played.
type anomaly struct {
	kind           telemetry.AnomalyKind
	channel, other int // other is -1 unless two sensors take part
	onset, end     int64
	intensity      float64
	offset         float64 // signed, in the unit of the channel
	usual          usual   // of the channel
	hold           float64 // the value of a stuck sensor
	key            uint64
	flicker        int64 // ms between two changes of an oscillation
}

// find returns the anomaly of device d in slot n. Kinds and sensors that the device cannot show
// visibly are passed over for another.
func (g *Generator) find(d *device, n int64) (anomaly, bool) {
	p := &g.moment.fleet.anomalies
	key := hash(d.key+keyAnomaly, uint64(n))
	if unit(hash(key, 0)) >= p.probability {
		return anomaly{}, false
	}
	var week []usual
	for _, k := range shuffled(hash(key, 1), len(p.kinds)) {
		a := anomaly{kind: p.kinds[k], key: key, channel: -1, other: -1}
		a.time(p, n)
		if a.onset < p.from || g.moment.fleet.rhythm && d.stopNear(a.onset-hour, a.end+hour) {
			continue
		}
		if week == nil {
			week = g.usual(d, (n+1)*p.slot)
		}
		if g.fit(d, &a, week) {
			return a, true
		}
	}
	return anomaly{}, false
}

// shuffled returns 0 to n-1 in an order that depends on key.
func shuffled(key uint64, n int) []int {
	order := make([]int, n)
	for k := range order {
		order[k] = k
	}
	for k := range order {
		other := k + int(hash(key, uint64(k))%uint64(n-k))
		order[k], order[other] = order[other], order[k]
	}
	return order
}

// time draws when the anomaly begins and ends in slot n.
func (a *anomaly) time(p *anomalyPlan, n int64) {
	var length int64
	if a.kind == telemetry.AnomalySpike {
		length = p.interval * int64(1+hash(a.key, 2)%3) // one to three values
		a.intensity = between(a.key, 3, 6, 12)
	} else {
		r := recipes[a.kind]
		length = int64(between(a.key, 2, float64(r.short), float64(r.long)))
		length = max(min(length, p.slot/2), 8*p.interval)
		a.intensity = between(a.key, 3, r.weak, r.strong)
	}
	a.onset = n*p.slot + int64(between(a.key, 4, 0, float64(p.slot-length)))
	a.end = a.onset + length - 1
	a.flicker = p.interval * int64(2+hash(a.key, 5)%4)
}

// fit chooses the sensor. It reports whether there is one.
func (g *Generator) fit(d *device, a *anomaly, week []usual) bool {
	if a.kind == Silence {
		return true
	}
	if a.kind == telemetry.AnomalyCorrelation {
		return g.fitPair(d, a, week)
	}
	intensity := a.intensity
	for _, a.channel = range shuffled(hash(a.key, 6), len(d.model.channels)) {
		a.usual, a.intensity = week[a.channel], intensity
		if g.fits(d, a) {
			return true
		}
	}
	return false
}

// fits reports whether the anomaly shows on its channel, and sets what it does there.
func (g *Generator) fits(d *device, a *anomaly) bool {
	c := &d.model.channels[a.channel]
	if c.kind != telemetry.Number || c.counter && a.kind != telemetry.AnomalyDropout {
		return false
	}
	switch a.kind {
	case telemetry.AnomalyDropout:
		return true
	case telemetry.AnomalyStuck:
		a.hold = g.clean(d, a.onset)[a.channel]
		// A sensor of a resting machine stands still anyway, and one whose noise is below its
		// resolution often does.
		return a.usual.noise*c.steps > 0.7 && (!c.driven || a.hold > a.usual.mean)
	case telemetry.AnomalyNoise:
		return !c.driven && a.intensity*a.usual.noise >= 3/c.steps
	case telemetry.AnomalyPeers:
		return g.moment.fleet.comparable(d, c) && a.displace(c, 1.5)
	default:
		return a.displace(c, 2.5)
	}
}

// displace sets the offset to intensity spreads, or to what is left until the bounds of ordinary
// values, which are clear of the alarm limits. It reports whether at least weakest spreads are left
// and whether the offset stands out from the noise.
func (a *anomaly) displace(c *channel, weakest float64) bool {
	u := &a.usual
	up, down := max(0, c.high-u.high), max(0, u.low-c.low)
	reach := a.intensity * u.spread
	left, sign := min(reach, up), 1.0
	if less := min(reach, down); !c.driven && (less > left || less == left && hash(a.key, 7)&1 == 0) {
		left, sign = less, -1
	}
	a.offset, a.intensity = sign*left, left/max(u.spread, math.SmallestNonzeroFloat64)
	wide := a.kind == telemetry.AnomalyPeers || left >= 0.8*(u.high-u.low) || c.driven && u.mean+left > u.high+8*u.noise
	return wide && a.intensity >= weakest && left >= max(6*u.noise, 3/c.steps)
}

// pairs are the sensors that move together, and how much the first moves for one unit of the second.
var pairs = [...]struct {
	sensor, with string
	slope        float64 // 0: the first falls to its value at rest
}{
	{telemetry.Humidity, telemetry.Temperature, -1.3},
	{"vibration", telemetry.Current, 0},
	{"power", telemetry.Current, 0},
}

// fitPair chooses two sensors that no longer move together.
func (g *Generator) fitPair(d *device, a *anomaly, week []usual) bool {
	for _, p := range pairs {
		k, w := d.model.channel(p.sensor), d.model.channel(p.with)
		if k < 0 || w < 0 {
			continue
		}
		a.channel, a.other, a.usual = k, w, week[k]
		c := &d.model.channels[w]
		if p.slope == 0 {
			v := g.clean(d, a.onset)[k]
			a.hold = g.atRest(d, a.onset, k)
			a.intensity = (v - a.hold) / max(a.usual.spread, math.SmallestNonzeroFloat64)
			return a.intensity >= 1
		}
		a.offset = min(a.intensity*week[w].spread, c.high-week[w].high)
		a.intensity = a.offset / max(week[w].spread, math.SmallestNonzeroFloat64)
		return a.intensity >= 1.5 && -p.slope*a.offset > 6*a.usual.noise
	}
	return false
}

// Anomalies returns the labels of the anomalies that overlap from..to (ms since 1970, inclusive),
// by onset.
func (f *Fleet) Anomalies(from, to int64) []AnomalyLabel {
	p := &f.anomalies
	if p.probability == 0 {
		return nil
	}
	g := f.Generator()
	var out []AnomalyLabel
	for i := range f.devices {
		d := &f.devices[i]
		for n := from / p.slot; n <= to/p.slot; n++ {
			if a, ok := g.find(d, n); ok && a.onset <= to && a.end >= from {
				out = append(out, a.label(d))
			}
		}
	}
	slices.SortFunc(out, byOnset)
	return out
}

func (a *anomaly) label(d *device) AnomalyLabel {
	l := AnomalyLabel{Device: d.id, Kind: a.kind, Onset: a.onset, End: a.end, Intensity: a.intensity}
	if a.channel >= 0 {
		l.Sensor = d.model.channels[a.channel].name
	}
	if a.other >= 0 {
		l.With = d.model.channels[a.other].name
	}
	return l
}
