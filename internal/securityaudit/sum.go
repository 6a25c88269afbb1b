package securityaudit

import (
	"bytes"
	"slices"
)

const (
	// sumMS is for how long records that are alike are counted.
	sumMS = 60_000
	// mostKinds bounds the kinds of records that are counted; what is of further ones is counted together.
	mostKinds = 256
	// Others is the Detail of a record for several that are not alike.
	Others = "others"
)

// Sum makes one record of many that are alike: what a stranger can repeat must not fill the topic. The first one passes,
// the others of the next minute become one with their Count. It is not safe for concurrent use.
type Sum struct {
	kinds map[kind]*counted
}

// kind is in what records are alike.
type kind struct {
	who, address, about string
	what                What
	outcome             Outcome
}

type counted struct {
	since  int64
	newest Record
	count  int
}

// repeats reports whether strangers can cause such records without end.
func (r *Record) repeats() bool {
	return r.Outcome == Failed || r.Outcome == Delayed || r.Outcome == Refused
}

// Add returns the record, or nothing if it was counted.
func (s *Sum) Add(r Record) []Record {
	if !r.repeats() {
		return []Record{r}
	}
	if s.kinds == nil {
		s.kinds = make(map[kind]*counted)
	}
	r.trim()
	k := kind{r.Who, r.Address, r.About, r.What, r.Outcome}
	if s.kinds[k] == nil && len(s.kinds) >= mostKinds {
		k = kind{what: r.What, outcome: r.Outcome}
		r = Record{Time: r.Time, What: r.What, Outcome: r.Outcome, Detail: Others, Program: r.Program}
	}
	c := s.kinds[k]
	if c == nil {
		s.kinds[k] = &counted{since: r.Time}
		return []Record{r}
	}
	c.newest = r
	c.count++
	return nil
}

// Due returns the records of those that were counted for a minute at now, in ms, or with whole of all.
func (s *Sum) Due(now int64, whole bool) (out []Record) {
	for k, c := range s.kinds {
		if !whole && now-c.since < sumMS && now >= c.since {
			continue
		}
		if c.count == 0 {
			delete(s.kinds, k)
			continue
		}
		c.newest.Count = c.count
		out = append(out, c.newest)
		*c = counted{since: now}
	}
	if len(s.kinds) == 0 {
		s.kinds = nil // a map does not shrink
	}
	slices.SortFunc(out, func(a, b Record) int { return bytes.Compare(a.Canonical(), b.Canonical()) })
	return out
}

// Counting returns how many kinds of records are counted now.
func (s *Sum) Counting() int { return len(s.kinds) }
