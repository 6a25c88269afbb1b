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
	// patternDays are the days after which a day is compared with those before: two weeks, the second of
	// which shows how much weeks differ.
	patternDays = 15
	// peerDays are the days after which the distance from the neighbours is judged.
	peerDays = 3
	// sharpTurns are how often a value must have gone through its range for the ends of it to be known.
	sharpTurns = 60
	// fastSpan is about how many values the fast mean, the swing and the share of missing values are of.
	fastSpan, swingSpan, missingSpan = 8, 16, 32
	// midSpan and longSpan are the time constants, in ms, of the means that the newest values are compared with.
	shortSpan, midSpan, longSpan = 10 * minute, hour, 4 * hour
	peerShort, peerLong          = minute, hour
	// pause is how many intervals a gap may have to count as missing values; a longer one is a pause.
	pause = 30
)

// Limits of the ways in which a stream can be unusual: of value, step, level, drift, peers and what another
// sensor leaves in units of the usual range, of noise and swing in octaves, of missing in shares.
const (
	limitValue   = 0.25
	limitRaw     = 0.15
	limitStep    = 0.25
	limitLevel   = 0.3
	limitDrift   = 0.4
	limitPattern = 0.3
	limitApart   = 0.3
	limitPeers   = 8
	limitNoise   = 0.6
	limitSwing   = 0.6
	limitMissing = 0.1
	limitLeft    = 0.3
)

// stream is what is known about one sensor. All fields have fixed sizes, so that its state is plain bytes.
type stream struct {
	Count    int64
	Last     int64 // plant time in ms of the newest value, as all times here
	Day      int64 // when the day at hand began
	DayCount int32
	Interval float32

	Origin                           float64 // the first value
	Previous, Fast, Short, Mid, Long float64 // the newest value, and means
	Spread                           float32 // mean distance from Mid
	Quantum                          float32 // least difference between two values
	Still                            still
	Noise                            noise
	Cycle                            cycle
	Odd                              float32 // strength of the newest hour around what is usual for it
	Missing                          float32
	Peer                             peer

	Bond bond

	// Limits of the newest value from Origin on, of it and of the fast mean around Mid, of the newest value around Fast, of
	// Short around Long, of the mean of an hour around what is usual for it, of spreads in octaves, and of
	// the share that is missing.
	Raws, Values, Levels, Steps, Drifts, Patterns, Noises, Swings, Gaps limits

	Episode episode

	// Apart: it does not fit the other sensors of its device.
	Apart      bool
	ApartSince int64
}

// step learns the value of a sample, within the largest, and returns how it is unusual on its own. off: the
// machine is off, so that a 0 says nothing.
func (s *stream) step(set *Settings, at int64, value float64, v *Sample, off bool) (found findings) {
	if s.Count == 0 {
		s.begin(at, value)
		return found
	}
	gap := s.elapse(at)
	settle := set.Settle.Milliseconds()
	if v.HasPeers && value != 0 {
		s.compare(&found, at, value, value-min(max(v.Peers, -largest), largest), gap, settle)
	}
	s.move(&found, at, value, gap, settle, off && value == 0)
	s.Previous, s.Last = value, at
	s.Count++
	if s.DayCount++; at-s.Day >= day && s.DayCount >= fewestOfDay {
		s.endDay(at)
	}
	return found
}

// verdict ends a reading: how unusual the stream is by all that was found.
func (s *stream) verdict(at int64, found *findings) Verdict {
	if found.strongest() >= over && s.Episode.Told == 0 {
		for _, l := range s.all() {
			l.begin(at)
		}
	}
	return s.Episode.verdict(at, found, !s.Values.Known)
}

// together adds to a verdict that the sensor does not fit the others of its device; level is how little
// they fit.
func (s *stream) together(at int64, level float64, apart bool, v *Verdict) {
	if !apart {
		s.Apart = false
		return
	}
	if !s.Apart {
		s.Apart, s.ApartSince = true, at
		v.Score = max(v.Score, level)
	}
	v.State = max(v.State, level)
	if v.Kind == "" {
		v.Kind = telemetry.AnomalyCorrelation
	}
}

func (s *stream) begin(at int64, x float64) {
	s.Count, s.Last, s.Day = 1, at, at
	s.Origin, s.Previous, s.Fast, s.Short, s.Mid, s.Long = x, x, x, x, x, x
}

// resume goes on after a pause: what came meanwhile is not known, and nothing is measured from before it.
func (s *stream) resume(x float64) {
	s.Fast, s.Short, s.Mid, s.Long = x, x, x, x
	for _, l := range [...]*limits{&s.Raws, &s.Values, &s.Levels, &s.Steps, &s.Drifts} {
		l.Since = 0
	}
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
func (s *stream) move(found *findings, at int64, x, gap float64, settle int64, off bool) {
	diff := float32(math.Abs(x - s.Previous))
	if diff > least(s.Quantum, s.Values.span()) && (s.Quantum == 0 || diff < s.Quantum) {
		s.Quantum = diff
	}
	paused := gap > pause*float64(s.Interval)
	missed := 0.0
	if !paused && s.Interval > 0 {
		missed = math.Round(gap/float64(s.Interval)) - 1
	}
	s.lack(found, at, max(missed, 0), settle)
	stuck := s.Still.step(at, x, s.Previous)
	floor := s.floor()
	if s.Quantum > 0 {
		s.Noise.learn(x-s.Previous, min(diff, float32(s.reach(floor))), s.Quantum)
	}
	if off {
		return
	}
	if paused {
		s.resume(x)
	}
	step := x - s.Fast
	near := s.Mid + max(-s.reach(floor), min(x-s.Mid, s.reach(floor)))
	s.Fast += (near - s.Fast) / min(fastSpan, float64(s.Count+1))
	s.Short = s.mean(s.Short, near, gap, shortSpan)
	if s.Count < fewest || s.Quantum == 0 {
		s.Mid, s.Long = s.mean(s.Mid, x, gap, midSpan), s.mean(s.Long, x, gap, longSpan)
		return
	}
	found.add(kindStuck, stuck)
	found.add(kindSpike, s.Steps.tell(at, float32(step), s.Steps.part(limitStep, floor), settle))
	s.level(found, at, x, gap, floor, settle)
	s.drift(found, at, near, gap, floor, settle)
	s.spread(found, at, settle)
	s.pattern(found, at, x, floor, settle)
}

// floor is the least range of values.
func (s *stream) floor() float32 {
	if s.Quantum == 0 {
		return float32(math.Abs(s.Mid)) / 100
	}
	return 4 * s.Quantum
}

// reach is how far from Mid a value counts in the means: a single one, however far out, must not move
// them for long.
func (s *stream) reach(floor float32) float64 {
	if !s.Values.Known {
		return math.Inf(1)
	}
	return 2 * float64(max(s.Values.span(), floor))
}

// least returns the least step that can be a sensor's resolution: smaller ones are errors of computing.
func least(quantum, span float32) float32 { return max(quantum, span) * 1e-5 }

func (s *stream) endDay(at int64) {
	s.Day, s.DayCount = at, 0
	for _, l := range s.all() {
		l.day()
	}
	s.Still.day()
}

// all returns the limits of the stream.
func (s *stream) all() [12]*limits {
	return [...]*limits{&s.Raws, &s.Values, &s.Levels, &s.Steps, &s.Drifts, &s.Patterns, &s.Noises, &s.Swings, &s.Gaps, &s.Peer.Moves, &s.Peer.Far, &s.Bond.Left}
}
