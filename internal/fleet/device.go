package fleet

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	second = int64(1000) // in ms, as all times here
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// Keys of a device's independent random sequences.
const (
	keyTraits = iota + 1
	keyLoad
	keyTemperature
	keyHumidity
	keyPressure
	keyCurrent
	keySignal
	keyNoise
	keyFault
	keyWeather
	keyModel
	keyVibration
	keyAir
	keyWater
	keyRoom
	keyStop
	keyAnomaly
	keyBurst
	keyDropout
)

// device is the fixed traits of one device.
type device struct {
	id  string
	key uint64
	loc telemetry.Location

	// course is the key of slow courses: key, or the room's in a fleet with a rhythm.
	course   uint64
	shifts   shifts
	from, to int // the devices of its room: from ≤ i < to

	model   *model
	foreign bool  // it sends other units than its model's, where it has any
	clock   int64 // ms its clock is ahead

	warmth    float64 // °C, mean of the room
	daily     float64 // °C, amplitude of the daily cycle
	phase     float64 // of all its cycles, in periods
	trend     int64   // ms, period of the slow trend
	humidity  float64 // % at that warmth
	rated     float64 // A at full load
	heating   float64 // °C that full load adds to the room
	loadSlot  int64   // ms between two load steps
	loadShift int64   // ms
	signal    float64 // dBm
	batterySpan,
	batteryShift int64 // ms from full to replaced
}

func newDevice(seed uint64, number int, mixed bool, loc telemetry.Location) device {
	key := hash(mix(seed), uint64(number))
	r := hash(key, keyTraits)
	d := device{id: DeviceID(number), key: key, course: key, loc: loc, model: &models[0]}
	if mixed {
		d.model = drawModel(hash(key, keyModel))
		d.foreign = unit(hash(key, keyModel+1)) < foreignShare
	}
	d.warmth = between(r, 1, 19, 25)
	d.daily = between(r, 2, 0.8, 2.5)
	d.phase = between(r, 3, 0.60, 0.70) // warmest in the afternoon at UTC+8
	d.trend = int64(between(r, 4, 4, 9) * float64(day))
	d.humidity = between(r, 5, 42, 58)
	d.rated = between(r, 6, 1.5, 6)
	d.heating = 1.1 * d.rated
	d.loadSlot = int64(between(r, 7, 2, 10) * float64(minute))
	d.loadShift = int64(between(r, 8, 0, 1) * float64(d.loadSlot))
	d.signal = between(r, 9, -78, -42)
	d.batterySpan = int64(between(r, 10, 30, 90) * float64(day))
	d.batteryShift = int64(between(r, 11, 0, 1) * float64(d.batterySpan))
	return d
}

// load returns the machine's load at t and the heat it has built up, both 0..1.
func (d *device) load(t int64) (level, heat float64) {
	n, x := slot(t+d.loadShift, d.loadSlot)
	level, before := d.loadLevel(n), d.loadLevel(n-1)
	lag := 1 - math.Exp(-x*float64(d.loadSlot)/float64(90*second))
	return level, before + (level-before)*lag
}

func (d *device) loadLevel(n int64) float64 {
	levels := [...]float64{0, 0.35, 0.5, 0.7, 0.85, 1}
	draw := hash(d.course+keyLoad, uint64(n))
	if d.shifts != noShifts {
		return d.shifts.at(n*d.loadSlot-d.loadShift) * levels[1+draw%uint64(len(levels)-1)]
	}
	return levels[draw%uint64(len(levels))]
}

// Generator makes readings. It is for one goroutine.
type Generator struct {
	moment  moment
	values  [maxChannels]float64
	reading telemetry.Reading
	played  player
}

// Generator returns a new generator.
func (f *Fleet) Generator() *Generator {
	return &Generator{moment: moment{fleet: f, noise: newWhiteNoise()}, played: newPlayer(f)}
}

// Append appends the reading of device i at t (ms since 1970) as the contract's JSON. Its
// timestamp is t by the device's own clock.
func (g *Generator) Append(dst []byte, i int, t int64) []byte {
	g.Reading(i, t, &g.reading)
	return wire.AppendReading(dst, &g.reading)
}

// Reading fills r with the reading of device i at t (ms since 1970). Values that a fault makes
// missing are left out; see also Silent.
func (g *Generator) Reading(i int, t int64, r *telemetry.Reading) {
	d := &g.moment.fleet.devices[i]
	m := &g.moment
	channels := d.model.channels
	a := g.anomaly(i, t) // first: it uses the same memory
	v := g.clean(d, t)
	g.moment.fleet.plan.apply(d, t, v)
	g.play(a, d, t, v)

	r.DeviceID, r.Timestamp, r.Location = d.id, t+d.clock, d.loc
	r.Sensors = r.Sensors[:0]
	for _, k := range d.model.order {
		if isMissing(v[k]) {
			continue
		}
		r.Sensors = append(r.Sensors, channels[k].sensor(v[k], d.foreign))
	}
	r.Info = telemetry.DeviceInfo{Model: d.model.name, Firmware: "1.2.3", SignalStrength: telemetry.Some(m.signal())}
	if !d.model.mains {
		r.Info.Battery = telemetry.Some(d.battery(t))
	}
}

// clean returns the values of a device's channels without any fault. They are valid until the next call.
func (g *Generator) clean(d *device, t int64) []float64 {
	m := &g.moment
	m.aim(d, t)
	channels := d.model.channels
	v := g.values[:len(channels)]
	for k := range channels {
		c := &channels[k]
		v[k] = max(c.low, min(c.high, c.value(m)))
	}
	return v
}

// moment is a device at a time: what its sensors measure.
type moment struct {
	fleet       *Fleet
	noise       whiteNoise
	d           *device
	t           int64
	level, heat float64 // of the machine, 0 to 1
	stopped     bool    // for maintenance
	warming     float64 // °C above the room's mean
}

// aim sets the moment to device d at t: a daily cycle, a slow trend, drift, and the load of
// its machine, which warms the room.
func (m *moment) aim(d *device, t int64) {
	m.d, m.t = d, t
	m.noise.aim(d.key+keyNoise, t)
	m.level, m.heat = d.load(t)
	if m.fleet.rhythm {
		m.rest()
	}
	m.warming = d.daily*cycle(t, day, d.phase) + 1.2*cycle(t, d.trend, d.phase) +
		0.8*drift(d.course+keyTemperature, t, 20*minute) + d.heating*m.heat
}

// noisy returns v with white noise of deviation sigma at a variance of 1.
func (m *moment) noisy(v, sigma float64) float64 { return v + m.noise.normal(sigma*m.fleet.variance) }

// drift returns smooth noise in [-1, 1], one course for each key.
func (m *moment) drift(key uint64, period int64) float64 {
	own := drift(m.d.key+key, m.t, period)
	if m.d.course == m.d.key {
		return own
	}
	return ownCourse*own + (1-ownCourse)*drift(m.d.course+key, m.t, period)
}

func (d *device) battery(t int64) float64 {
	_, used := slot(t+d.batteryShift, d.batterySpan)
	return math.Round(100 - 92*used)
}

func (m *moment) signal() float64 {
	return math.Round(m.noisy(m.d.signal+4*m.drift(keySignal, 3*minute), 10))
}

// weather is the outdoor air pressure, the same for the whole fleet.
func (f *Fleet) weather(t int64) float64 {
	key := hash(mix(f.seed), keyWeather<<32)
	return 1013.25 + 7*drift(key, t, 2*day) + 0.6*cycle(t, day/2, 0)
}
