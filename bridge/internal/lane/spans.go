package lane

import "slices"

// maxSpans bounds the spans kept of one gateway.
const maxSpans = 64

// span is a range of sequences, both ends included.
type span struct{ first, last uint64 }

// spans is a set of sequences, as ranges in ascending order. Of more than maxSpans the lowest
// are forgotten.
type spans []span

// newest returns the highest sequence in the set, 0 if it is empty.
func (s spans) newest() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].last
}

// add adds a sequence and reports whether it was missing.
func (s *spans) add(seq uint64) bool {
	list := *s
	i := len(list) // the first range after seq
	for i > 0 && list[i-1].first > seq {
		i--
	}
	joinsBefore := i > 0 && list[i-1].last+1 >= seq
	joinsAfter := i < len(list) && list[i].first == seq+1
	switch {
	case joinsBefore && list[i-1].last >= seq:
		return false
	case joinsBefore && joinsAfter:
		list[i-1].last = list[i].last
		list = slices.Delete(list, i, i+1)
	case joinsBefore:
		list[i-1].last = seq
	case joinsAfter:
		list[i].first = seq
	default:
		list = slices.Insert(list, i, span{seq, seq})
		list = slices.Delete(list, 0, max(0, len(list)-maxSpans))
	}
	*s = list
	return true
}
