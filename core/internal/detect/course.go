package detect

import "math"

// level judges the newest value and the fast mean around Mid, which stays where it is while they are outside.
func (s *stream) level(found *findings, at int64, x, gap float64, floor float32, settle int64) {
	value, settledValue := s.Values.judge(at, float32(x-s.Mid), s.Values.part(limitValue, floor), settle)
	level, settledLevel := s.Levels.judge(at, float32(s.Fast-s.Mid), s.Levels.part(limitLevel, floor), settle)
	if s.Steps.Since != 0 {
		found.add(kindSpike, value)
	} else {
		found.add(kindLevel, s.own(value)) // it came there in small steps
	}
	found.add(kindLevel, s.own(level))
	switch {
	case settledValue || settledLevel:
		s.Mid = s.Fast
		s.Values.Since, s.Levels.Since = 0, 0
	case s.Levels.swung(at, level, hour):
		s.Mid, s.Fast = x, x
		s.Values.Since, s.Levels.Since = 0, 0
	case s.Values.Since == 0 && s.Levels.Since == 0:
		s.Mid = s.mean(s.Mid, x, gap, midSpan)
		s.Spread += (float32(math.Abs(x-s.Mid)) - s.Spread) / 1024
	default:
		s.Mid += s.Cycle.at(at) - s.Cycle.at(s.Last)
	}
}

// drift judges the mean of minutes around that of hours.
func (s *stream) drift(found *findings, at int64, x, gap float64, floor float32, settle int64) {
	drift, settled := s.Drifts.judge(at, float32(s.Short-s.Long), s.Drifts.part(limitDrift, floor), settle)
	found.add(kindDrift, s.own(drift))
	switch {
	case settled:
		s.Long = s.Short
	case s.Drifts.Since == 0:
		s.Long = s.mean(s.Long, x, gap, longSpan)
	default:
		s.Long += s.Cycle.at(at) - s.Cycle.at(s.Last)
	}
}

// pattern judges each hour, once it is over, around what is usual on such a day at this hour.
func (s *stream) pattern(found *findings, at int64, x float64, floor float32, settle int64) {
	off, over := s.Cycle.add(at, x, found.strongest() < over)
	switch {
	case !over:
	case !s.Cycle.regular():
		s.Odd = 0
	case s.Cycle.Days < patternDays:
		s.Patterns.learn(off)
	default:
		s.Odd = s.own(s.Patterns.tell(at, off, s.Patterns.part(limitPattern, floor), settle))
	}
	found.add(kindPattern, s.Odd)
}

// spread judges how much the values move.
func (s *stream) spread(found *findings, at int64, settle int64) {
	found.add(kindNoise, max(s.Noises.tell(at, s.Noise.Step, limitNoise, settle), 0))
	swing := max(s.Swings.tell(at, s.Noise.swing(s.Quantum), limitSwing, settle), 0)
	if s.Noise.Flips < fewestFlips {
		found.add(kindSpike, swing)
	} else {
		found.add(kindOscillation, swing)
	}
}

// lack judges how many values are missing; n are before the present one.
func (s *stream) lack(found *findings, at int64, n float64, settle int64) {
	s.Missing += float32((1 - float64(s.Missing)) * (1 - math.Pow(1-1.0/missingSpan, n)))
	s.Missing -= s.Missing / missingSpan
	if s.Count < fewest {
		s.Missing = 0
		return
	}
	found.add(kindDropout, max(s.Gaps.tell(at, s.Missing, limitMissing, settle), 0))
}

// compare judges the distance from the neighbours.
func (s *stream) compare(found *findings, at int64, distance float64, settle int64) {
	s.PeerCount++
	s.PeerFast += (distance - s.PeerFast) / min(fastSpan, float64(s.PeerCount))
	if s.PeerCount < fewest {
		return
	}
	e := s.Peers.tell(at, float32(s.PeerFast), s.Peers.part(limitPeers, 4*s.Quantum), settle)
	found.add(kindPeers, e)
	s.Apart = max(e, -e)
}

// own returns the strength of what moved slowly if the sensor's neighbours did not move with it: the
// weather is nobody's fault.
func (s *stream) own(strength float32) float32 {
	if s.Peers.Known && s.PeerCount >= fewest {
		return min(max(strength, -strength), 2*s.Apart)
	}
	return strength
}
