package dashboard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFactsOfDevicesCanBeFollowed(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("d0", `"co2":{"value":600}`, `"firmware":"1.2.3"`)
	at := g.now.UnixMilli()
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fact/seen","fact/firmware","fact/clock_offset"]}`))
	g.work()
	got := strings.Join(g.lines(s), "\n")
	require.Contains(t, got, fmt.Sprintf(`{"values":[[0,%d]]}`, at))
	require.Contains(t, got, `{"values":[[0,"1.2.3"]]}`)
	require.Contains(t, got, `{"values":[]}`, "its clock is right")
	g.sense("d0", `"co2":{"value":600}`, `"firmware":"1.3.0"`)
	g.second()
	require.Contains(t, strings.Join(g.lines(s), "\n"), `{"values":[[0,"1.3.0"]]}`)
}

// TestTimesOfReadingsAreSentSeldom: each device's goes out once in seenRounds, and the last one in any case.
func TestTimesOfReadingsAreSentSeldom(t *testing.T) {
	const devices = 50
	g := newStage(t, Limits{})
	for i := range devices {
		g.sense(fmt.Sprint("d", i), `"co2":{"value":1}`, ``)
	}
	s, _ := g.follow("fact/seen")
	var last int64
	sent := 0
	for range seenRounds {
		for i := range devices {
			g.sense(fmt.Sprint("d", i), `"co2":{"value":1}`, ``)
		}
		last = g.now.UnixMilli()
		g.second()
		sent += strings.Count(strings.Join(g.lines(s), ""), ",1") // times begin with 1
	}
	require.InDelta(t, devices, sent, devices/seenRounds)
	for range seenRounds {
		g.second()
		g.lines(s)
	}
	x := g.p.facts[factSeen]
	for i := range devices {
		require.InDelta(t, last, x.entries[i].number, 0, "device %d", i)
	}
}

func TestFactsThatNobodyFollowsAreDropped(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("d", `"co2":{"value":1}`, ``)
	s, _ := g.follow("fact/seen")
	require.Len(t, g.p.facts, 1)
	g.model.Remove("d", 0)
	g.second()
	s.Close()
	fleet, _ := g.follow("fleet")
	g.second()
	require.Empty(t, g.p.facts)
	fleet.Close()
}

func TestRemovedDeviceHasNoFacts(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("d", `"co2":{"value":1}`, ``)
	s, _ := g.follow("fact/seen")
	g.model.Remove("d", 0)
	g.second()
	require.Contains(t, g.data(s), `{"values":[[0,null]]}`)
}
