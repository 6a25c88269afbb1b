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
	Pairs   int32 // of values, those that rest not counted
	Equal   int32
	// Rest is the value that is repeated the most, like the current of a machine that is off: to stay
	// there is usual. Weight is by how many repeats it leads.
	Rest   float64
	Weight int32
	Known  bool
}

// maxPairs bounds what the share of equal pairs is learned from, so that it is of the newest weeks.
const maxPairs = 100_000

// step learns a value and returns how unusual it is that it is the same as before: 1 is worth an alarm.
func (s *still) step(at int64, x, previous float64) float32 {
	if x != previous {
		s.end()
		s.Since = at
		return 0
	}
	s.Run++
	resting := x == s.Rest
	switch {
	case resting:
		s.Weight = min(s.Weight+1, maxPairs)
	case s.Weight > 0:
		s.Weight--
	default:
		s.Rest, s.Weight = x, 1
	}
	if !s.Known || resting && s.Weight > s.Run {
		return 0
	}
	share := (float64(s.Equal) + 1) / (float64(s.Pairs) + 2)
	improbable := float64(s.Run) * -math.Log10(share) / stillDecades
	longer := math.Log(float64(s.Run+1)/float64(s.Longest+1)) / math.Log(1.6)
	return float32(max(min(improbable, longer), 0))
}

// end learns the run that is over, unless it was unusual.
func (s *still) end() {
	if s.Run <= 2*s.Longest || !s.Known {
		s.Newest = max(s.Newest, s.Run)
		s.Equal += s.Run
		s.Pairs += s.Run
	}
	s.Pairs++
	s.Run = 0
	if s.Pairs > maxPairs {
		s.Pairs /= 2
		s.Equal /= 2
	}
}

func (s *still) day() {
	s.Longest = max(s.Longest-s.Longest/32, s.Newest)
	s.Newest, s.Known = 0, true
}

func (s *still) accept() { s.Longest = max(s.Longest, s.Run) }
