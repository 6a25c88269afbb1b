package relay

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// membership is this bridge's part in the consumer group.
type membership struct {
	mu    sync.Mutex
	ever  bool // lanes were assigned once (perhaps none)
	in    bool // in the current generation
	lanes map[int32]int
	// served are the lanes of the current generation, or of the last one: the group cannot
	// reassign them while Kafka is away.
	served map[int32]bool
	start  time.Time
}

// alone is how long after the start a bridge without lanes concludes that Kafka is away.
const alone = 5 * time.Second

func newMembership() *membership {
	return &membership{lanes: map[int32]int{}, served: map[int32]bool{}, start: time.Now()}
}

// enter records the start of a generation in which this bridge has lanes.
func (m *membership) enter(lanes []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ever, m.in = true, true
	clear(m.served)
	for _, k := range lanes {
		m.served[k] = true
	}
}

// serves reports whether this bridge sends the packs of a lane's gateways to screens: it has
// the lane, or had it last. A bridge that started while Kafka is away serves all: with others
// like it, screens get some readings twice, and drop the second.
func (m *membership) serves(lane int32, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ever {
		return now.Sub(m.start) > alone
	}
	return m.served[lane]
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
