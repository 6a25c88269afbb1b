package program

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

const (
	balanceEvery = time.Second
	// Below quiet cores in use one processor is enough, from busy on the program gets all. On a busy
	// machine a program uses less than it wants.
	quiet = 0.2
	busy  = 0.3
)

// processors returns how many processors the Go scheduler gets next, given how many it has, how
// many there are, and how many cores the process used. At ordinary load a program is idle between
// any two readings, and waking a second processor for each of some short steps was measured as a
// sixth of a gateway's CPU time.
func processors(have, all int, used float64) int {
	switch {
	case used < quiet:
		return 1
	case used >= busy:
		return all
	}
	return have
}

// balance sets GOMAXPROCS by the load until ctx ends.
func balance(ctx context.Context) {
	all := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(all)
	tick := time.NewTicker(balanceEvery)
	defer tick.Stop()
	have, last, before := all, time.Now(), cpuTime()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now, cpu := time.Now(), cpuTime()
		used := float64(cpu-before) / float64(now.Sub(last))
		last, before = now, cpu
		if next := processors(have, all, used); next != have {
			runtime.GOMAXPROCS(next)
			have = next
		}
	}
}

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
