package pipeline

import (
	"math"

	"industrial-iot-monitor/internal/wire"
)

const (
	// A process's course has a point a minute: what is seen of a thousand gateways at once.
	minuteMS = 60_000
	minutes  = keptMS / minuteMS
	// trendMinutes is the least number of minutes that a trend of memory is said of.
	trendMinutes = 10
)

// Process is a program of the plant, as its newest report says.
type Process struct {
	Program  string `json:"program"`
	Instance string `json:"instance"`
	// Host and PID name the process of the operating system. Programs with the same ones share
	// a process, and its resources are told of each of them.
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
	Started int64  `json:"started"` // ms since 1970
	// Restarts counts those that this portal has seen within the time that it has listened.
	Restarts    int     `json:"restarts"`
	AgeMS       int64   `json:"age_ms"` // of the report
	Silent      bool    `json:"silent"` // no report for three intervals
	CPUPercent  float64 `json:"cpu_percent"`
	MemoryBytes float64 `json:"memory_bytes"`
	Goroutines  int     `json:"goroutines"`
	// MemoryPerMinute is how fast its memory grew over the last hour, in bytes; null with less
	// than ten minutes of it.
	MemoryPerMinute *float64 `json:"memory_per_minute"`
	// LogLevel is the least severe level that is logged, empty if unknown. LogLevelBy changed it
	// until LogLevelUntil (ms since 1970, 0: it is the usual one).
	LogLevel      string            `json:"log_level"`
	LogLevelBy    string            `json:"log_level_by,omitempty"`
	LogLevelUntil int64             `json:"log_level_until,omitempty"`
	Facts         map[string]string `json:"facts"`
	Course        ProcessCourse     `json:"course"`
}

// ProcessCourse is the last hour of a process, with a point a minute: means, and the most of
// memory and buffer. Minutes without a report are null.
type ProcessCourse struct {
	From   int64      `json:"from"` // ms since 1970, the beginning of the first minute
	StepMS int64      `json:"step_ms"`
	CPU    []*float64 `json:"cpu_percent"`
	Memory []*float64 `json:"memory_bytes"`
	// Rate and MS are those of the stage that the program runs first, Buffer that of a gateway, 0 to 1.
	Rate   []*float64 `json:"rate"`
	MS     []*float64 `json:"ms"`
	Buffer []*float64 `json:"buffer_used"`
}

// process is what is known of a program.
type process struct {
	last     wire.Vitals // without its warnings
	heard    int64       // ms, by the portal's clock
	silent   bool        // it was said to be
	restarts int
	course   [minutes]minute
}

// minute is a minute of a process; the ring has them by their number.
type minute struct {
	number      int64
	reports     int
	cpu, memory float64 // sum, most
	rate        float64 // sum
	count, ms   float64 // times that were measured, their sum
	stages      bool
	buffer      float64 // most
	buffered    bool
}

// take makes v the newest report.
func (p *process) take(v wire.Vitals, now int64) {
	v.Warnings = nil
	p.last, p.heard, p.silent = v, now, false
	m := p.minute(now)
	m.reports++
	m.cpu += v.CPUPercent
	m.memory = max(m.memory, v.MemoryBytes)
	if len(v.Stages) > 0 {
		s := &v.Stages[0]
		m.stages = true
		m.rate += s.Rate
		m.count += float64(s.Count)
		m.ms += s.Mean * float64(s.Count)
	}
}

// minute returns the one at hand.
func (p *process) minute(now int64) *minute {
	m := &p.course[(now/minuteMS)%minutes]
	if m.number != now/minuteMS {
		*m = minute{number: now / minuteMS}
	}
	return m
}

// buffer notes how full a gateway's buffer is.
func (p *process) buffer(used float64, now int64) {
	m := p.minute(now)
	m.buffer, m.buffered = max(m.buffer, used), true
}

func (p *process) show(now int64) Process {
	v := &p.last
	out := Process{
		Program: v.Program, Instance: v.Instance, Host: v.Host, PID: v.PID, Version: v.Version, Started: v.Started,
		Restarts: p.restarts, AgeMS: max(now-p.heard, 0), Silent: now-p.heard > silentMS,
		CPUPercent: v.CPUPercent, MemoryBytes: v.MemoryBytes, Goroutines: v.Goroutines, Facts: v.Facts,
		LogLevel: v.LogLevel, LogLevelBy: v.LogLevelBy, LogLevelUntil: v.LogLevelUntil,
		Course: p.hour(now),
	}
	if out.Facts == nil {
		out.Facts = map[string]string{}
	}
	out.MemoryPerMinute = slope(out.Course.Memory)
	return out
}

// hour returns the course up to now.
func (p *process) hour(now int64) ProcessCourse {
	first := now/minuteMS - minutes + 1
	points := func() []*float64 { return make([]*float64, minutes) }
	c := ProcessCourse{From: first * minuteMS, StepMS: minuteMS, CPU: points(), Memory: points(), Rate: points(), MS: points(), Buffer: points()}
	for i := range int64(minutes) {
		m := &p.course[(first+i)%minutes]
		if m.number != first+i {
			continue
		}
		if n := float64(m.reports); n > 0 {
			c.CPU[i], c.Memory[i] = rounded(m.cpu/n), new(m.memory)
			if m.stages {
				c.Rate[i] = rounded(m.rate / n)
			}
		}
		if m.count > 0 {
			c.MS[i] = rounded(m.ms / m.count)
		}
		if m.buffered {
			c.Buffer[i] = rounded(m.buffer)
		}
	}
	return c
}

// slope is that of the least squares' line through points one apart, nil with too few of them.
func slope(points []*float64) *float64 {
	var n, sx, sy, sxx, sxy float64
	for i, p := range points {
		if p == nil {
			continue
		}
		x := float64(i)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+*p, sxx+x*x, sxy+x**p
	}
	if n < trendMinutes {
		return nil
	}
	return new(math.Round((n*sxy - sx*sy) / (n*sxx - sx*sx)))
}

// rounded is a figure with three digits behind the point.
func rounded(v float64) *float64 { return new(math.Round(v*1000) / 1000) }
