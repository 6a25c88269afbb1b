package detect

import "math"

// level judges the newest value and the fast mean around Mid, which stays where it is while they are outside.
func (s *stream) level(found *findings, at int64, x, gap float64, floor float32, settle int64) {
	value, settledValue := s.Values.judge(at, float32(x-s.Mid), limitValue*max(s.Values.span(), floor)*s.Levels.doubt(), settle)
	level, settledLevel := s.Levels.judge(at, float32(s.Fast-s.Mid), s.Levels.part(limitLevel, floor), settle)
	beyond := s.beyond(at, x, floor, settle)
	if s.Steps.Since != 0 {
		found.add(kindSpike, max(abs(value), abs(beyond)))
	} else { // it came there in small steps
		found.add(kindLevel, s.own(value))
		found.add(kindLevel, s.own(beyond))
	}
	found.add(kindLevel, s.own(level))
	switch {
	case settledValue, settledLevel, s.Levels.swung(at, level, hour), s.Levels.Since == at && s.returned(at):
		s.Mid, s.Fast = x, x
		s.Values.Since, s.Levels.Since = 0, 0
	case s.Values.Since == 0 && s.Levels.Since == 0:
		s.Mid = s.mean(s.Mid, x, gap, midSpan)
		s.Spread += (float32(math.Abs(x-s.Mid)) - s.Spread) / 1024
	default:
		s.Mid += s.Cycle.at(at) - s.Cycle.at(s.Last)
	}
}

// beyond judges the newest value by all that the sensor showed: the load of a machine has an upper end, where a
// little more than ever is much. What wanders has none, as weather: it does not go through its range within an
// hour, or has seldom done so.
func (s *stream) beyond(at int64, x float64, floor float32, settle int64) float32 {
	off, limit := float32(x-s.Origin), float32(1)
	if s.Raws.beyond(off) != 0 {
		limit = s.Raws.part(limitRaw, floor) + 6*float32(math.Exp2(float64(s.Noise.Step)))
	}
	e := s.Raws.tell(at, off, limit, settle)
	if x == 0 || s.Raws.Turns < sharpTurns || s.Values.span() < s.Raws.span()/2 { // 0 is a machine that rests
		return 0
	}
	return e
}

// returned reports whether the value is back from where Mid had followed it to: it was unusual by something
// else than its distance from Mid, less than an hour ago, and no longer is.
func (s *stream) returned(at int64) bool {
	return s.Raws.ended(at, hour) || s.Bond.Left.ended(at, hour) || s.Drifts.ended(at, hour)
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

// compare judges the distance from the neighbours: its mean of hours, and that of a minute around it,
// which moves with what the sensor does on its own.
func (s *stream) compare(found *findings, at int64, x, distance, gap float64, settle int64) {
	p := &s.Peer
	p.learn(x, distance, gap)
	if p.Count < fewest || !p.related() {
		p.Apart = -1
		return
	}
	floor := 4 * s.Quantum
	apart, settled := p.Moves.judge(at, float32(p.Short-p.Mid), p.Moves.part(limitApart, floor), settle)
	switch {
	case settled:
		p.Mid = p.Short
	case p.Moves.Since == 0:
		p.Mid += (distance - p.Mid) * max(gap/(midSpan+gap), 1/float64(p.Count))
	}
	p.Apart = abs(apart)
	far := p.Far.tell(at, float32(p.Long), p.Far.part(limitPeers, floor), settle)
	if p.Far.Days >= peerDays {
		found.add(kindPeers, far)
	}
}

// own returns the strength of what moved slowly if the sensor's neighbours did not move with it: the
// weather is nobody's fault.
func (s *stream) own(strength float32) float32 {
	if s.Peer.Moves.Known && s.Peer.Apart >= 0 {
		return min(abs(strength), 2*s.Peer.Apart)
	}
	return strength
}
