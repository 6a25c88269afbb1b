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
)

// device is the fixed traits of one device.
type device struct {
	id  string
	key uint64
	loc telemetry.Location

	warmth    float64 // °C, mean of the room
	daily     float64 // °C, amplitude of the daily cycle
	phase     float64 // of all its cycles, in periods
	trend     int64   // ms, period of the slow trend
	humidity  float64 // % at that warmth
	rated     float64 // A at full load
	loadSlot  int64   // ms between two load steps
	loadShift int64   // ms
	signal    float64 // dBm
	batterySpan,
	batteryShift int64 // ms from full to replaced
}

func newDevice(seed uint64, number int, loc telemetry.Location) device {
	key := hash(mix(seed), uint64(number))
	r := hash(key, keyTraits)
	d := device{id: DeviceID(number), key: key, loc: loc}
	d.warmth = between(r, 1, 19, 25)
	d.daily = between(r, 2, 0.8, 2.5)
	d.phase = between(r, 3, 0.60, 0.70) // warmest in the afternoon at UTC+8
	d.trend = int64(between(r, 4, 4, 9) * float64(day))
	d.humidity = between(r, 5, 42, 58)
	d.rated = between(r, 6, 1.5, 6)
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
	return levels[hash(d.key+keyLoad, uint64(n))%uint64(len(levels))]
}

// Generator makes readings. It is for one goroutine.
type Generator struct {
	fleet   *Fleet
	noise   whiteNoise
	reading telemetry.Reading
}

// Generator returns a new generator.
func (f *Fleet) Generator() *Generator {
	return &Generator{fleet: f, noise: newWhiteNoise()}
}

// Append appends the reading of device i at t (ms since 1970) as the contract's JSON.
func (g *Generator) Append(dst []byte, i int, t int64) []byte {
	g.Reading(i, t, &g.reading)
	return wire.AppendReading(dst, &g.reading)
}

// Reading fills r with the reading of device i at t (ms since 1970).
func (g *Generator) Reading(i int, t int64, r *telemetry.Reading) {
	d := &g.fleet.devices[i]
	g.noise.aim(d.key+keyNoise, t)
	v := g.values(d, t)
	g.fleet.plan.apply(d, t, &v)

	r.DeviceID, r.Timestamp, r.Location = d.id, t, d.loc
	number := func(name string, p telemetry.Parameter, per float64, unit string) telemetry.Sensor {
		return telemetry.Sensor{Name: name, Number: round(v.analog[p], per), Unit: unit, Status: "normal"}
	}
	toggle := telemetry.Sensor{Name: telemetry.SwitchStatus, Kind: telemetry.Bool, Status: "off"}
	if v.on {
		toggle.Number, toggle.Status = 1, "on"
	}
	r.Sensors = append(r.Sensors[:0],
		number(telemetry.Temperature, telemetry.ParamTemperature, 10, "°C"),
		number(telemetry.Humidity, telemetry.ParamHumidity, 10, "%"),
		number(telemetry.Pressure, telemetry.ParamPressure, 100, "hPa"),
		toggle,
		number(telemetry.Current, telemetry.ParamCurrent, 100, "A"))
	r.Info = telemetry.DeviceInfo{
		Model: "IOT-SENSOR-V2", Firmware: "1.2.3",
		Battery: telemetry.Some(v.battery), SignalStrength: telemetry.Some(v.signal),
	}
}

// values are a device's values before rounding.
type values struct {
	analog  [telemetry.NumAnalog]float64
	on      bool
	battery float64
	signal  float64
}

// Bounds of ordinary values, well inside the contract's alarm limits at any noise, so that
// only labelled faults exceed them.
var ordinary = [telemetry.NumAnalog][2]float64{
	telemetry.ParamTemperature: {5, 70},
	telemetry.ParamHumidity:    {12, 82},
	telemetry.ParamPressure:    {930, 1060},
	telemetry.ParamCurrent:     {0, 8.5},
}

// values returns the ordinary values of a device: a daily cycle, a slow trend, drift and
// white noise; the load warms the room, and warm air is drier.
func (g *Generator) values(d *device, t int64) values {
	var v values
	noise := g.fleet.variance
	level, heat := d.load(t)

	warming := d.daily*cycle(t, day, d.phase) + 1.2*cycle(t, d.trend, d.phase) +
		0.8*drift(d.key+keyTemperature, t, 20*minute) + 1.1*d.rated*heat
	v.analog[telemetry.ParamTemperature] = d.warmth + warming + g.noise.normal(3*noise)
	v.analog[telemetry.ParamHumidity] = d.humidity - 1.3*warming +
		3*drift(d.key+keyHumidity, t, 30*minute) + g.noise.normal(8*noise)
	v.analog[telemetry.ParamPressure] = g.fleet.weather(t) - 0.42*float64(d.loc.Floor) +
		0.2*drift(d.key+keyPressure, t, 10*minute) + g.noise.normal(2*noise)

	v.on = level > 0
	v.analog[telemetry.ParamCurrent] = 0.04
	if v.on {
		v.analog[telemetry.ParamCurrent] = 0.2 + d.rated*level*(1+0.05*drift(d.key+keyCurrent, t, minute)) +
			g.noise.normal(0.5*noise)
	}
	for p := range v.analog {
		v.analog[p] = max(ordinary[p][0], min(ordinary[p][1], v.analog[p]))
	}
	_, used := slot(t+d.batteryShift, d.batterySpan)
	v.battery = math.Round(100 - 92*used)
	v.signal = math.Round(d.signal + 4*drift(d.key+keySignal, t, 3*minute) + g.noise.normal(10*noise))
	return v
}

// weather is the outdoor air pressure, the same for the whole fleet.
func (f *Fleet) weather(t int64) float64 {
	key := hash(mix(f.seed), keyWeather<<32)
	return 1013.25 + 7*drift(key, t, 2*day) + 0.6*cycle(t, day/2, 0)
}

// round rounds to the sensor's resolution of steps per unit.
func round(v, steps float64) float64 { return math.Round(v*steps) / steps }
