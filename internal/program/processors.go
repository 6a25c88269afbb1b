package program

import (
	"context"
	"runtime"
	"time"

	"industrial-iot-monitor/internal/ops"
)

const (
	// balanceEvery is how often the load is looked at.
	balanceEvery = 200 * time.Millisecond
	// From busy cores in use on a program gets all processors. Below quiet cores one is enough.
	// On a busy machine a program uses less than it wants.
	quiet = 0.2
	busy  = 0.4
	// calmLooks is how many looks in a row find it quiet before it gets only one.
	calmLooks = 5
)

// scheduler decides how many processors the Go scheduler gets. At ordinary load a program is
// idle between any two readings, and waking a second processor for each of some short steps was
// measured as a sixth of a gateway's CPU time.
type scheduler struct {
	all, now int // processors
	calm     int // looks in a row that found it quiet
}

// next returns how many processors it gets, given how many cores it used since the last look.
func (s *scheduler) next(used float64) int {
	if used >= quiet {
		s.calm = 0
	} else {
		s.calm++
	}
	switch {
	case used >= busy:
		s.now = s.all
	case s.calm >= calmLooks:
		s.now = 1
	}
	return s.now
}

// balance sets GOMAXPROCS by the load until ctx ends.
func balance(ctx context.Context) {
	all := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(all)
	tick := time.NewTicker(balanceEvery)
	defer tick.Stop()
	s, last, before := scheduler{all: all, now: all}, time.Now(), ops.CPUTime()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now, cpu, had := time.Now(), ops.CPUTime(), s.now
		if next := s.next(float64(cpu-before) / float64(now.Sub(last))); next != had {
			runtime.GOMAXPROCS(next) // it stops the world
		}
		last, before = now, cpu
	}
}
