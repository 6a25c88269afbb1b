package relay

import (
	"maps"
	"slices"
	"sync"
)

// membership is what the group of bridges has given to this one.
type membership struct {
	mu    sync.Mutex
	ever  bool // lanes were assigned once (perhaps none)
	in    bool // of the group's present generation
	lanes map[int32]int
}

func newMembership() *membership { return &membership{lanes: map[int32]int{}} }

// enter records that the group has a generation with this bridge, leave that it is over.
func (m *membership) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ever, m.in = true, true
}

func (m *membership) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = false
}

// take records that a lane is given to this bridge, and returns what records that it is
// given back.
func (m *membership) take(lane int32) (giveBack func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lanes[lane]++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.lanes[lane]--; m.lanes[lane] == 0 {
			delete(m.lanes, lane)
		}
	}
}

// now returns whether lanes were ever assigned, whether this bridge is in the group, and
// the lanes it has.
func (m *membership) now() (ever, in bool, lanes []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ever, m.in, slices.Sorted(maps.Keys(m.lanes))
}
