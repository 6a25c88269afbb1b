package publisher

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// Pauses before a reading is sent again: they double, and each is drawn at random
// from its upper half so that devices do not come back in step.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// pause returns how long to wait after the given number of attempts.
func pause(attempts int) time.Duration {
	p := min(firstPause<<min(attempts-1, 10), maxPause)
	return p/2 + rand.N(p/2+1)
}

// alarm wakes a device's reading at a time. It is void when the device has moved on to
// another reading or another attempt.
type alarm struct {
	at       time.Duration // since the worker's start
	device   int32
	serial   uint32
	attempts int32
}

// schedule is a heap of alarms by time.
type schedule []alarm

// Len implements heap.Interface.
func (s schedule) Len() int { return len(s) }

// Less implements heap.Interface.
func (s schedule) Less(i, j int) bool { return s[i].at < s[j].at }

// Swap implements heap.Interface.
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	if a, ok := x.(alarm); ok {
		*s = append(*s, a)
	}
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	a := (*s)[last]
	*s = (*s)[:last]
	return a
}

func (s *schedule) add(a alarm) { heap.Push(s, a) }

// due takes the first alarm out if its time has come.
func (s *schedule) due(now time.Duration) (alarm, bool) {
	if len(*s) == 0 || (*s)[0].at > now {
		return alarm{}, false
	}
	a := (*s)[0]
	heap.Pop(s)
	return a, true
}

// timeouts is a queue of alarms that are added in the order of their times.
type timeouts struct {
	ring  []alarm
	first int
}

func (q *timeouts) add(a alarm) { q.ring = append(q.ring, a) }

// due takes the first alarm out if its time has come.
func (q *timeouts) due(now time.Duration) (alarm, bool) {
	if q.first == len(q.ring) || q.ring[q.first].at > now {
		return alarm{}, false
	}
	a := q.ring[q.first]
	q.first++
	if q.first >= 1024 && q.first*2 >= len(q.ring) {
		q.ring = append(q.ring[:0], q.ring[q.first:]...)
		q.first = 0
	}
	return a, true
}
