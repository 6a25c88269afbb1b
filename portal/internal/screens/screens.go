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
	// goneMS is how long a screen may say nothing before it no longer counts.
	goneMS = 15_000
	// averaged is over how many reports the rate of a screen is taken.
	averaged = 6
	// maxScreens bounds how many are told apart; further ones do not count.
	maxScreens = 20_000
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
	screens map[any]*screen
}

// screen is what is known of one: its newest reports, and the time that each is of.
type screen struct {
	at      int64 // of the newest, ms
	reports [averaged]struct{ frames, tookMS int64 }
	next    int
}

// New returns a Board whose histogram is portal_screen_latency_seconds.
func New(reg prometheus.Registerer) (*Board, error) {
	b := &Board{screens: make(map[any]*screen), latency: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "portal_screen_latency_seconds", Help: "Time from the portal's sending of a frame to its painting, as browsers measure and report it.",
		Buckets: []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60},
	})}
	if err := reg.Register(b.latency); err != nil {
		return nil, fmt.Errorf("registering the metrics of screens: %w", err)
	}
	return b, nil
}

// Take adds a report of a screen, told apart by key, that came now, in ms. The frames of its first
// one do not count: nobody knows how long they took.
func (b *Board) Take(key any, r Report, now int64) {
	for _, ms := range r.PaintMS {
		b.latency.Observe(ms / 1000)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ms := range r.PaintMS {
		b.painted.AddAge(now, int64(ms+0.5))
	}
	s := b.screens[key]
	if s == nil || now-s.at > goneMS {
		if s == nil && len(b.screens) >= maxScreens {
			return
		}
		b.screens[key] = &screen{at: now}
		return
	}
	s.reports[s.next].frames, s.reports[s.next].tookMS = int64(r.Frames), now-s.at
	s.at, s.next = now, (s.next+1)%averaged
}

// Figures returns those of the time before now, in ms; ok is false while no screen has a rate.
func (b *Board) Figures(now int64) (f Figures, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, s := range b.screens {
		if now-s.at > goneMS {
			delete(b.screens, key)
			continue
		}
		var frames, took int64
		for _, r := range s.reports {
			frames, took = frames+r.frames, took+r.tookMS
		}
		if took > 0 {
			f.PerSecond += 1000 * float64(frames) / float64(took)
			ok = true
		}
	}
	recent := b.painted.Recent(now)
	f.Timed, f.Mean, f.P99 = recent.Aged, recent.Mean, recent.P99
	return f, ok
}
