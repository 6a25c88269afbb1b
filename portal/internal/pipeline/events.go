package pipeline

import (
	"maps"
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// Kinds of events.
const (
	EventStarted   = "started"   // a process that was not there before
	EventRestarted = "restarted" // To is its version, From the one before
	EventSilent    = "silent"    // no reports for three intervals
	EventBack      = "back"      // it reports again
	EventChanged   = "changed"   // a fact, such as the version of the rules
	EventLogLevel  = "log_level" // of its log; By is who changed it, empty: the usual one is back
)

// PlantEvent is something that changed in the plant.
type PlantEvent struct {
	Time     int64  `json:"time"` // ms since 1970, by the portal's clock
	Kind     string `json:"kind"`
	Program  string `json:"program"`
	Instance string `json:"instance"`
	Fact     string `json:"fact,omitempty"` // of changed
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	By       string `json:"by,omitempty"` // operator, of log_level
}

// Warning is a line of a process's log, of level warn or error.
type Warning struct {
	Time     int64  `json:"time"` // ms since 1970, by the clock of the process
	Program  string `json:"program"`
	Instance string `json:"instance"`
	Level    string `json:"level"`
	Message  string `json:"message"`
	Detail   string `json:"detail"` // key=value pairs
}

// note records what a report changes. It is called before it is taken.
func (b *Board) note(p *process, v *wire.Vitals, now int64) {
	e := PlantEvent{Time: now, Program: v.Program, Instance: v.Instance}
	switch {
	case p.heard == 0 && v.Started < b.begun:
		return // it was there before this portal
	case p.heard == 0:
		e.Kind, e.To = EventStarted, v.Version
	case v.Started != p.last.Started:
		p.restarts++
		e.Kind, e.From, e.To = EventRestarted, p.last.Version, v.Version
	case p.silent:
		e.Kind = EventBack
	}
	if e.Kind != "" {
		b.events.add(e)
	}
	for _, fact := range slices.Sorted(maps.Keys(v.Facts)) {
		if was, known := p.last.Facts[fact]; known && was != v.Facts[fact] {
			b.events.add(PlantEvent{Time: now, Kind: EventChanged, Program: v.Program, Instance: v.Instance, Fact: fact, From: was, To: v.Facts[fact]})
		}
	}
}

// silence records which processes became silent, and drops those that are gone for an hour.
func (b *Board) silence(now int64) {
	b.drop(func(p *process) bool { return now-p.heard > keptMS })
	for n, p := range b.processes {
		if !p.silent && now-p.heard > silentMS {
			p.silent = true
			b.events.add(PlantEvent{Time: now, Kind: EventSilent, Program: n.program, Instance: n.instance})
		}
	}
}

// shared is what programs in one process report alike.
type shared struct {
	level   string // of the log
	heard   int64  // newest time of a report, by the clock of the process
	numbers []uint64
}

// remembered is how many numbers of warnings are known of a process; it keeps no more lines itself.
const remembered = 128

// machine returns what the programs of v's process share, afresh if the process is another one
// with the same number.
func (b *Board) machine(v *wire.Vitals) *shared {
	m := machine{host: v.Host, pid: v.PID}
	s := b.machines[m]
	if s == nil || v.Started > s.heard {
		if len(b.machines) > 2*maxProcesses {
			clear(b.machines)
		}
		s = &shared{}
		b.machines[m] = s
	}
	s.heard = max(s.heard, v.Time)
	return s
}

// noteLevel records that the level of a process's log changed, once for all programs in it.
func (b *Board) noteLevel(v *wire.Vitals, now int64) {
	if v.LogLevel == "" {
		return
	}
	s := b.machine(v)
	if s.level != "" && s.level != v.LogLevel {
		b.events.add(PlantEvent{Time: now, Kind: EventLogLevel, Program: v.Program, Instance: v.Instance, From: s.level, To: v.LogLevel, By: v.LogLevelBy})
	}
	s.level = v.LogLevel
}

// warn keeps the warnings of a report. Programs that share a process may report the same ones:
// those that are none's own.
func (b *Board) warn(v *wire.Vitals) {
	if len(v.Warnings) == 0 {
		return
	}
	s := b.machine(v)
	for _, w := range v.Warnings {
		if slices.Contains(s.numbers, w.Number) {
			continue
		}
		if len(s.numbers) == remembered {
			s.numbers = slices.Delete(s.numbers, 0, 1)
		}
		s.numbers = append(s.numbers, w.Number)
		b.warnings.add(Warning{Time: w.Time, Program: v.Program, Instance: v.Instance, Level: w.Level, Message: w.Message, Detail: w.Detail})
	}
}

// logged is how many entries a log keeps.
const logged = 200

// log keeps the newest entries.
type log[T any] struct{ list []T }

func (l *log[T]) add(e T) {
	if len(l.list) == logged {
		l.list = slices.Delete(l.list, 0, 1)
	}
	l.list = append(l.list, e)
}

func (l *log[T]) newestFirst() []T {
	out := append([]T{}, l.list...)
	slices.Reverse(out)
	return out
}
