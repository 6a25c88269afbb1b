package alarm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// TestEachSignalKeepsItsOwnTime: through a reload that changes the order of the rules, and
// through a restart.
func TestEachSignalKeepsItsOwnTime(t *testing.T) {
	x := Rule{ID: "x_high", If: Condition{Kind: High, Parameter: "x", Limit: 1}}
	y := Rule{ID: "y_high", If: Condition{Kind: High, Parameter: "y", Limit: 1}}
	s, _ := play(compile(t, x, y), State{}, of(5, number("y", 0, "")), of(10, number("x", 0, "")))
	want := []brief{{"y_high", telemetry.EventRaised, 7}}
	late := of(7, number("x", 9, ""), number("y", 9, ""))
	for _, rs := range []*Rules{compile(t, x, y), compile(t, y, x), compile(t, y, builtIn().Rules[0], x)} {
		_, journal := play(rs, s, late)
		require.Equal(t, want, briefs(journal))
		_, journal = play(rs, again(t, s), late)
		require.Equal(t, want, briefs(journal))
	}
}

// TestFixedSignalsHaveTheirPlaces: as the versions with five sensors wrote them.
func TestFixedSignalsHaveTheirPlaces(t *testing.T) {
	s, err := DecodeState([]byte(`{"last":[1,2,3,4,5,6,7],"changed":0}`))
	require.NoError(t, err)
	for i, name := range []string{"temperature", "humidity", "pressure", "current", "battery", "signal_strength", "switch_status"} {
		require.EqualValues(t, i+1, s.lastOf(name), name)
	}
	require.EqualValues(t, 7, s.Seen())
	require.Contains(t, string(encode(t, s)), `"last":[1,2,3,4,5,6,7]`)
}

// TestSeenUntilCountsForNewSignals: also under the same rules.
func TestSeenUntilCountsForNewSignals(t *testing.T) {
	rs := compile(t, builtIn().Rules[0], Rule{ID: "x_high", If: Condition{Kind: High, Parameter: "x", Limit: 1}})
	s, _ := play(rs, State{}, at(t0, 20))
	s = s.SeenUntil(t0 + 10_000)
	_, journal := play(rs, s, of(5, number("x", 9, "")))
	require.Empty(t, journal)
	_, journal = play(rs, again(t, s), of(5, number("x", 9, "")), of(11, number("x", 9, "")))
	require.Equal(t, []brief{{"x_high", telemetry.EventRaised, 11}}, briefs(journal))
}
