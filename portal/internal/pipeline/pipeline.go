// Package pipeline knows what the plant itself did in the last hours: its processes and their use
// of the machine, the stages between a device and a screen and how long each takes, lanes and
// partitions, and what changed. It learns it from what processes report of themselves, and from the portal's own
// figures. It does no I/O and blocks on a short lock only.
package pipeline

import (
	"cmp"
	"slices"
	"sync"

	"industrial-iot-monitor/internal/wire"
)

const (
	// keptMS is how long the courses of processes, and those that are gone, are kept.
	keptMS = 3_600_000
	// silentMS is the age of a report at which its process is silent.
	silentMS = 3*wire.VitalsEvery + 500
	// maxProcesses bounds how many are known. Beyond it the longest silent makes room.
	maxProcesses = 2000
)

// Board is what is known. All methods may be called concurrently.
type Board struct {
	mu        sync.Mutex
	begun     int64 // ms, when it began to listen
	processes map[name]*process
	machines  map[machine]*shared
	stages    [len(stageNames)]stageTrack
	strips    map[stripName]*strip
	events    log[PlantEvent]
	warnings  log[Warning]
}

// name of a program in the plant.
type name struct{ program, instance string }

// machine is a process of the operating system; it may run several programs.
type machine struct {
	host string
	pid  int
}

// New returns a Board that knows nothing yet, at a time in ms.
func New(now int64) *Board {
	return &Board{begun: now, processes: make(map[name]*process), machines: make(map[machine]*shared), strips: make(map[stripName]*strip)}
}

// Observe takes a report that arrived now, a time in ms.
func (b *Board) Observe(v wire.Vitals, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.process(name{v.Program, v.Instance}, now)
	if p.heard != 0 && v.Started == p.last.Started && v.Time <= p.last.Time {
		return // came twice
	}
	b.note(p, &v, now)
	b.noteLevel(&v, now)
	p.take(v, now)
	b.warn(&v)
}

// Knows reports whether a program has reported within the last hour.
func (b *Board) Knows(program, instance string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.processes[name{program, instance}] != nil
}

// process returns the process of this name, a new one if it is unknown.
func (b *Board) process(n name, now int64) *process {
	p := b.processes[n]
	if p != nil {
		return p
	}
	if len(b.processes) >= maxProcesses {
		b.forget(now)
	}
	p = &process{}
	b.processes[n] = p
	return p
}

// forget drops the processes that are gone, or else the one that was heard longest ago.
func (b *Board) forget(now int64) {
	before := len(b.processes)
	b.drop(func(p *process) bool { return now-p.heard > keptMS })
	if len(b.processes) < before {
		return
	}
	var oldest name
	for n, p := range b.processes {
		if q := b.processes[oldest]; q == nil || p.heard < q.heard {
			oldest = n
		}
	}
	delete(b.processes, oldest)
}

func (b *Board) drop(gone func(*process) bool) {
	for n, p := range b.processes {
		if gone(p) {
			delete(b.processes, n)
		}
	}
}

// Processes returns all, sorted by program and instance, at a time in ms.
func (b *Board) Processes(now int64) []Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Process, 0, len(b.processes))
	for _, p := range b.processes {
		out = append(out, p.show(now))
	}
	slices.SortFunc(out, func(a, c Process) int {
		return cmp.Or(cmp.Compare(order(a.Program), order(c.Program)), cmp.Compare(a.Program, c.Program), cmp.Compare(a.Instance, c.Instance))
	})
	return out
}

// order is that of the programs on a reading's way.
func order(program string) int {
	if i := slices.Index([]string{"edge", "bridge", "core", "historian", "portal"}, program); i >= 0 {
		return i
	}
	return 99
}

// Events returns what changed, the newest first.
func (b *Board) Events() []PlantEvent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events.newestFirst()
}

// Warnings returns the newest lines of the processes' logs, the newest first.
func (b *Board) Warnings() []Warning {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.warnings.newestFirst()
	slices.SortStableFunc(out, func(a, c Warning) int { return cmp.Compare(c.Time, a.Time) })
	return out
}
