//go:build nab

package novelty

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/suite"
)

// judge lets the suite judge the novelty measure alone.
type judge struct {
	set params
	n   Measure
}

func (j *judge) Row(at int64, values []float64) (score float64, unusual bool) {
	score = j.n.step(&j.set, at, values[0])
	return score, score >= 0.5
}

func candidate(name string, change func(*params)) suite.Candidate {
	set := defaults()
	change(&set)
	return suite.Candidate{Name: name, New: func() suite.Judge { return &judge{set: set} }}
}

var (
	nabDir    = flag.String("nab", "", "directory with the series of the Numenta Anomaly Benchmark")
	nabLabels = flag.String("nab-labels", "", "file of their windows (default combined_windows.json in that directory)")
)

func nabCorpus(tb testing.TB) *suite.NABCorpus {
	tb.Helper()
	require.NotEmpty(tb, *nabDir, "-args -nab DIR says where the series are")
	c, err := suite.ReadNAB(*nabDir, *nabLabels)
	require.NoError(tb, err)
	return c
}

// logScore prints a row of the tables in docs/detection-nab.md.
func logScore(tb testing.TB, name string, r *suite.NABResult) {
	tb.Helper()
	p := &r.Profiles
	tb.Logf("%-28s best %5.1f %5.1f %5.1f  threshold left out %5.1f %5.1f %5.1f  at 0.5 %5.1f %5.1f %5.1f  found %d/%d false %d precision %.3f recall %.3f F1 %.3f (%.3f to %.3f)",
		name, p[0].Score, p[1].Score, p[2].Score, p[0].LeftOut, p[1].LeftOut, p[2].LeftOut, p[0].Fixed, p[1].Fixed, p[2].Fixed,
		r.Fixed.Hits, r.Fixed.Windows, r.Fixed.Alarms, r.Fixed.Precision, r.Fixed.Recall, r.Fixed.F1, r.Fixed.F1Low, r.Fixed.F1High)
}

// What the product reaches on the public corpus must not be lost. Any other part of the corpus is
// only reported.
func TestOnNAB(t *testing.T) {
	c := nabCorpus(t)
	r := c.Score(candidate("novelty", func(*params) {}).New)
	logScore(t, "novelty", &r)
	for _, f := range r.Folders {
		t.Logf("    %-24s %2d series  %6.1f %6.1f %6.1f  found %d/%d false %d F1 %.3f", f.Name, f.Series,
			f.Score[0], f.Score[1], f.Score[2], f.Events.Hits, f.Events.Windows, f.Events.Alarms, f.Events.F1)
	}
	if r.Series == 51 && r.Events.Windows == 97 {
		require.Greater(t, r.Profiles[0].Fixed, 76.0)
		require.Greater(t, r.Profiles[1].Fixed, 68.0)
		require.Greater(t, r.Profiles[2].Fixed, 81.0)
	}
}

// What a detector has to beat, and each part and each choice alone, one at a time.
func TestVariantsOnNAB(t *testing.T) {
	c := nabCorpus(t)
	for _, v := range append(suite.NABBaselines(), variants()...) {
		r := c.Score(v.New)
		logScore(t, v.Name, &r)
	}
}

func variants() []suite.Candidate {
	one := candidate
	return []suite.Candidate{
		one("as it is", func(*params) {}),
		one("value alone", func(s *params) { s.Weight = [parts]float64{partValue: 1} }),
		one("without value", func(s *params) { s.Weight[partValue] = 0 }),
		one("without level", func(s *params) { s.Weight[partLevel] = 0 }),
		one("without calm", func(s *params) { s.Weight[partCalm] = 0 }),
		one("without rhythm", func(s *params) { s.Weight[partRhythm] = 0 }),
		one("without trend", func(s *params) { s.Weight[partTrend] = 0 }),
		one("trend in full", func(s *params) { s.Weight[partTrend] = 1 }),
		one("all parts in full, unfaded", func(s *params) { s.Weight[partTrend], s.Beyond, s.Hold = 1, 1, 0 }),
		one("memory 3,500", func(s *params) { s.Memory = 3500 }),
		one("memory 14,000", func(s *params) { s.Memory = 14000 }),
		one("level 10", func(s *params) { s.Level = 10 }),
		one("level 30", func(s *params) { s.Level = 30 }),
		one("level 40", func(s *params) { s.Level = 40 }),
		one("calm 0.1", func(s *params) { s.Calm = 0.1 }),
		one("calm 1", func(s *params) { s.Calm = 1 }),
		one("rhythm 0.2", func(s *params) { s.Rhythm = 0.2 }),
		one("rhythm 0.6", func(s *params) { s.Rhythm = 0.6 }),
		one("long 200", func(s *params) { s.Long = 200 }),
		one("long 300", func(s *params) { s.Long = 300 }),
		one("long 600", func(s *params) { s.Long = 600 }),
		one("short 20", func(s *params) { s.Short = 20 }),
		one("short 60", func(s *params) { s.Short = 60 }),
		one("beyond 1", func(s *params) { s.Beyond = 1 }),
		one("beyond 1.5", func(s *params) { s.Beyond = 1.5 }),
		one("beyond 2", func(s *params) { s.Beyond = 2 }),
		one("hold 0", func(s *params) { s.Hold = 0 }),
		one("hold 60", func(s *params) { s.Hold = 60 }),
		one("fade 25", func(s *params) { s.Fade = 25 }),
		one("fade 100", func(s *params) { s.Fade = 100 }),
		one("warm 100", func(s *params) { s.Warm = 100 }),
	}
}

// grid is which parts there are, over which memories and lengths: 288 sets.
func grid() []suite.Candidate {
	var out []suite.Candidate
	for i := range 288 {
		k := i
		pick := func(n int) int { v := k % n; k /= n; return v }
		level, trend, memory := pick(4), pick(3), pick(3)
		calm, rhythm, beyond := pick(2), pick(2), pick(2)
		name := fmt.Sprintf("level %d trend %.1f memory %d calm %d rhythm %d beyond %.2f",
			[...]int{0, 10, 20, 40}[level], float64(trend)/2, 3500<<memory, calm, rhythm, 1+0.75*float64(beyond))
		out = append(out, candidate(name, func(s *params) {
			s.Weight = [parts]float64{
				partValue: 1, partLevel: 0.2 * float64(min(level, 1)), partTrend: float64(trend) / 2,
				partCalm: float64(calm), partRhythm: float64(rhythm),
			}
			s.Level = [...]int{20, 10, 20, 40}[level]
			s.Memory = float64(int(3500 << memory))
			s.Beyond = 1 + 0.75*float64(beyond)
		}))
	}
	return out
}

// noveltyChoices is what a search may try for each parameter, one after another.
func noveltyChoices() []func(*params, int) bool {
	list := func(set func(*params, float64), values ...float64) func(*params, int) bool {
		return func(s *params, i int) bool {
			if i < len(values) {
				set(s, values[i])
			}
			return i < len(values)
		}
	}
	choices := []func(*params, int) bool{
		list(func(s *params, v float64) { s.Memory = v }, 2000, 3500, 5000, 7000, 10000, 14000, 20000),
		list(func(s *params, v float64) { s.Level = int(v) }, 5, 10, 15, 20, 30, 40, 60),
		list(func(s *params, v float64) { s.Widen = v }, 0.05, 0.1, 0.2, 1),
		list(func(s *params, v float64) { s.Calm = v }, 0.03, 0.1, 0.3, 1),
		list(func(s *params, v float64) { s.Rhythm = v }, 0, 0.2, 0.3, 0.4, 0.5, 0.6),
		list(func(s *params, v float64) { s.Prior = v }, 300, 900, 1800, 3600, 15000),
		list(func(s *params, v float64) { s.Day = v }, 7500, 15000, 30000),
		list(func(s *params, v float64) { s.Week = v }, 3000, 6000, 12000),
		list(func(s *params, v float64) { s.Short = v }, 10, 20, 30, 40, 60),
		list(func(s *params, v float64) { s.Long = v }, 100, 200, 300, 400, 600, 1000),
		list(func(s *params, v float64) { s.Warm = uint32(v) }, 20, 50, 100, 200),
		list(func(s *params, v float64) { s.Beyond = v }, 1, 1.25, 1.5, 1.75, 2, 3),
		list(func(s *params, v float64) { s.Hold = v }, 0, 10, 20, 30, 60, 100),
		list(func(s *params, v float64) { s.Fade = v }, 10, 25, 50, 100, 200),
	}
	for p := range parts {
		choices = append(choices, list(func(s *params, v float64) { s.Weight[p] = v }, 0, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.4))
	}
	return choices
}

// neutral is where a search begins: nothing in it was chosen for its score.
func neutral() params {
	s := params{
		Half: 0.06, Warm: 50, Memory: 10000, Level: 10, Calm: 0.1, Rhythm: 0.5, Day: 15000, Week: 6000, Prior: 3600,
		Widen: 1, Short: 20, Long: 200, Beyond: 1, Hold: 10, Fade: 50,
	}
	for p := range s.Weight {
		s.Weight[p] = 1
	}
	return s
}

// searchNovelty changes one parameter at a time as long as the mean of the profiles gains 0.3 by it.
func searchNovelty(c *suite.NABCorpus) (best params, score float64) {
	const gain = 0.3
	rate := func(s params) float64 {
		_, around := c.Rate(func() suite.Judge { return &judge{set: s} })
		return (around[0] + around[1] + around[2]) / 3
	}
	best = neutral()
	score = rate(best)
	for before := -1.0; score > before; {
		before = score
		for _, choice := range noveltyChoices() {
			from, start := best, score
			for i, s := 0, from; choice(&s, i); i++ {
				if v := rate(s); v > max(score, start+gain) {
					best, score = s, v
				}
			}
		}
	}
	return best, score
}

// Parts, memories and the threshold are chosen without the folder that is scored: from a small grid
// around the product's set, and by a search of all parameters from a neutral start.
func TestLeaveOneFolderOut(t *testing.T) {
	c := nabCorpus(t)
	out := c.LeaveOneOut(grid())
	t.Logf("leave one folder out, grid: %.1f %.1f %.1f", out.Scores[0], out.Scores[1], out.Scores[2])
	for _, folder := range slices.Sorted(maps.Keys(out.Chosen)) {
		t.Logf("    %-24s %q", folder, out.Chosen[folder])
	}
}

// All parameters are searched for without the folder that is scored.
func TestSearchLeavesOneFolderOut(t *testing.T) {
	c := nabCorpus(t)
	scores := c.LeaveOneOutBy(func(rest *suite.NABCorpus, without string) func() suite.Judge {
		set, score := searchNovelty(rest)
		t.Logf("    without %-24s %.1f by %+v", without, score, set)
		return func() suite.Judge { return &judge{set: set} }
	})
	t.Logf("leave one folder out, search: %.1f %.1f %.1f", scores[0], scores[1], scores[2])
	r := c.Score(func() suite.Judge { return &judge{set: neutral()} })
	logScore(t, "where the search began", &r)
}

// What 0.5 costs on a made-up plant where nothing happens, and what a higher bound does.
func TestOnUsualDays(t *testing.T) {
	const streams, days = 40, 21
	bounds := [...]float64{0.5, 0.6, 0.7, 0.8}
	for _, interval := range []int64{10_000, minute, 5 * minute} {
		var alarms [len(bounds)]float64
		for k := range uint64(streams) {
			rng := rand.New(rand.NewPCG(k, 9))
			var n Measure
			for _, s := range play(&n, defaults(), monday, monday+days*dayMS, interval, func(at int64) float64 { return plantCourse(rng, at) }) {
				for i, b := range bounds {
					if s >= b {
						alarms[i] += 1.0 / streams / days
					}
				}
			}
		}
		t.Logf("a value every %3d s: alarms per stream and day at %v: %.4f", interval/1000, bounds, alarms)
		require.True(t, interval > minute || alarms[2] < 0.005)
	}
}
