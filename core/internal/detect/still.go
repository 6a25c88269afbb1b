package detect

import "math"

// stillDecades is how improbable a run of equal values must be, in powers of ten, to be worth an alarm.
const stillDecades = 8

// still is how long the values of a stream stay the same.
type still struct {
	Run     int32 // equal values, the first one not counted
	Since   int64 // plant time in ms of the first of them
	Longest int32 // usual run
	Newest  int32 // longest of the day at hand
	Pairs   int32 // of values one after the other, those at rest not counted
	Equal   int32
	Runs    int32 // of equal values
	// Rest is the value that is repeated the most, like the current of a machine that is off: to stay
	// there is usual. Weight is by how many repeats it leads, of Seen values.
	Rest   float64
	Weight int32
	Seen   int32
	Known  bool
	// Bottom and Top are the ends of the scale that was seen: a value that is cut off there repeats.
	Bottom, Top end
}

// end is an end of a scale, and how often it was come to.
type end struct {
	At   float64
	Hits int32
}

// fewestHits is how often a value must have come to an end of the scale to be cut off there.
const fewestHits = 5

// reach learns that a value was come to; beyond reports whether one is further out than another.
func (e *end) reach(x float64, beyond bool) {
	switch {
	case beyond || e.Hits == 0:
		*e = end{x, 1}
	case x == e.At:
		e.Hits++
	}
}

func (e *end) cuts(x float64) bool { return x == e.At && e.Hits >= fewestHits }

// maxPairs bounds what the share of equal pairs is learned from, so that it is of the newest weeks.
const maxPairs = 100_000

// step learns a value and returns how unusual it is that it is the same as before: 1 is worth an alarm.
func (s *still) step(at int64, x, previous float64) float32 {
	if s.Seen++; s.Seen > maxPairs {
		s.Seen /= 2
		s.Weight /= 2
	}
	if x != previous {
		s.end(previous)
		s.Since = at
		s.Bottom.reach(x, x < s.Bottom.At)
		s.Top.reach(x, x > s.Top.At)
		return 0
	}
	s.Run++
	e := float32(0)
	if s.Known && !s.resting(x) && !s.Bottom.cuts(x) && !s.Top.cuts(x) {
		begins := (float64(s.Runs) + 1) / (float64(s.Pairs-s.Equal+s.Runs) + 2)
		goesOn := (float64(s.Equal-s.Runs) + 1) / (float64(s.Equal) + 2)
		improbable := -(math.Log10(begins) + float64(s.Run-1)*math.Log10(max(goesOn, begins))) / stillDecades
		longer := math.Log(float64(s.Run+1)/float64(s.Longest+1)) / math.Log(1.6)
		e = float32(max(min(improbable, longer), 0))
	}
	if e < over {
		s.repeat(x)
	}
	return e
}

// resting reports whether x is 0 or the value that is repeated much more than others.
func (s *still) resting(x float64) bool { return x == 0 || x == s.Rest && s.Weight > s.Seen/32 }

// repeat learns that a value was repeated, by the majority vote of Boyer and Moore (1981). 0 is at rest anyway.
func (s *still) repeat(x float64) {
	switch {
	case x == 0:
	case x == s.Rest:
		s.Weight++
	case s.Weight > 0:
		s.Weight--
	default:
		s.Rest, s.Weight = x, 1
	}
}

// end learns the run that is over, unless it was at rest or unusual.
func (s *still) end(x float64) {
	if !s.resting(x) && (s.Run <= 2*s.Longest || !s.Known) {
		s.Newest = max(s.Newest, s.Run)
		s.Equal += s.Run
		s.Pairs += s.Run
		s.Runs += min(s.Run, 1)
	}
	s.Pairs++
	s.Run = 0
	if s.Pairs > maxPairs {
		s.Pairs /= 2
		s.Equal /= 2
		s.Runs /= 2
	}
}

func (s *still) day() {
	s.Longest = max(s.Longest-s.Longest/32, s.Newest)
	s.Newest, s.Known = 0, true
}

func (s *still) accept() { s.Longest = max(s.Longest, s.Run) }
