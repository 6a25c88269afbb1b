package ops

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry that already holds the Go runtime's and the process's
// collectors, the build's version, and the contract's iot_memory_usage_bytes,
// iot_cpu_usage_percent and iot_goroutines_total.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	process := NewProcess()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "iot_build_info",
		Help: "The version of this build; always 1.",
	}, []string{"version"})
	build.WithLabelValues(Version).Set(1)
	reg.MustRegister(
		build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iot_memory_usage_bytes",
			Help: "Resident memory of this process.",
		}, residentBytes),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iot_cpu_usage_percent",
			Help: "CPU used since the last scrape (at least one second), in percent of one core.",
		}, process.cpu.percent),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iot_goroutines_total",
			Help: "Goroutines that exist now.",
		}, func() float64 { return float64(runtime.NumGoroutine()) }),
	)
	return reg
}

// Process measures this process as iot_memory_usage_bytes, iot_cpu_usage_percent and
// iot_goroutines_total do.
type Process struct{ cpu *cpuMeter }

// Usage is the current resource usage of a process.
type Usage struct {
	MemoryBytes float64 `json:"memory_bytes"` // resident
	CPUPercent  float64 `json:"cpu_percent"`  // of one core, since Usage was last asked, at least one second
	Goroutines  int     `json:"goroutines"`
}

// NewProcess returns a Process; its first CPU figure is from now on.
func NewProcess() *Process {
	return &Process{cpu: &cpuMeter{last: time.Now(), used: CPUTime(), clock: CPUTime}}
}

// Usage returns the current usage.
func (p *Process) Usage() Usage {
	return Usage{MemoryBytes: residentBytes(), CPUPercent: p.cpu.percent(), Goroutines: runtime.NumGoroutine()}
}

// cpuMeter turns the process's CPU time into a rate between two readings.
type cpuMeter struct {
	clock func() time.Duration // CPU time used so far

	mu   sync.Mutex
	last time.Time
	used time.Duration
	rate float64
}

func (m *cpuMeter) percent() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if d := now.Sub(m.last); d >= time.Second {
		used := m.clock()
		m.rate = 100 * float64(used-m.used) / float64(d)
		m.last, m.used = now, used
	}
	return m.rate
}

// CPUTime returns how much CPU time this process has used, 0 where the system does not tell.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentBytes reads the resident set from /proc; without one it returns the memory that the
// Go runtime obtained from the system.
func residentBytes() float64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseFloat(f[1], 64); err == nil {
				return pages * float64(os.Getpagesize())
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys)
}
