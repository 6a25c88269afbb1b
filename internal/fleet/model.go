package fleet

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
)

// maxChannels is the largest number of sensors of a model.
const maxChannels = 8

// foreignShare is the share of the devices of a mixed fleet that send other units.
const foreignShare = 0.25

// model is a kind of device.
type model struct {
	name     string
	share    float64 // of a mixed fleet
	mains    bool    // it has no battery
	channels []channel
	order    []int // of the sensors in a message
}

// channel is one sensor of a model. Its ordinary values are well inside the contract's
// alarm limits at any noise, so that only labelled faults exceed them.
type channel struct {
	name, unit string
	kind       telemetry.ValueKind
	steps      float64 // per unit: the sensor's resolution
	low, high  float64 // bounds of ordinary values
	value      func(m *moment) float64
	other      *scale                 // the unit of foreign devices; nil: the same
	driven     bool                   // by the load of the machine, and low while it rests
	counter    bool                   // it only rises
	room       bool                   // it measures the room, so that neighbours agree
	status     func(v float64) string // nil: normal
	text       func(v float64) string // of a text
}

// scale is another unit of a channel.
type scale struct {
	unit             string
	factor, addition float64 // value = v·factor + addition
	steps            float64
}

var (
	fahrenheit = &scale{unit: "°F", factor: 1.8, addition: 32, steps: 10}
	milliamps  = &scale{unit: "mA", factor: 1000, steps: 1}
	kilopascal = &scale{unit: "kPa", factor: 0.1, steps: 1000}
	milligrams = &scale{unit: "mg/m³", factor: 0.001, steps: 10_000}
)

// sensor returns the channel's value as the device sends it.
func (c *channel) sensor(v float64, foreign bool) telemetry.Sensor {
	s := telemetry.Sensor{Name: c.name, Kind: c.kind, Unit: c.unit, Status: "normal"}
	steps := c.steps
	switch {
	case c.kind == telemetry.Text:
		s.Text, s.Status = c.text(v), ""
		return s
	case foreign && c.other != nil:
		v, s.Unit, steps = v*c.other.factor+c.other.addition, c.other.unit, c.other.steps
	}
	s.Number = math.Round(v*steps) / steps
	if c.status != nil {
		s.Status = c.status(v)
	}
	return s
}

// models are the kinds of devices of a mixed fleet. The first one has the sensors of the
// contract and makes up a uniform fleet.
var models = [...]model{
	{
		name: "IOT-SENSOR-V2", share: 0.4, order: []int{0, 1, 2, 4, 3},
		channels: []channel{
			roomTemperature, roomHumidity,
			{
				name: telemetry.Pressure, unit: "hPa", steps: 100, low: 930, high: 1060, room: true, other: kilopascal,
				value: func(m *moment) float64 {
					return m.noisy(m.fleet.weather(m.t)-0.42*float64(m.d.loc.Floor)+0.2*m.drift(keyPressure, 10*minute), 2)
				},
			},
			motorCurrent, running,
		},
	},
	{
		name: "MOTOR-GUARD-3", share: 0.2, mains: true, order: []int{0, 1, 2, 3, 4, 5},
		channels: []channel{
			{
				name: "vibration", unit: "mm/s", steps: 100, low: 0, high: 6.5, driven: true,
				value: func(m *moment) float64 {
					if m.stopped {
						return 0
					}
					return m.noisy(0.25+2.2*m.level*(1+0.3*m.drift(keyVibration, 15*minute)), 0.5)
				},
			},
			{
				name: telemetry.Temperature, unit: "°C", steps: 10, low: 5, high: 70, other: fahrenheit,
				value: func(m *moment) float64 { return m.noisy(m.d.warmth+m.warming+12*m.heat, 3) },
			},
			motorCurrent,
			{
				name: "speed", unit: "rpm", steps: 1, low: 0, high: 3200, driven: true,
				value: func(m *moment) float64 {
					if m.level == 0 {
						return 0
					}
					return m.noisy(2980-60*m.level, 30)
				},
			},
			running,
			{
				name: "mode", kind: telemetry.Text, low: 0, high: 1,
				value: func(m *moment) float64 { return math.Round(unit(hash(m.d.key+keyLoad, uint64(m.t/hour)))) },
				text:  func(v float64) string { return [...]string{"auto", "manual"}[int(v)] },
			},
		},
	},
	{
		name: "POWER-METER-1P", share: 0.15, mains: true, order: []int{0, 1, 2, 3, 4, 5},
		channels: []channel{
			{
				name: "voltage", unit: "V", steps: 10, low: 207, high: 253,
				value: func(m *moment) float64 {
					return m.noisy(230+4*m.drift(keyPressure, 20*minute)-0.6*m.d.rated*m.level, 3)
				},
			},
			motorCurrent,
			{
				name: "power", unit: "kW", steps: 1000, low: 0, high: 2.2, driven: true,
				value: func(m *moment) float64 {
					if m.stopped {
						return 0
					}
					return m.noisy(0.23*0.92*(0.04+m.d.rated*m.level), 0.02)
				},
			},
			{
				// The mean load of all time, so that the counter never runs backwards.
				name: "energy", unit: "kWh", steps: 100, low: 0, high: math.MaxFloat64, counter: true,
				value: func(m *moment) float64 { return 0.12 * m.d.rated * float64(m.t-telemetry.MinTimestamp) / float64(hour) },
			},
			{
				name: "frequency", unit: "Hz", steps: 100, low: 49.5, high: 50.5,
				value: func(m *moment) float64 { return m.noisy(50+0.03*m.drift(keyHumidity, 5*minute), 0.1) },
			},
			{
				name: "power_factor", unit: "1", steps: 100, low: 0.5, high: 1,
				value: func(m *moment) float64 { return m.noisy(0.8+0.14*m.level, 0.05) },
			},
		},
	},
	{
		name: "AIR-QUALITY-6", share: 0.15, order: []int{0, 1, 2, 3, 4},
		channels: []channel{
			roomTemperature, roomHumidity,
			{
				name: "co2", unit: "ppm", steps: 1, low: 380, high: 1400,
				value: func(m *moment) float64 {
					people := m.fleet.attendance(m.t) * max(0, cycle(m.t, day, m.d.phase+0.05)) // in the room during the day
					return m.noisy(430+520*people+60*m.drift(keyAir, 30*minute), 80)
				},
			},
			{
				name: "pm2_5", unit: "µg/m³", steps: 10, low: 0, high: 70, other: milligrams,
				value: func(m *moment) float64 { return m.noisy(18+9*m.drift(keyAir+1<<8, 2*hour), 10) },
			},
			{
				name: "noise", unit: "dB", steps: 10, low: 25, high: 84, driven: true,
				value: func(m *moment) float64 { return m.noisy(41+27*m.level, 20) },
			},
		},
	},
	{
		name: "WATER-QUALITY-5", share: 0.1, order: []int{0, 1, 2, 3, 4},
		channels: []channel{
			{
				name: "flow", unit: "m³/h", steps: 100, low: 0, high: 40, driven: true, other: &scale{unit: "L/min", factor: 1000.0 / 60, steps: 1},
				value: func(m *moment) float64 { return m.noisy(22*m.level*(1+0.1*m.drift(keyWater, 5*minute)), 4) },
			},
			{
				name: "ph", unit: "pH", steps: 100, low: 6, high: 9,
				value: func(m *moment) float64 { return m.noisy(7.3+0.4*m.drift(keyWater+1<<8, hour), 0.3) },
			},
			{
				name: "conductivity", unit: "µS/cm", steps: 1, low: 100, high: 1500,
				value: func(m *moment) float64 { return m.noisy(520+140*m.drift(keyWater+2<<8, 3*hour), 40) },
			},
			{
				name: telemetry.Temperature, unit: "°C", steps: 10, low: 5, high: 40, other: fahrenheit,
				value: func(m *moment) float64 { return m.noisy(14+0.25*m.warming, 1) },
			},
			{
				name: "water_leak", kind: telemetry.Bool, steps: 1, low: 0, high: 0,
				value: func(*moment) float64 { return 0 },
			},
		},
	},
}

var roomTemperature = channel{
	name: telemetry.Temperature, unit: "°C", steps: 10, low: 5, high: 70, room: true, other: fahrenheit,
	value: func(m *moment) float64 { return m.noisy(m.d.warmth+m.warming, 3) },
}

// roomHumidity falls as the room warms.
var roomHumidity = channel{
	name: telemetry.Humidity, unit: "%", steps: 10, low: 12, high: 82, room: true,
	value: func(m *moment) float64 {
		return m.noisy(m.d.humidity-1.3*m.warming+3*m.drift(keyHumidity, 30*minute), 8)
	},
}

var motorCurrent = channel{
	name: telemetry.Current, unit: "A", steps: 100, low: 0, high: 8.5, driven: true, other: milliamps,
	value: func(m *moment) float64 {
		if m.stopped {
			return 0
		}
		if m.level == 0 {
			return 0.04
		}
		return m.noisy(0.2+m.d.rated*m.level*(1+0.05*m.drift(keyCurrent, minute)), 0.5)
	},
}

var running = channel{
	name: telemetry.SwitchStatus, kind: telemetry.Bool, steps: 1, low: 0, high: 1,
	value: func(m *moment) float64 { return math.Ceil(m.level) },
	status: func(v float64) string {
		if v != 0 {
			return "on"
		}
		return "off"
	},
}

// drawModel returns a model by its share.
func drawModel(key uint64) *model {
	x := unit(key)
	for i := range models {
		if x -= models[i].share; x < 0 {
			return &models[i]
		}
	}
	return &models[0]
}

// channel returns the index of a sensor, -1 if the model has none of that name.
func (m *model) channel(name string) int {
	for i := range m.channels {
		if m.channels[i].name == name {
			return i
		}
	}
	return -1
}
