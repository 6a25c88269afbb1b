package cluster

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is the CPU and memory a process used.
type Usage struct {
	CPU    time.Duration // user and system, over all starts
	MaxRSS int64         // bytes, the highest resident set of all starts
}

func (u *Usage) add(o Usage) {
	u.CPU += o.CPU
	u.MaxRSS = max(u.MaxRSS, o.MaxRSS)
}

// exitUsage is the usage of a process that exited. A process begins with the highest resident
// set of the one that started it, whose memory it has until exec: what it used itself is known
// only when it is more than that, and is else at least seen, the last that was read before.
func exitUsage(s *os.ProcessState, inherited, seen int64) Usage {
	u := Usage{CPU: s.UserTime() + s.SystemTime(), MaxRSS: seen}
	if r, ok := s.SysUsage().(*syscall.Rusage); ok && r.Maxrss<<10 > inherited {
		u.MaxRSS = r.Maxrss << 10
	}
	return u
}

// Usage returns the usage of a process over all its starts.
func (c *Cluster) Usage(name string) (Usage, error) {
	pr, err := c.process(name)
	if err != nil {
		return Usage{}, err
	}
	pr.mu.Lock()
	past, cmd := pr.past, pr.cmd
	pr.mu.Unlock()
	if !pr.running() {
		return past, nil
	}
	now, err := ProcessUsage(cmd.Process.Pid)
	if err != nil {
		return past, fmt.Errorf("usage of %s: %w", name, err)
	}
	past.add(now)
	return past, nil
}

// clockTick is the unit of times in /proc: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// highestRSS returns the highest resident set of a running process so far, in bytes; 0 if it
// has ended.
func highestRSS(pid int) int64 {
	rss, err := statusBytes("/proc/"+strconv.Itoa(pid), "VmHWM:")
	if err != nil {
		return 0
	}
	return rss
}

// ProcessUsage reads the usage of a running process from /proc.
func ProcessUsage(pid int) (Usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, err
	}
	// The second field is the command in parentheses and may contain anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime = 11, 12 // counted from the third field of proc(5)
	if len(fields) <= stime {
		return Usage{}, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	user, err := strconv.ParseInt(fields[utime], 10, 64)
	if err != nil {
		return Usage{}, err
	}
	system, err := strconv.ParseInt(fields[stime], 10, 64)
	if err != nil {
		return Usage{}, err
	}
	rss, err := statusBytes(dir, "VmHWM:")
	return Usage{CPU: time.Duration(user+system) * clockTick, MaxRSS: rss}, err
}

// statusBytes reads a size from a process's status: VmRSS is its resident set, VmHWM the highest.
func statusBytes(dir, field string) (int64, error) {
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("%s/status has no %s", dir, field)
}
