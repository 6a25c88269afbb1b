package dashboard

import (
	"math"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// State of a device as topic fleet shows it.
type cellState int8

const (
	stateUnknown cellState = iota
	stateOnline
	stateOffline
	stateStale
	stateGone
)

const (
	// usualInterval is assumed while a device's sending interval is unknown, ms.
	usualInterval = 20_000
	// staleLeast is the shortest time without a reading that makes a device stale, ms.
	staleLeast = 3_000
)

// cell is a device as last published. Cells belong to the goroutine of
// Run.
type cell struct {
	shown    bool
	state    cellState
	priority int8 // 0 none, 1 critical … 4 low
	alarms   int

	location telemetry.Location
	model    string
	gateway  string
	head     []byte // [index,"id","building",floor,"room","model","gateway"

	read     bool // values are those of the reading of:
	stamp    int64
	received int64
	values   [numSensors]float64 // NaN: absent
}

// changes is what a scan found.
type changes struct {
	rows   []int // new or moved devices
	states []int
	values [numSensors][]int
}

func (c *changes) reset() {
	c.rows, c.states = c.rows[:0], c.states[:0]
	for i := range c.values {
		c.values[i] = c.values[i][:0]
	}
}

// scanStep is how many devices a scan looks at before it releases the lock.
const (
	scanStep   = 1000
	decodeStep = 200 // when readings are decoded
)

// scan brings the cells up to date and notes in b.changes what changed.
func (p *Publisher) scan(now int64, sensors bool) {
	p.changes.reset()
	p.tallies.reset()
	step := scanStep
	if sensors {
		step = decodeStep
	}
	for from, more := 0, true; more; from += step {
		p.model.View(func() {
			all := p.model.Devices()
			for len(p.cells) < len(all) {
				p.cells = append(p.cells, newCell())
			}
			to := min(from+step, len(all))
			for i := from; i < to; i++ {
				p.look(all[i], now)
				if sensors {
					p.lookInside(all[i])
				}
			}
			more = to < len(all)
		})
	}
	p.scanned = now
	if sensors {
		p.decoded = now
	}
}

func newCell() cell {
	var c cell
	for i := range c.values {
		c.values[i] = math.NaN()
	}
	return c
}

// look compares a device with its cell. It is called within a View.
func (p *Publisher) look(d *state.Device, now int64) {
	c := &p.cells[d.Index]
	if !d.Known() {
		if c.shown {
			c.shown, c.state, c.priority, c.alarms = false, stateGone, 0, 0
			p.changes.states = append(p.changes.states, d.Index)
		}
		return
	}
	s := p.stateOf(d, now)
	priority, alarms := p.attention(d)
	p.tallies.add(d, s)
	moved := !c.shown || c.location != d.Location() || c.model != d.Info().Model || c.gateway != d.Gateway()
	if !moved && s == c.state && priority == c.priority && alarms == c.alarms {
		return
	}
	c.state, c.priority, c.alarms = s, priority, alarms
	if !moved {
		p.changes.states = append(p.changes.states, d.Index)
		return
	}
	c.shown, c.location, c.model, c.gateway = true, d.Location(), d.Info().Model, d.Gateway()
	c.head = c.appendHead(nil, d)
	p.changes.rows = append(p.changes.rows, d.Index)
}

// attention returns the priority of a device's worst alarm and how many need attention. It
// is called within a View.
func (p *Publisher) attention(d *state.Device) (priority int8, alarms int) {
	n, worst := p.model.Attention(d.ID)
	if n == 0 {
		return 0, 0
	}
	return int8(min(state.Rank(worst)+1, 4)), n
}

// stateOf judges a device. It is called within a View.
func (p *Publisher) stateOf(d *state.Device, now int64) cellState {
	switch d.Presence(now) {
	case telemetry.PresenceOffline:
		return stateOffline
	case telemetry.PresenceOnline:
	default:
		return stateUnknown
	}
	last, interval := max(p.arrived[d.Index], p.started), d.IntervalMS()
	if d.HasReading() && d.Backfill() {
		last = d.Received()
	}
	if interval == 0 {
		interval = usualInterval
	}
	if now-last > max(3*interval, staleLeast) {
		return stateStale
	}
	return stateOnline
}

func (c *cell) appendHead(dst []byte, d *state.Device) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(d.Index), 10)
	dst = append(dst, ',')
	dst = appendText(dst, d.ID)
	dst = append(dst, ',')
	dst = appendText(dst, c.location.Building)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, int64(c.location.Floor), 10)
	for _, s := range [...]string{c.location.Room, c.model, c.gateway} {
		dst = append(dst, ',')
		dst = appendText(dst, s)
	}
	return dst
}

// appendRow appends [index,"id",…,state,priority,alarms].
func (c *cell) appendRow(dst []byte) []byte {
	return c.appendState(append(dst, c.head...))
}

// appendChange appends [index,state,priority,alarms].
func (c *cell) appendChange(dst []byte, index int) []byte {
	dst = append(dst, '[')
	return c.appendState(strconv.AppendInt(dst, int64(index), 10))
}

func (c *cell) appendState(dst []byte) []byte {
	for _, n := range [...]int{int(c.state), int(c.priority), c.alarms} {
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return append(dst, ']')
}

// lookInside decodes a device's newest reading unless that was done before. It is
// called within a View.
func (p *Publisher) lookInside(d *state.Device) {
	c := &p.cells[d.Index]
	var now [numSensors]float64
	switch {
	case !d.HasReading():
		for i := range now {
			now[i] = math.NaN()
		}
		c.read = false
	case c.read && c.stamp == d.Timestamp() && c.received == d.Received():
		return
	default:
		c.read, c.stamp, c.received = true, d.Timestamp(), d.Received()
		if wire.DecodeReading(d.Payload(), &p.reading, nil) != nil {
			return // accepted by a newer core: keep the old values
		}
		now = valuesOf(&p.reading)
	}
	for i, v := range now {
		if v != c.values[i] && !(math.IsNaN(v) && math.IsNaN(c.values[i])) {
			c.values[i] = v
			p.changes.values[i] = append(p.changes.values[i], d.Index)
		}
	}
}

func valuesOf(r *telemetry.Reading) (v [numSensors]float64) {
	for i := range v {
		v[i] = math.NaN()
	}
	for p := range telemetry.NumAnalog {
		if m := r.Sensors.Analog(p); m.Present {
			v[p] = m.Value
		}
	}
	if s := r.Sensors.Switch(); s.Present {
		v[sensorSwitch] = 0
		if s.Value {
			v[sensorSwitch] = 1
		}
	}
	if b := r.Info.Battery; b.Present {
		v[sensorBattery] = b.Value
	}
	if s := r.Info.SignalStrength; s.Present {
		v[sensorSignal] = s.Value
	}
	return v
}

// appendValue appends [index,value].
func (c *cell) appendValue(dst []byte, index, sensor int) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, ',')
	v := c.values[sensor]
	switch {
	case math.IsNaN(v):
		dst = append(dst, "null"...)
	case sensor == sensorSwitch:
		dst = strconv.AppendBool(dst, v != 0)
	default:
		dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	return append(dst, ']')
}
