package state

import "slices"

// Definition of an alarm flood, after ANSI/ISA-18.2 and EEMUA 191: what is more than one operator
// can deal with.
const (
	// FloodLimit and FloodOver, in ms: a flood begins when more alarms than this came up within
	// this time.
	FloodLimit = 10
	FloodOver  = 10 * 60_000
	// FloodEnds is how many alarms within FloodOver are so few that a flood is over when
	// there are fewer.
	FloodEnds = 5
)

// Flood tells how many alarms were shown to the operator as new within the last FloodOver:
// raised, raised again before they were acknowledged, or no longer suppressed, and not put
// aside at that moment. Flooded says whether there is a flood now.
type Flood struct {
	New     int
	First   int64 // when the first of them came up, 0 without any
	Flooded bool
	Since   int64 // when the flood began: its alarm number FloodLimit+1 came up; 0 without one
	Alarms  int   // that came up in this flood, those that made it one included
}

// floodOf judges the times at which alarms were shown, in any order, which it sorts.
func floodOf(shown []int64, now int64) Flood {
	slices.Sort(shown)
	var f Flood
	first := 0 // index of the oldest within FloodOver
	for i, at := range shown {
		first = f.leave(shown[:i], first, at)
		switch {
		case f.Flooded:
			f.Alarms++
		case i-first+1 > FloodLimit:
			f.Flooded, f.Since, f.Alarms = true, at, i-first+1
		}
	}
	first = f.leave(shown, first, now)
	if f.New = len(shown) - first; f.New > 0 {
		f.First = shown[first]
	}
	return f
}

// leave takes out those that are older than FloodOver at a time, and ends the flood when
// fewer than FloodEnds are left.
func (f *Flood) leave(shown []int64, first int, at int64) int {
	for first < len(shown) && shown[first] <= at-FloodOver {
		first++
		if f.Flooded && len(shown)-first < FloodEnds {
			f.Flooded, f.Since, f.Alarms = false, 0, 0
		}
	}
	return first
}
