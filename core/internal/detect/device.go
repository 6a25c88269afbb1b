package detect

import (
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
	seen    int64 // plant time in ms of the newest reading
	unusual int   // sensors that are unusual in it
}

// Step learns a reading that was taken at plant time at (ms) and appends a verdict for each sample
// to dst, in their order. A reading that is not newer than all before teaches nothing, and its
// verdicts are empty. It keeps no reference to samples.
func (d *Device) Step(set *Settings, at int64, samples []Sample, dst []Verdict) []Verdict {
	if at <= d.seen {
		return append(dst, make([]Verdict, len(samples))...)
	}
	d.unusual = 0
	off := zeros(samples) >= 2
	for i := range samples {
		s := d.stream(samples[i].Sensor, i)
		if s == nil {
			dst = append(dst, Verdict{Learning: true})
			continue
		}
		v := s.step(set, at, &samples[i], off)
		if v.State >= 0.5 {
			d.unusual++
		}
		dst = append(dst, v)
	}
	d.seen = at
	return dst
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
	a := d.streams[i].describe()
	a.Sensor, a.Sensors = sensor, d.unusual
	return a, true
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
	if i >= 0 {
		d.streams[i].accept()
	}
	return i >= 0
}

// stream returns the stream of a sensor, a new one if there is none, nil if there are too many. Readings of a device have
// their sensors in one order, mostly: guess is tried first.
func (d *Device) stream(sensor string, guess int) *stream {
	if guess < len(d.names) && d.names[guess] == sensor {
		return &d.streams[guess]
	}
	i := slices.Index(d.names, sensor)
	if i < 0 {
		if i = len(d.names); i == maxSensors {
			return nil
		}
		d.names = append(d.names, strings.Clone(sensor)) // it may share a whole reading's text
		d.streams = append(d.streams, stream{})
	}
	return &d.streams[i]
}
