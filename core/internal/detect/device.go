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
	joint   joint // of the first maxJoint streams, as are pairs
	pairs   pairs
	seen    int64 // plant time in ms of the newest reading
	unusual int   // sensors that are unusual in it

	// Of the reading: the streams of its samples; by stream the value, NaN if it is missing, and what was found.
	columns []int
	values  []float64
	found   []findings
}

var jointSet = jointDefaults() // the same for all devices

// Step learns a reading that was taken at plant time at (ms) and appends a verdict for each sample
// to dst, in their order. A reading that is not newer than all before teaches nothing, and its
// verdicts are empty. It keeps no reference to samples.
func (d *Device) Step(set *Settings, at int64, samples []Sample, dst []Verdict) []Verdict {
	if at <= d.seen {
		return append(dst, make([]Verdict, len(samples))...)
	}
	d.seen = at
	off := zeros(samples) >= 2
	d.place(samples)
	for i, k := range d.columns {
		if k >= 0 {
			d.found[k] = d.streams[k].step(set, at, d.values[k], &samples[i], off)
		}
	}
	begin := len(dst)
	for _, k := range d.columns {
		if k < 0 {
			dst = append(dst, Verdict{Learning: true})
			continue
		}
		s := &d.streams[k]
		if !off {
			d.follow(set, at, s, &d.found[k])
		}
		dst = append(dst, s.verdict(at, &d.found[k]))
	}
	d.judgeTogether(set, at, dst[begin:])
	if !off {
		d.pair()
	}
	d.bind(at)
	return dst
}

// follow adds to what was found in a stream that it does not follow the sensor that it has a bond with. If that
// one is unusual on its own, this one is not to blame.
func (d *Device) follow(set *Settings, at int64, s *stream, found *findings) {
	with := int(s.Bond.With) - 1
	if with < 0 || math.IsNaN(d.values[with]) {
		return
	}
	e := s.Bond.judge(at, s.Previous, d.values[with], s.floor(), set.Settle.Milliseconds())
	if d.found[with].own() < over {
		found.add(kindCorrelation, e)
	}
}

// place finds the streams of samples and sets their values.
func (d *Device) place(samples []Sample) {
	if d.streams == nil { // a device sends the same sensors, mostly
		n := min(len(samples), maxSensors)
		d.names, d.streams = make([]string, 0, n), make([]stream, 0, n)
	}
	d.columns = d.columns[:0]
	for i := range samples {
		d.columns = append(d.columns, d.stream(samples[i].Sensor, i))
	}
	d.pairs.grow(len(d.names))
	d.values, d.found = d.values[:0], d.found[:0]
	for range d.names {
		d.values, d.found = append(d.values, math.NaN()), append(d.found, findings{})
	}
	for i, k := range d.columns {
		if k >= 0 {
			d.values[k] = min(max(samples[i].Value, -largest), largest)
		}
	}
}

// judgeTogether adds what the levels of all sensors together say on the first day, and counts the sensors
// that are unusual. Later they are judged by their own days, and how they move together is forgotten: starts
// and stops leave levels that do not fit for minutes.
func (d *Device) judgeTogether(set *Settings, at int64, verdicts []Verdict) {
	level := 0.0
	if len(d.streams) > 0 && d.streams[0].Values.Known {
		d.joint = joint{}
	} else {
		level = d.joint.step(&jointSet, set.Settle, at, d.values).Level
	}
	d.unusual = 0
	for i, k := range d.columns {
		if k >= 0 {
			d.streams[k].together(at, level, d.joint.holds(k), &verdicts[i])
		}
		if verdicts[i].State >= 0.5 {
			d.unusual++
		}
	}
}

// pair learns how the values of the reading move together, but for those of sensors that are unusual.
func (d *Device) pair() {
	for _, k := range d.columns {
		if k >= 0 && d.streams[k].Episode.Told > 0 {
			d.values[k] = math.NaN()
		}
	}
	if len(d.streams) > 0 {
		d.pairs.learn(d.values, float64(d.streams[0].Interval))
	}
}

// bind gives each sensor whose day has ended the bond that explains it best.
func (d *Device) bind(at int64) {
	for k := range min(len(d.streams), maxJoint) {
		if s := &d.streams[k]; s.Day == at && s.Values.Known {
			s.Bond = d.pairs.bind(k, len(d.streams), s.Bond)
		}
	}
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
	switch {
	case s.Apart && s.Episode.Told == 0:
		a = d.describeTogether(s, a)
	case s.Episode.Kind == kindCorrelation && s.Bond.With > 0:
		with := s.Bond.With - 1
		a.With, a.Sigma = d.names[with], 0
		a.Expected = s.Bond.expected(d.streams[with].Previous)
		a.Low, a.High = a.Expected+float64(s.Bond.Left.Low), a.Expected+float64(s.Bond.Left.High)
	}
	a.Sensor, a.Sensors = sensor, d.unusual
	return a, true
}

// describeTogether returns why a sensor does not fit the others of its device.
func (d *Device) describeTogether(s *stream, a telemetry.Anomaly) telemetry.Anomaly {
	a.Kind, a.Since, a.Sigma = telemetry.AnomalyCorrelation, s.ApartSince, 0
	a.Score = d.joint.State.level()
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
	}
	d.streams[i].accept()
	for k := range d.streams {
		if b := &d.streams[k].Bond; int(b.With) == i+1 {
			b.Left.accept()
		}
	}
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
	}
	return i
}
