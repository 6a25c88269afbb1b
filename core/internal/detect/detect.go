// Package detect learns what is usual for each sensor of a device and says how unusual its newest
// values are, and why. It is causal: a verdict depends on the values until then alone. It learns
// from the first value on, forgets slowly, and needs no settings for a sensor. Time is that of the
// readings; the package has no clock and does no I/O, and nothing in it blocks.
package detect

import "industrial-iot-monitor/internal/telemetry"

// Sample is the value of one numeric sensor in a reading.
type Sample struct {
	Sensor string
	Value  float64 // finite
	// Peers is the median of the same sensor of the device's neighbours; HasPeers is false while
	// too few of them have a value.
	Peers    float64
	HasPeers bool
}

// Verdict is how unusual a sensor is after a reading.
type Verdict struct {
	// Score is how unusual the newest value, or the course that it completes, is and was not told
	// before: 0 to 1, high when something begins and low again while it lasts.
	Score float64
	// State is how unusual the present state is, 0 to 1: high as long as it lasts. A state that
	// lasts for Settings.Settle becomes usual.
	State float64
	Kind  telemetry.AnomalyKind // of the higher of the two; empty: nothing is unusual
	// Learning: too few values were seen for a verdict.
	Learning bool
}

// Band is the range of values that are usual now.
type Band struct{ Low, Expected, High float64 }
