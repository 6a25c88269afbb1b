package suite

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listed gives each row the score that a list has for it.
type listed struct {
	scores []float64
	row    int
}

func (l *listed) Row(int64, []float64) (score float64, unusual bool) {
	l.row++
	s := l.scores[l.row-1]
	return s, s >= 0.5
}

const testRows = 100

// writeCorpus writes two series of 100 rows in two folders: the first has windows over rows 20–29
// and 60–69, the second has none. The labels name a third one that does not exist.
func writeCorpus(tb testing.TB) string {
	tb.Helper()
	root := tb.TempDir()
	at := func(row int) string {
		return time.Date(2026, 1, 1, 0, 5*row, 0, 0, time.UTC).Format(time.DateTime)
	}
	for i, name := range []string{"a/one.csv", "b/two.csv"} {
		text := "timestamp,value\n"
		for r := range testRows {
			text += fmt.Sprintf("%s,%d\n", at(r), 1000*i+r)
		}
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(tb, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(tb, os.WriteFile(file, []byte(text), 0o600))
	}
	labels := fmt.Sprintf(`{"a/one.csv":[["%s.000000","%s.000000"],["%s","%s"]],"b/two.csv":[],"c/three.csv":[["%s","%s"]]}`,
		at(20), at(29), at(60), at(69), at(1), at(2))
	require.NoError(tb, os.WriteFile(filepath.Join(root, "combined_windows.json"), []byte(labels), 0o600))
	return root
}

// alarmsAt returns detectors for the corpus' two series, in order: score 0.9 at rows.
func alarmsAt(rows ...[]int) func() Judge {
	next := 0
	return func() Judge {
		l := &listed{scores: make([]float64, testRows)}
		for _, r := range rows[next%len(rows)] {
			l.scores[r] = 0.9
		}
		next++
		return l
	}
}

func TestNABGivesPerfect100AndNever0(t *testing.T) {
	root := writeCorpus(t)
	perfect, err := NAB(root, alarmsAt([]int{20, 60}, nil))
	require.NoError(t, err)
	never, err := NAB(root, func() Judge { return flat(0) })
	require.NoError(t, err)
	for p := range nabProfiles {
		require.InDelta(t, 100, perfect.Profiles[p].Score, 1e-9)
		require.InDelta(t, 100, perfect.Profiles[p].Fixed, 1e-9)
		require.Zero(t, never.Profiles[p].Score)
		require.True(t, math.IsInf(never.Profiles[p].Threshold, 1))
	}
	require.Equal(t, 2, perfect.Series, "a series without a file is left out")
	require.InDelta(t, 1, perfect.Events.F1, 1e-9)
	require.InDelta(t, 0, never.Events.F1, 1e-9)
}

// The figures are those of NAB's paper worked by hand: σ(x) = 2/(1+e^5x) − 1.
func TestNABWeighsEarlyLateAndFalse(t *testing.T) {
	sigma := func(x float64) float64 { return 2/(1+math.Exp(5*x)) - 1 }
	inWindow := sigma(-0.5) / sigma(-1) // row 25 of 20–29: five of ten rows are left
	behind := sigma(9.0 / 9)            // row 38 is nine rows behind the end
	for name, c := range map[string]struct {
		rows  [][]int
		worth [3]float64 // sum by profile, beyond that of a detector that never gives alarm
	}{
		"one hit in the middle":          {[][]int{{25}, nil}, [3]float64{1 + inWindow, 1 + inWindow, 2 + inWindow}},
		"the first of two alarms counts": {[][]int{{25, 27}, nil}, [3]float64{1 + inWindow, 1 + inWindow, 2 + inWindow}},
		"an alarm behind costs less": {[][]int{{25, 38}, nil}, [3]float64{
			1 + inWindow + .11*behind, 1 + inWindow + .22*behind, 2 + inWindow + .11*behind,
		}},
		"before a window, and in a series without": {[][]int{{15, 25}, {50}}, [3]float64{
			1 + inWindow - 2*.11, 1 + inWindow - 2*.22, 2 + inWindow - 2*.11,
		}},
		"probation is not scored": {[][]int{{14, 25}, {0, 14}}, [3]float64{1 + inWindow, 1 + inWindow, 2 + inWindow}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NAB(writeCorpus(t), alarmsAt(c.rows...))
			require.NoError(t, err)
			for p, worth := range c.worth {
				span := 2 * (1 + nabProfiles[p].miss)
				require.InDelta(t, 100*worth/span, r.Profiles[p].Fixed, 1e-9, nabProfiles[p].name)
			}
		})
	}
}

func TestNABChoosesTheBestThreshold(t *testing.T) {
	c, err := ReadNAB(writeCorpus(t), "")
	require.NoError(t, err)
	series := 0
	r := c.Score(func() Judge {
		l := &listed{scores: make([]float64, testRows)}
		if series == 0 {
			l.scores[20], l.scores[60] = 0.3, 0.2
		} else {
			for i := 20; i < 90; i++ {
				l.scores[i] = 0.1
			}
		}
		series++
		return l
	})
	require.InDelta(t, 0.2, r.Profiles[0].Threshold, 1e-12)
	require.InDelta(t, 100, r.Profiles[0].Score, 1e-9)
	require.Zero(t, r.Profiles[0].Fixed, "no score reaches the fixed threshold")
	require.Equal(t, []string{"a", "b"}, []string{r.Folders[0].Name, r.Folders[1].Name})
	require.InDelta(t, 100, r.Folders[0].Score[0], 1e-9)
}

// Of each folder, threshold and candidate are those that the other folders ask for: what fits a
// folder alone does not help it.
func TestNABLeaveOneOutChoosesWithoutTheFolderThatIsScored(t *testing.T) {
	c, err := ReadNAB(writeCorpus(t), "")
	require.NoError(t, err)
	good := Candidate{"good", alarmsAt([]int{20, 60}, nil)}
	bad := Candidate{"bad", alarmsAt([]int{40}, []int{50})}
	out := c.LeaveOneOut([]Candidate{bad, good})
	require.Equal(t, "good", out.Chosen["b"][0])
	require.Equal(t, "bad", out.Chosen["a"][0], "without a, both have the same score and the first one is taken")
	require.Zero(t, out.Scores[0], "the threshold that is best for b alone is never")
}

func TestNABEventsCountRunsOutsideOfWindows(t *testing.T) {
	r, err := NAB(writeCorpus(t), alarmsAt([]int{22, 23, 40, 41, 42, 50}, []int{90}))
	require.NoError(t, err)
	e := r.Fixed
	require.Equal(t, [3]int{2, 1, 3}, [3]int{e.Windows, e.Hits, e.Alarms})
	require.InDelta(t, 0.25, e.Precision, 1e-9)
	require.InDelta(t, 0.5, e.Recall, 1e-9)
	require.InDelta(t, 2.0/6, e.F1, 1e-9)
	require.LessOrEqual(t, e.F1Low, e.F1)
	require.GreaterOrEqual(t, e.F1High, e.F1)
}

func TestNABAlwaysIsNotOneAlarm(t *testing.T) {
	r, err := NAB(writeCorpus(t), func() Judge { return flat(1) })
	require.NoError(t, err)
	require.Equal(t, 2, r.Fixed.Hits)
	require.Equal(t, 1+6+6+17, r.Fixed.Alarms, "rows 15 to 19, 30 to 59 and 70 to 99 of one series, 15 to 99 of the other, by fives")
}

func TestReadNABReadsOneFolderAlone(t *testing.T) {
	root := writeCorpus(t)
	c, err := ReadNAB(filepath.Join(root, "a"), filepath.Join(root, "combined_windows.json"))
	require.NoError(t, err)
	require.Len(t, c.series, 1)
	require.Equal(t, [][2]int{{20, 29}, {60, 69}}, c.series[0].windows)
}

func TestReadNABSaysWhatIsWrong(t *testing.T) {
	root := writeCorpus(t)
	_, err := ReadNAB(t.TempDir(), filepath.Join(root, "combined_windows.json"))
	require.ErrorIs(t, err, ErrNoSeries)
	require.NoError(t, os.WriteFile(filepath.Join(root, "a", "one.csv"), []byte("timestamp,value\n2026-01-01 00:00:00,warm\n"), 0o600))
	_, err = ReadNAB(root, "")
	require.ErrorContains(t, err, "a/one.csv")
	require.ErrorContains(t, err, "line 2")
}

func TestNABBaselines(t *testing.T) {
	for _, b := range NABBaselines() {
		judge := b.New()
		var last float64
		for i := range 300 {
			last, _ = judge.Row(int64(i), []float64{float64(i % 7), math.NaN()})
		}
		jump, unusual := judge.Row(300, []float64{100, math.NaN()})
		switch b.Name {
		case "always":
			require.InDelta(t, 1, jump, 0)
		case "never":
			require.Zero(t, jump)
		default:
			require.Less(t, last, 0.5, b.Name)
			require.True(t, unusual, b.Name)
		}
	}
}

// A way to choose sees the corpus without the folder that its choice is scored on.
func TestNABLeaveOneOutByHidesTheFolder(t *testing.T) {
	c, err := ReadNAB(writeCorpus(t), "")
	require.NoError(t, err)
	seen := map[string][]string{}
	scores := c.LeaveOneOutBy(func(rest *NABCorpus, without string) func() Judge {
		for i := range rest.series {
			seen[without] = append(seen[without], rest.series[i].name)
		}
		return alarmsAt([]int{20, 60}, nil)
	})
	require.Equal(t, map[string][]string{"a": {"b/two.csv"}, "b": {"a/one.csv"}}, seen)
	require.Zero(t, scores[0], "b has no window: its best threshold is never")
}

func TestNABPlateauIsLowerThanAPeak(t *testing.T) {
	require.InDelta(t, 30, plateau([]float64{0, 30, 30, 30, 30, 0}), 1e-9)
	require.Less(t, plateau([]float64{0, 0, 0, 0, 90, 0, 0, 0, 0}), 60.0)
	require.Zero(t, plateau(nil))
}

// Of two alarms in a window the earlier one counts, whichever has the higher score.
func TestNABAnEarlierAlarmIsWorthMore(t *testing.T) {
	c, err := ReadNAB(writeCorpus(t), "")
	require.NoError(t, err)
	r := c.Score(func() Judge {
		l := &listed{scores: make([]float64, testRows)}
		l.scores[28], l.scores[20], l.scores[68], l.scores[60] = 0.9, 0.8, 0.9, 0.8
		return l
	})
	require.InDelta(t, 0.8, r.Profiles[0].Threshold, 1e-12)
	require.InDelta(t, 100-100*4*0.11/4, r.Profiles[0].Score, 1e-9, "the second series has no window: four false alarms")
}
