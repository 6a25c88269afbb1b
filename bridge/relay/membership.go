package relay

import (
	"maps"
	"slices"
	"sync"
)

// membership is this bridge's part in the consumer group.
type membership struct {
	mu    sync.Mutex
	ever  bool // lanes were assigned once (perhaps none)
	in    bool // in the current generation
	lanes map[int32]int
}

func newMembership() *membership { return &membership{lanes: map[int32]int{}} }

// enter records the start of a generation with this bridge.
func (m *membership) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ever, m.in = true, true
}

// leave records its end.
func (m *membership) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = false
}

// claim records that a lane is assigned to this bridge, until release.
func (m *membership) claim(lane int32) (release func()) {
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
// its lanes.
func (m *membership) now() (ever, in bool, lanes []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ever, m.in, slices.Sorted(maps.Keys(m.lanes))
}
