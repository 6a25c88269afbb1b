package report

import (
	"math"

	"industrial-iot-monitor/internal/history"
)

// Temperature returns the mean and the highest value of a building's course, nil if it has none. Steps
// weigh alike.
func Temperature(c history.Column) (mean, highest *float64) {
	sum, n, top := 0.0, 0, math.Inf(-1)
	for i, v := range c.Mean {
		if math.IsNaN(v) {
			continue
		}
		sum += v
		n++
		top = max(top, v)
		if i < len(c.Max) && !math.IsNaN(c.Max[i]) {
			top = max(top, c.Max[i])
		}
	}
	if n == 0 {
		return nil, nil
	}
	sum /= float64(n)
	return &sum, &top
}

// Completeness returns the share of the readings that are held, of as many as devices' intervals let
// expect in [from, to), in ms, and of how many devices that is known; nil if of none. A device that sends
// more does not make up for one that sends less, and is expected to send from its first reading on.
func Completeness(devices []history.Series, from, to int64) (share *float64, of int) {
	held, expected := 0.0, 0.0
	for i := range devices {
		s := &devices[i]
		begins := max(from, s.Begins)
		if s.IntervalMS <= 0 || s.Begins == 0 || begins >= to {
			continue
		}
		want := max(1, math.Floor(float64(to-begins)/float64(s.IntervalMS)))
		held += min(readings(s), want)
		expected += want
		of++
	}
	if of == 0 {
		return nil, 0
	}
	v := held / expected
	return &v, of
}

// readings is how many a device has: those of its most frequent sensor.
func readings(s *history.Series) (most float64) {
	for _, c := range s.Values {
		n := 0.0
		for _, k := range c.N {
			n += float64(k)
		}
		most = max(most, n)
	}
	return most
}
