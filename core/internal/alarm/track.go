package alarm

import (
	"slices"
)

// track is a signal that a device has.
type track struct {
	last   int64 // plant time in ms of its newest reading
	signal int16 // index in State.of
}

// history is what conditions about the past need.
type history struct {
	stills []still
	rates  []rate
}

// still is the time since which a value is unchanged.
type still struct {
	signal int16   // index in State.of
	Value  float64 `json:"value"`
	Since  int64   `json:"since"`
	At     int64   `json:"at"` // of the newest reading
	Offset int64   `json:"offset"`
}

// Clone returns a copy of s that shares nothing with it that Step changes.
func (s State) Clone() State {
	s.tracks = slices.Clone(s.tracks)
	if s.past != nil {
		s.past = &history{stills: slices.Clone(s.past.stills), rates: slices.Clone(s.past.rates)}
	}
	return s
}

// trackOf returns the index of the track of a signal, -1 for none.
func (s *State) trackOf(signal int16) int {
	for k := range s.tracks {
		if s.tracks[k].signal == signal {
			return k
		}
	}
	return -1
}

// addTrack adds a track. A device has few: no room is left for more.
func (s *State) addTrack(signal int16, last int64) {
	tracks := make([]track, len(s.tracks), len(s.tracks)+1)
	copy(tracks, s.tracks)
	s.tracks = append(tracks, track{last: last, signal: signal})
}

// lastOf returns the time of the newest reading of a parameter that rules judge, 0 for
// none.
func (s *State) lastOf(parameter string) (last int64) {
	for _, t := range s.tracks {
		if s.of.names[t.signal].name == parameter {
			last = max(last, t.last)
		}
	}
	return last
}

// still returns the history of a signal's value, nil for none.
func (s *State) still(signal int) *still {
	if s.past != nil {
		for i := range s.past.stills {
			if st := &s.past.stills[i]; int(st.signal) == signal {
				return st
			}
		}
	}
	return nil
}

// adopt makes s a state of the signals of t. Those that t does not judge are dropped. A
// signal that is new in t counts from the readings that are newer than all before: a late
// one raises nothing.
func (s *State) adopt(t *signals) {
	if s.of == t.naming {
		return
	}
	old := s.of
	s.of = t.naming
	if old == nil || old.fingerprint != t.fingerprint {
		s.floor = max(s.floor, s.seen)
	}
	if old == nil {
		return
	}
	tracks := make([]track, 0, len(s.tracks))
	for _, k := range s.tracks {
		if i := t.find(old.names[k.signal]); i >= 0 {
			tracks = append(tracks, track{last: k.last, signal: int16(i)})
		}
	}
	s.tracks = tracks
	if s.past == nil {
		return
	}
	past := &history{rates: s.past.rates}
	for _, st := range s.past.stills {
		if i := t.find(old.names[st.signal]); i >= 0 && t.list[i].watched {
			st.signal = int16(i)
			past.stills = append(past.stills, st)
		}
	}
	s.past = past
}

// remember returns the history of s to write to.
func (s *State) remember() *history {
	if s.past == nil {
		s.past = new(history)
	}
	return s.past
}
