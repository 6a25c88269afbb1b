package suite

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// corpus reads the series that NAB_DIR names; without it the test says what it needs.
func corpus(tb testing.TB) *NABCorpus {
	tb.Helper()
	root, ok := os.LookupEnv("NAB_DIR")
	if !ok {
		tb.Skip("needs NAB_DIR: a directory with combined_windows.json and the series that it names")
	}
	c, err := ReadNAB(root, "")
	require.NoError(tb, err)
	return c
}

func report(tb testing.TB, name string, r *NABResult) {
	tb.Helper()
	tb.Logf("%-26s %5.1f %5.1f %5.1f  threshold left out %5.1f %5.1f %5.1f  fixed %5.1f %5.1f %5.1f  thr %.3g  hits %d/%d false %d F1 %.3f [%.3f %.3f]",
		name, r.Profiles[0].Score, r.Profiles[1].Score, r.Profiles[2].Score,
		r.Profiles[0].LeftOut, r.Profiles[1].LeftOut, r.Profiles[2].LeftOut,
		r.Profiles[0].Fixed, r.Profiles[1].Fixed, r.Profiles[2].Fixed, r.Profiles[0].Threshold,
		r.Events.Hits, r.Events.Windows, r.Events.Alarms, r.Events.F1, r.Events.F1Low, r.Events.F1High)
}

func TestBaselinesOnNAB(t *testing.T) {
	c := corpus(t)
	for _, b := range Baselines() {
		r := c.Score(b.New)
		report(t, b.Name, &r)
	}
}
