package detect

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
)

func (s *stream) band() (Band, bool) {
	l := &s.Values
	if !l.Known {
		return Band{}, false
	}
	return Band{Low: s.Mid + float64(l.Low), Expected: s.Mid, High: s.Mid + float64(l.High)}, true
}

// describe returns the newest episode with the figures as they are now.
func (s *stream) describe() telemetry.Anomaly {
	b, _ := s.band()
	a := telemetry.Anomaly{
		Kind: s.Episode.Kind.name(), Score: s.Episode.score(), Since: s.Episode.Since,
		Value: s.Previous, Expected: b.Expected, Low: b.Low, High: b.High,
		Tail: s.tail(),
	}
	if s.Spread > 0 {
		a.Sigma = (a.Value - a.Expected) / (1.25 * float64(s.Spread)) // of a normal distribution, from its mean distance
	}
	switch s.Episode.Kind {
	case kindNoise:
		a.Ratio = math.Exp2(float64(s.Noise.Step - (s.Noises.Low+s.Noises.High)/2))
	case kindOscillation:
		a.Ratio = math.Exp2(float64(s.Noise.swing(s.Quantum) - s.Swings.High))
	case kindDrift:
		a.PerHour = (s.Short - s.Long) / (float64(longSpan-shortSpan) / hour)
	case kindDropout:
		a.Missing = float64(s.Missing)
	case kindPattern:
		usual := s.Cycle.Mean + s.Cycle.at(s.Last)
		a.Seasonal, a.Value, a.Expected = true, s.Short, usual
		a.Low, a.High = usual+float64(s.Patterns.Low), usual+float64(s.Patterns.High)
		if s.Cycle.Left > 0 {
			a.Sigma = (a.Value - a.Expected) / (1.25 * float64(s.Cycle.Left))
		}
	case kindStuck:
		a.Since = s.Still.Since
	case kindPeers: // from the neighbours on, by how far from them it was on the days before
		l, here := &s.Peer.Far, a.Value-s.Peer.Long
		a.Low, a.Expected, a.High = here+float64(l.Low), here+float64(l.Low+l.High)/2, here+float64(l.High)
		a.Sigma = 0
	default:
	}
	return a
}

// tail estimates the probability that usual operation shows the newest episode: no value of N was as
// far out, and the excess over the largest falls off exponentially, as the excesses of most
// distributions do (Pickands 1975).
func (s *stream) tail() float64 {
	return math.Exp(-2*float64(min(s.Episode.Peak, 10))) / float64(s.Count+1)
}

// accept makes usual what the newest episode was about.
func (s *stream) accept() {
	for _, l := range s.all() {
		l.accept()
	}
	s.Still.accept()
	s.Episode = episode{}
}
