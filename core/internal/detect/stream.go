package detect

import "industrial-iot-monitor/internal/telemetry"

// warm is how many values a stream learns from before it judges.
const warm = 100

// stream is what is known about one sensor.
type stream struct {
	N         int64
	Low, High float64
	Last      telemetry.Anomaly
}

func (s *stream) step(_ *Settings, at int64, v *Sample) Verdict {
	s.N++
	if s.N == 1 {
		s.Low, s.High = v.Value, v.Value
	}
	out := Verdict{Learning: s.N <= warm}
	if r := s.High - s.Low; r > 0 && !out.Learning {
		over := max(v.Value-s.High, s.Low-v.Value, 0) / r
		out.Score = over / (over + 0.5)
		out.State = out.Score
	}
	if out.Score > 0 {
		out.Kind = telemetry.AnomalySpike
		s.Last = telemetry.Anomaly{
			Kind: out.Kind, Score: out.Score, Tail: 1 / float64(s.N), Since: at, Value: v.Value,
			Expected: (s.Low + s.High) / 2, Low: s.Low, High: s.High,
		}
	}
	s.Low, s.High = min(s.Low, v.Value), max(s.High, v.Value)
	return out
}

func (s *stream) describe() telemetry.Anomaly { return s.Last }

func (s *stream) band() (Band, bool) {
	return Band{Low: s.Low, Expected: (s.Low + s.High) / 2, High: s.High}, s.N > warm
}

func (s *stream) accept() {}
