package dashboard

import (
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
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

	id       string
	location telemetry.Location
	model    string
	gateway  string
	meta     *telemetry.DeviceMeta
	head     []byte // [index,"id","building",floor,"room","model","gateway"
	tail     []byte // ,"name",["tag",…]]

	seq uint64 // of the reading that the columns have; 0: none
}

// changes is what a scan found.
type changes struct {
	rows   []int // devices that are new, or whose place or name is
	states []int
}

func (c *changes) reset() { c.rows, c.states = c.rows[:0], c.states[:0] }

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
	p.openFacts()
	if sensors {
		step = decodeStep
		p.openColumns()
	}
	for from, more := 0, true; more; from += step {
		p.model.View(func() {
			all := p.model.Devices()
			for len(p.cells) < len(all) {
				p.cells = append(p.cells, cell{})
			}
			to := min(from+step, len(all))
			for i := from; i < to; i++ {
				p.look(all[i], now)
				p.lookAround(all[i])
				if sensors {
					p.lookInside(all[i])
				}
			}
			more = to < len(all)
		})
	}
	p.scanned = now
	p.factsFilled()
	if sensors {
		p.decoded = now
		p.columns.filled()
	}
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
	moved := !c.shown || c.id != d.ID || c.location != d.Location() || c.model != d.Info().Model || c.gateway != d.Gateway() || c.meta != d.Meta()
	if !moved && s == c.state && priority == c.priority && alarms == c.alarms {
		return
	}
	c.state, c.priority, c.alarms = s, priority, alarms
	if !moved {
		p.changes.states = append(p.changes.states, d.Index)
		return
	}
	c.shown, c.id, c.location, c.model, c.gateway, c.meta = true, d.ID, d.Location(), d.Info().Model, d.Gateway(), d.Meta()
	c.head, c.tail = c.appendHead(nil, d), c.appendTail(nil)
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
	if d.HasReading() && !d.Live() {
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

func (c *cell) appendTail(dst []byte) []byte {
	dst = append(dst, ',')
	dst = appendText(dst, c.meta.Name)
	dst = append(dst, ',')
	dst = appendTexts(dst, c.meta.Tags)
	return append(dst, ']')
}

// appendRow appends [index,"id",…,state,priority,alarms,"name",["tag",…]].
func (c *cell) appendRow(dst []byte) []byte {
	return append(c.appendState(append(dst, c.head...)), c.tail...)
}

// appendChange appends [index,state,priority,alarms].
func (c *cell) appendChange(dst []byte, index int) []byte {
	dst = append(dst, '[')
	return append(c.appendState(strconv.AppendInt(dst, int64(index), 10)), ']')
}

func (c *cell) appendState(dst []byte) []byte {
	for _, n := range [...]int{int(c.state), int(c.priority), c.alarms} {
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}
