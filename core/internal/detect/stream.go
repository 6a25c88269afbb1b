package detect

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	minute = 60_000 // ms
	hour   = 60 * minute
	day    = 24 * hour

	// fewest values are learned before their ranges are.
	fewest = 30
	// largest is the largest size of a value that is judged as it is.
	largest = 1e30
	// fewestOfDay are the values that a day must have; with fewer it takes longer.
	fewestOfDay = 120
	// fastSpan is about how many values the fast mean, the swing and the share of missing values are of.
	fastSpan, swingSpan, missingSpan = 8, 16, 32
	// midSpan and longSpan are the time constants, in ms, of the means that the newest values are compared with.
	shortSpan, midSpan, longSpan = 10 * minute, hour, 4 * hour
	// pause is how many intervals a gap may have to count as missing values; a longer one is a pause.
	pause = 30
)

// Limits of the ways in which a stream can be unusual: of value, step, level, drift and peers in
// units of the usual range, of noise and swing in octaves, of missing in shares.
const (
	limitValue   = 0.25
	limitStep    = 0.25
	limitLevel   = 0.3
	limitDrift   = 0.4
	limitPeers   = 0.5
	limitNoise   = 0.6
	limitSwing   = 0.6
	limitMissing = 0.1
)

// stream is what is known about one sensor. All fields have fixed sizes, so that its state is plain bytes.
type stream struct {
	Count    int64
	First    int64 // plant time in ms, as all times here
	Last     int64 // of the newest value
	Day      int64 // when the day at hand began
	DayCount int32
	Interval float32

	Previous, Fast, Short, Mid, Long float64 // the newest value, and means
	Spread                           float32 // mean distance from Mid
	Quantum                          float32 // least difference between two values
	Still                            still
	Noise                            noise
	Cycle                            cycle
	Missing                          float32
	PeerFast                         float64
	PeerCount                        int32
	Apart                            float32 // strength of the newest distance from the neighbours

	// Limits of the newest value and of the fast mean around Mid, of the newest value around Fast, of
	// Short around Long, of spreads in octaves, of the share that is missing, and of the distance from
	// the neighbours.
	Values, Levels, Steps, Drifts, Noises, Swings, Gaps, Peers limits

	Episode episode
}

// step learns a value and judges it.
func (s *stream) step(set *Settings, at int64, v *Sample) Verdict {
	value := min(max(v.Value, -largest), largest)
	if s.Count == 0 {
		s.begin(at, value)
		return Verdict{Learning: true}
	}
	gap := s.elapse(at)
	settle := set.Settle.Milliseconds()
	var found findings
	if v.HasPeers {
		s.compare(&found, at, value-min(max(v.Peers, -largest), largest), settle)
	}
	s.move(&found, at, value, gap, settle)
	s.Previous, s.Last = value, at
	s.Count++
	if s.DayCount++; at-s.Day >= day && s.DayCount >= fewestOfDay {
		s.endDay(at)
	}
	if found.strongest() >= over && s.Episode.Told == 0 {
		for _, l := range s.all() {
			l.begin(at)
		}
	}
	return s.Episode.verdict(at, &found, !s.Values.Known)
}

func (s *stream) begin(at int64, x float64) {
	s.Count, s.First, s.Last, s.Day = 1, at, at, at
	s.Previous, s.Fast, s.Short, s.Mid, s.Long = x, x, x, x, x
}

// elapse learns the time since the value before and returns it in ms.
func (s *stream) elapse(at int64) float64 {
	gap := float64(at - s.Last)
	// The first quartile, which missing values do not move, in steps of per cents.
	const step = 0.01
	switch {
	case s.Count == 1:
		s.Interval = float32(gap)
	case gap > 1.1*float64(s.Interval):
		s.Interval *= 1 + step/4
	case gap < float64(s.Interval):
		s.Interval *= 1 - step*3/4
	}
	return gap
}

// mean moves a mean with a time constant in ms towards x; its first values count the same.
func (s *stream) mean(of float64, x, gap, span float64) float64 {
	return of + (x-of)*max(gap/(span+gap), 1/float64(s.Count+1))
}

// move judges the course of values.
func (s *stream) move(found *findings, at int64, x, gap float64, settle int64) {
	diff := float32(math.Abs(x - s.Previous))
	if diff > least(s.Quantum, s.Values.High-s.Values.Low) && (s.Quantum == 0 || diff < s.Quantum) {
		s.Quantum = diff
	}
	paused := gap > pause*float64(s.Interval)
	missed := 0.0
	if !paused && s.Interval > 0 {
		missed = math.Round(gap/float64(s.Interval)) - 1
	}
	s.lack(found, at, max(missed, 0), settle)
	if s.Quantum > 0 {
		s.Noise.learn(x-s.Previous, diff, s.Quantum)
	}
	stuck := s.Still.step(at, x, s.Previous)
	floor := 4 * s.Quantum
	if floor == 0 {
		floor = float32(math.Abs(s.Mid)) / 100
	}
	step := x - s.Fast
	if paused {
		s.Fast, step = x, 0
	}
	s.Fast += (x - s.Fast) / min(fastSpan, float64(s.Count+1))
	s.Short = s.mean(s.Short, x, gap, shortSpan)
	if s.Count < fewest || s.Quantum == 0 {
		s.Mid, s.Long = s.mean(s.Mid, x, gap, midSpan), s.mean(s.Long, x, gap, longSpan)
		return
	}
	found.add(kindStuck, stuck)
	steps, settled := s.Steps.judge(at, float32(step), limitStep*s.Steps.doubt(), floor, settle)
	if settled {
		s.Steps.widen(float32(step))
	}
	found.add(kindSpike, steps)
	s.level(found, at, x, gap, floor, settle)
	s.drift(found, at, x, gap, floor, settle)
	s.spread(found, at, settle)
	if found.strongest() < over {
		s.Cycle.learn(at, x)
	}
}

// least returns the least step that can be a sensor's resolution: smaller ones are errors of computing.
func least(quantum, span float32) float32 { return max(quantum, span) * 1e-5 }

// level judges the newest value and the fast mean around Mid, which stays where it is while they are outside.
func (s *stream) level(found *findings, at int64, x, gap float64, floor float32, settle int64) {
	value, settledValue := s.Values.judge(at, float32(x-s.Mid), limitValue*s.Values.doubt(), floor, settle)
	level, settledLevel := s.Levels.judge(at, float32(s.Fast-s.Mid), limitLevel*s.Levels.doubt(), floor, settle)
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
	drift, settled := s.Drifts.judge(at, float32(s.Short-s.Long), limitDrift*s.Drifts.doubt(), floor, settle)
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

// spread judges how much the values move.
func (s *stream) spread(found *findings, at int64, settle int64) {
	for _, o := range [...]struct {
		l     *limits
		x     float32
		limit float32
		kind  kind
	}{
		{&s.Noises, s.Noise.Step, limitNoise, kindNoise},
		{&s.Swings, s.Noise.swing(s.Quantum), limitSwing, kindOscillation},
	} {
		e, settled := o.l.judge(at, o.x, o.limit/max(o.l.High-o.l.Low, 1), 1, settle)
		if settled {
			o.l.widen(o.x)
		}
		if k := o.kind; k == kindOscillation && s.Noise.Flips < fewestFlips {
			found.add(kindSpike, max(e, 0))
		} else {
			found.add(k, max(e, 0))
		}
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
	e, settled := s.Gaps.judge(at, s.Missing, limitMissing/max(s.Gaps.High-s.Gaps.Low, 0.5), 0.5, settle)
	if settled {
		s.Gaps.widen(s.Missing)
	}
	found.add(kindDropout, max(e, 0))
}

// compare judges the distance from the neighbours.
func (s *stream) compare(found *findings, at int64, distance float64, settle int64) {
	s.PeerCount++
	s.PeerFast += (distance - s.PeerFast) / min(fastSpan, float64(s.PeerCount))
	if s.PeerCount < fewest {
		return
	}
	e, settled := s.Peers.judge(at, float32(s.PeerFast), limitPeers*s.Peers.doubt(), 4*s.Quantum, settle)
	if settled {
		s.Peers.widen(float32(s.PeerFast))
	}
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

func (s *stream) endDay(at int64) {
	s.Day, s.DayCount = at, 0
	for _, l := range s.all() {
		l.day()
	}
	s.Still.day()
}

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
	case kindStuck:
		a.Since = s.Still.Since
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

// all returns the limits of the stream.
func (s *stream) all() [8]*limits {
	return [...]*limits{&s.Values, &s.Levels, &s.Steps, &s.Drifts, &s.Noises, &s.Swings, &s.Gaps, &s.Peers}
}

// accept makes usual what the newest episode was about.
func (s *stream) accept() {
	for _, l := range s.all() {
		l.accept()
	}
	s.Still.accept()
	s.Episode = episode{}
}
