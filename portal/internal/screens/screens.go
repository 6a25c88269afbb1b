// Package screens knows what browsers report of themselves: how many frames they got, and how long
// it took from the portal to what they painted. Reports come from anyone who may look at the plant,
// so each is bounded, and what cannot be is dropped. It does no I/O and blocks on a short lock only.
package screens

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/portal/internal/meter"
)

// Bounds of a report.
const (
	// MinGapMS is the least time between two reports of one screen.
	MinGapMS  = 1000
	maxTimes  = 32
	maxMS     = 60_000
	maxFrames = 100_000
	// windowMS is the time over which the rate is taken, several reports of each screen.
	windowMS = 30_000
	// maxReports bounds the reports of a window; further ones do not count.
	maxReports = 20_000
)

// Report is what a screen says about the time since its last report.
type Report struct {
	Frames int `json:"frames"` // messages that came
	// PaintMS are times from the portal's sending to painted, of some of the frames, in ms.
	PaintMS []float64 `json:"paint_ms"`
}

// Parse reads a report. What is out of bounds is left out of it; ok is false if nothing remains.
func Parse(data []byte) (r Report, ok bool) {
	if json.Unmarshal(data, &r) != nil || r.Frames < 0 || r.Frames > maxFrames {
		return Report{}, false
	}
	good := r.PaintMS[:0]
	for _, ms := range r.PaintMS[:min(len(r.PaintMS), maxTimes)] {
		if ms >= 0 && ms <= maxMS {
			good = append(good, ms)
		}
	}
	r.PaintMS = good
	return r, r.Frames > 0 || len(good) > 0
}

// Figures are those of all screens of this portal.
type Figures struct {
	PerSecond float64 // frames
	Timed     int64   // how many of the last ten seconds have a time
	Mean, P99 float64 // ms, over the last ten seconds
}

// Board gathers reports. Its methods may be called concurrently.
type Board struct {
	latency prometheus.Histogram

	mu      sync.Mutex
	painted meter.Meter
	first   int64 // when the first report of the window came, ms
	reports []frames
}

type frames struct {
	at int64
	n  int
}

// New returns a Board whose histogram is portal_screen_latency_seconds.
func New(reg prometheus.Registerer) (*Board, error) {
	b := &Board{latency: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "portal_screen_latency_seconds", Help: "Time from the portal's sending of a frame to its painting, as browsers measure and report it.",
		Buckets: []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60},
	})}
	if err := reg.Register(b.latency); err != nil {
		return nil, fmt.Errorf("registering the metrics of screens: %w", err)
	}
	return b, nil
}

// Take adds a report that came now, in ms.
func (b *Board) Take(r Report, now int64) {
	for _, ms := range r.PaintMS {
		b.latency.Observe(ms / 1000)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	if b.first == 0 || len(b.reports) == 0 {
		b.first = now
	}
	if len(b.reports) < maxReports {
		b.reports = append(b.reports, frames{now, r.Frames})
	}
	for _, ms := range r.PaintMS {
		b.painted.AddAge(now, int64(ms+0.5))
	}
}

func (b *Board) forget(now int64) {
	n := 0
	for n < len(b.reports) && b.reports[n].at <= now-windowMS {
		n++
	}
	b.reports = append(b.reports[:0], b.reports[n:]...)
}

// Figures returns those of the time before now, in ms; ok is false while no screen reports.
func (b *Board) Figures(now int64) (f Figures, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	if len(b.reports) == 0 {
		return Figures{}, false
	}
	sum, took := 0, int64(windowMS)
	for _, r := range b.reports {
		sum += r.n
	}
	if age := now - b.first; age < windowMS { // the first report is of the time before it
		first := b.reports[0]
		sum -= first.n
		took = max(age, 1)
		if age < MinGapMS {
			return Figures{}, false
		}
	}
	recent := b.painted.Recent(now)
	return Figures{PerSecond: 1000 * float64(sum) / float64(took), Timed: recent.Aged, Mean: recent.Mean, P99: recent.P99}, true
}
