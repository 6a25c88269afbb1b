package detect

import (
	"math"
	"slices"
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Settings are the same for all devices. The zero value is not usable; Defaults returns one that is.
type Settings struct {
	// Settle is how long another level, spread or silence of a value must last to become usual.
	Settle time.Duration
}

// Defaults returns the settings that the product comes with.
func Defaults() Settings { return Settings{Settle: 24 * time.Hour} }

// Device is what is known about the sensors of one device. The zero value knows nothing. It is not
// safe for concurrent use.
type Device struct {
	names   []string
	streams []stream
	joint   joint // of the first maxJoint streams
	seen    int64 // plant time in ms of the newest reading
	unusual int   // sensors that are unusual in it
	// alone is when a sensor was last unusual on its own, plant time in ms.
	alone int64

	values []float64 // of the reading, by stream
}

// Parameters of the parts, the same for all devices.
var (
	jointSet = jointDefaults()
	newness  = defaultNovelty()
)

// Step learns a reading that was taken at plant time at (ms) and appends a verdict for each sample
// to dst, in their order. A reading that is not newer than all before teaches nothing, and its
// verdicts are empty. It keeps no reference to samples.
func (d *Device) Step(set *Settings, at int64, samples []Sample, dst []Verdict) []Verdict {
	if at <= d.seen {
		return append(dst, make([]Verdict, len(samples))...)
	}
	off := zeros(samples) >= 2
	begin := len(dst)
	d.blank()
	for i := range samples {
		k := d.stream(samples[i].Sensor, i)
		if k < 0 {
			dst = append(dst, Verdict{Learning: true})
			continue
		}
		d.values[k] = samples[i].Value
		dst = append(dst, d.streams[k].step(set, at, &samples[i], off))
	}
	d.judgeTogether(set, at, samples, dst[begin:])
	d.seen = at
	return dst
}

// blank makes the values of all streams missing.
func (d *Device) blank() {
	for len(d.values) < len(d.names) {
		d.values = append(d.values, 0)
	}
	for i := range d.values {
		d.values[i] = math.NaN()
	}
}

// judgeTogether judges how the sensors move together, and counts those that are unusual.
func (d *Device) judgeTogether(set *Settings, at int64, samples []Sample, verdicts []Verdict) {
	v := d.joint.step(&jointSet, set.Settle, at, d.values)
	if slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.State >= 0.5 }) {
		d.alone = at
	}
	levels := !d.known() && d.unexplained(&d.joint.State)
	pair := d.unexplained(&d.joint.Relation)
	d.unusual = 0
	for i := range samples {
		if k := d.stream(samples[i].Sensor, i); k >= 0 {
			d.streams[k].together(at, v.Level, d.joint.concerns(k, levels, pair), &verdicts[i])
		}
		if verdicts[i].State >= 0.5 {
			d.unusual++
		}
	}
}

// explainedFor is how long, in ms, a sensor that was unusual on its own explains why sensors do not fit
// each other.
const explainedFor = 4 * hour

func (d *Device) unexplained(s *jointState) bool { return s.On && s.Since > d.alone+explainedFor }

// known reports whether a day of the first sensor is over. Until then levels are judged by those of the
// other sensors, afterwards by their own days: starts and stops leave levels that do not fit for minutes.
func (d *Device) known() bool {
	return len(d.streams) > 0 && d.streams[0].Values.Known
}

// zeros counts the sensors that are exactly 0: of a machine that is off, current, speed and flow are.
func zeros(samples []Sample) (n int) {
	for i := range samples {
		if samples[i].Value == 0 {
			n++
		}
	}
	return n
}

// Describe returns what the newest verdict on a sensor was about, with the figures of its reason;
// false: the device has no such sensor.
func (d *Device) Describe(sensor string) (telemetry.Anomaly, bool) {
	i := slices.Index(d.names, sensor)
	if i < 0 {
		return telemetry.Anomaly{}, false
	}
	s := &d.streams[i]
	a := s.describe()
	if s.Apart && s.Episode.Told == 0 {
		a = d.describeTogether(s, a)
	}
	a.Sensor, a.Sensors = sensor, d.unusual
	return a, true
}

// describeTogether returns why a sensor does not fit the others of its device.
func (d *Device) describeTogether(s *stream, a telemetry.Anomaly) telemetry.Anomaly {
	a.Kind, a.Since, a.Sigma = telemetry.AnomalyCorrelation, s.ApartSince, 0
	a.Score = max(d.joint.State.level(), d.joint.Relation.level())
	a.Tail = math.Exp(-10*(a.Score-0.5)) / float64(s.Count+1)
	r, ok := d.joint.reason(&jointSet)
	if !ok {
		return a
	}
	if r.Sensor < len(d.streams) && s == &d.streams[r.Sensor] {
		a.Value, a.Expected = r.Value, r.Expected
	}
	if with := r.With; with >= 0 && with < len(d.names) {
		a.With = d.names[with]
		if s == &d.streams[with] {
			a.With = d.names[r.Sensor]
		}
	}
	return a
}

// Band returns which values of a sensor are usual after the newest reading; false: it is not known yet.
func (d *Device) Band(sensor string) (Band, bool) {
	i := slices.Index(d.names, sensor)
	if i < 0 {
		return Band{}, false
	}
	return d.streams[i].band()
}

// Accept makes usual what a sensor shows now, or showed when it was last unusual: an operator has
// said that it is none. It reports whether the device has such a sensor.
func (d *Device) Accept(sensor string) bool {
	i := slices.Index(d.names, sensor)
	if i < 0 {
		return false
	}
	if d.streams[i].Apart {
		d.joint.accept()
		d.joint.acceptRelation()
	}
	d.streams[i].accept()
	return true
}

// stream returns the index of the stream of a sensor, a new one if there is none, -1 if there are too
// many. Readings of a device have their sensors in one order, mostly: guess is tried first.
func (d *Device) stream(sensor string, guess int) int {
	if guess < len(d.names) && d.names[guess] == sensor {
		return guess
	}
	i := slices.Index(d.names, sensor)
	if i < 0 {
		if i = len(d.names); i == maxSensors {
			return -1
		}
		d.names = append(d.names, strings.Clone(sensor)) // it may share a whole reading's text
		d.streams = append(d.streams, stream{})
		d.values = append(d.values, math.NaN())
	}
	return i
}
