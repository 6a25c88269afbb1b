package dashboard

import (
	"slices"

	"industrial-iot-monitor/portal/internal/state"
)

// seenRounds is in how many rounds each device's time of the last reading goes out once. Nearly all
// devices have a new one in every round, and those who look for silent ones need no better: 10,000
// devices cost 24 KB/s rather than 240.
const seenRounds = 10

const factSeen = "seen"

// facts are what is known of devices beside their sensors, as topics fact/<name>. They are called
// within a View.
var facts = map[string]func(d *state.Device) value{
	factSeen: func(d *state.Device) value { return moment(d.Seen()) },
	"clock_offset": func(d *state.Device) value {
		return moment(d.ClockOffset())
	},
	"firmware": func(d *state.Device) value {
		if s := d.Info().Firmware; s != "" {
			return value{kind: text, text: s}
		}
		return value{}
	},
}

// moment is a time in ms; there is none at 0.
func moment(ms int64) value {
	if ms == 0 {
		return value{}
	}
	return value{kind: number, number: float64(ms)}
}

// factNames are the names in facts, sorted.
func factNames() []string {
	out := make([]string, 0, len(facts))
	for name := range facts {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// openFacts makes a column for each fact that is followed and drops the others.
func (p *Publisher) openFacts() {
	wanted := make(map[string]bool)
	for _, t := range p.followed() {
		if t.kind == kindFact {
			wanted[t.arg] = true
		}
	}
	for name, x := range p.facts {
		x.changed = x.changed[:0]
		if !wanted[name] {
			delete(p.facts, name)
		}
	}
	for name := range wanted {
		if p.facts[name] != nil {
			continue
		}
		if p.facts == nil {
			p.facts = make(map[string]*column)
		}
		p.facts[name] = &column{name: name, entries: []columnEntry{}, fresh: true}
	}
}

// factsFilled notes that all devices were looked at.
func (p *Publisher) factsFilled() {
	for _, x := range p.facts {
		x.fresh = false
	}
}

// lookAround brings the columns of facts up to date with a device. It is called within a View.
func (p *Publisher) lookAround(d *state.Device) {
	for name, x := range p.facts {
		switch {
		case !d.Known():
			x.set(d.Index, value{})
		case name != factSeen || x.fresh || (d.Index+p.rounds)%seenRounds == 0:
			x.set(d.Index, facts[name](d))
		}
	}
}
