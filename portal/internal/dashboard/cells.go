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
	shown bool
	state cellState
	signs

	id       string
	location telemetry.Location
	model    string
	gateway  string
	meta     *telemetry.DeviceMeta
	head     []byte // [index,"id","building",floor,"room","model","gateway"
	tail     []byte // ,"name",["tag",…]

	seq uint64 // of the reading that the columns have; 0: none
}

// signs are a device's alarms as its cell shows them. Priorities: 0 none, 1 critical … 4 low.
type signs struct {
	priority int8 // of the worst alarm that holds
	alarms   int  // how many hold
	over     int8 // priority of the worst one that is over and unacknowledged
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
			c.shown, c.state, c.signs = false, stateGone, signs{}
			p.changes.states = append(p.changes.states, d.Index)
		}
		return
	}
	s := p.stateOf(d, now)
	signs := p.signsOf(d)
	p.tallies.add(d, s)
	moved := !c.shown || c.id != d.ID || c.location != d.Location() || c.model != d.Info().Model || c.gateway != d.Gateway() || c.meta != d.Meta()
	if !moved && s == c.state && signs == c.signs {
		return
	}
	c.state, c.signs = s, signs
	if !moved {
		p.changes.states = append(p.changes.states, d.Index)
		return
	}
	c.shown, c.id, c.location, c.model, c.gateway, c.meta = true, d.ID, d.Location(), d.Info().Model, d.Gateway(), d.Meta()
	c.head, c.tail = c.appendHead(nil, d), c.appendTail(nil)
	p.changes.rows = append(p.changes.rows, d.Index)
}

// signsOf returns what of a device's alarms is shown. It is called within a View.
func (p *Publisher) signsOf(d *state.Device) signs {
	s := p.model.Standing(d.ID)
	return signs{priority: priorityOf(s.Worst), alarms: s.Holding, over: priorityOf(s.Over)}
}

func priorityOf(s telemetry.Severity) int8 {
	if s == "" {
		return 0
	}
	return int8(min(state.Rank(s)+1, 4))
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
	return appendTexts(dst, c.meta.Tags)
}

// appendRow appends [index,"id",…,state,priority,alarms,"name",["tag",…],over], and the end of the device's
// maintenance if there is one, in ms.
func (c *cell) appendRow(dst []byte) []byte {
	dst = c.appendOver(append(c.appendState(append(dst, c.head...)), c.tail...))
	if m := c.meta.Maintenance; m != nil {
		dst = strconv.AppendInt(append(dst, ','), m.Until, 10)
	}
	return append(dst, ']')
}

// appendChange appends [index,state,priority,alarms,over].
func (c *cell) appendChange(dst []byte, index int) []byte {
	dst = append(dst, '[')
	return append(c.appendOver(c.appendState(strconv.AppendInt(dst, int64(index), 10))), ']')
}

func (c *cell) appendOver(dst []byte) []byte {
	return strconv.AppendInt(append(dst, ','), int64(c.over), 10)
}

func (c *cell) appendState(dst []byte) []byte {
	for _, n := range [...]int{int(c.state), int(c.priority), c.alarms} {
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}
