package publisher

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// Pauses before a resend: they double, with equal jitter, so that devices do not resend
// in step.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// pause returns how long to wait after the given number of attempts.
func pause(attempts int) time.Duration {
	p := min(firstPause<<min(attempts-1, 10), maxPause)
	return p/2 + rand.N(p/2+1)
}

// timer fires for a sender's message at a time. It is void once the sender has another
// current message or attempt.
type timer struct {
	at       time.Duration // since the worker's start
	sender   int32
	serial   uint32
	attempts int32
}

// schedule is a heap of timers by time.
type schedule []timer

// Len implements heap.Interface.
func (s schedule) Len() int { return len(s) }

// Less implements heap.Interface.
func (s schedule) Less(i, j int) bool { return s[i].at < s[j].at }

// Swap implements heap.Interface.
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	if t, ok := x.(timer); ok {
		*s = append(*s, t)
	}
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	a := (*s)[last]
	*s = (*s)[:last]
	return a
}

func (s *schedule) add(t timer) { heap.Push(s, t) }

// due removes and returns the first timer if its time has come.
func (s *schedule) due(now time.Duration) (timer, bool) {
	if len(*s) == 0 || (*s)[0].at > now {
		return timer{}, false
	}
	a := (*s)[0]
	heap.Pop(s)
	return a, true
}

// timeouts is a queue of timers added in the order of their times.
type timeouts struct {
	ring  []timer
	first int
}

func (q *timeouts) add(t timer) { q.ring = append(q.ring, t) }

// due removes and returns the first timer if its time has come.
func (q *timeouts) due(now time.Duration) (timer, bool) {
	if q.first == len(q.ring) || q.ring[q.first].at > now {
		return timer{}, false
	}
	a := q.ring[q.first]
	q.first++
	if q.first >= 1024 && q.first*2 >= len(q.ring) {
		q.ring = append(q.ring[:0], q.ring[q.first:]...)
		q.first = 0
	}
	return a, true
}
