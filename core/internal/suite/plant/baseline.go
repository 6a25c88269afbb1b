package plant

import (
	"math"
	"slices"

	"industrial-iot-monitor/core/internal/detect"
)

// Baselines are the detectors that any other must beat.
func Baselines() []Contestant {
	return []Contestant{
		{"always", func() Detector { return constant(1) }},
		{"never", func() Detector { return constant(0) }},
		{"3 sigma", func() Detector { return &deviations{limit: 3} }},
		{"moving z-score", func() Detector { return &deviations{limit: 3, window: 360} }},
	}
}

// constant says the same of everything.
type constant float64

// Step implements Detector.
func (c constant) Step(_ int64, samples []detect.Sample, dst []detect.Verdict) []detect.Verdict {
	for range samples {
		dst = append(dst, detect.Verdict{Score: float64(c), State: float64(c)})
	}
	return dst
}

// deviations calls a value unusual that is more than limit standard deviations from the mean of all
// values before, or with a window of values, from their exponentially weighted mean.
type deviations struct {
	limit, window float64
	names         []string
	sensors       []moments
}

type moments struct{ n, mean, variance float64 }

// enough is how many values are learnt before the first verdict.
const enough = 100

// Step implements Detector.
func (d *deviations) Step(_ int64, samples []detect.Sample, dst []detect.Verdict) []detect.Verdict {
	for i := range samples {
		k := slices.Index(d.names, samples[i].Sensor)
		if k < 0 {
			k = len(d.names)
			d.names, d.sensors = append(d.names, samples[i].Sensor), append(d.sensors, moments{})
		}
		dst = append(dst, d.judge(&d.sensors[k], samples[i].Value))
	}
	return dst
}

func (d *deviations) judge(m *moments, v float64) detect.Verdict {
	out := detect.Verdict{Learning: m.n < enough}
	apart := v - m.mean
	if !out.Learning && math.Abs(apart) > d.limit*math.Sqrt(m.variance) {
		out.Score, out.State = 1, 1
	}
	m.n++
	weight := 1 / m.n
	if d.window > 0 {
		weight = max(weight, 1/d.window)
	}
	m.mean += weight * apart
	m.variance = (1 - weight) * (m.variance + weight*apart*apart)
	return out
}
