package detect

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/suite"
)

// noveltyJudge lets the suite judge the novelty measure alone.
type noveltyJudge struct {
	set noveltySet
	n   novelty
}

func (j *noveltyJudge) Row(at int64, values []float64) (score float64, unusual bool) {
	score = j.n.step(&j.set, at, values[0])
	return score, score >= 0.5
}

func noveltyCandidate(name string, change func(*noveltySet)) suite.NABCandidate {
	set := defaultNovelty()
	change(&set)
	return suite.NABCandidate{Name: name, New: func() suite.Judge { return &noveltyJudge{set: set} }}
}

func TestX(t *testing.T) {
	root, ok := os.LookupEnv("NAB_DIR")
	if !ok {
		t.Skip()
	}
	c, err := suite.ReadNAB(root, "")
	require.NoError(t, err)
	try := func(name string, change func(*noveltySet)) {
		r := c.Score(noveltyCandidate(name, change).New)
		t.Logf("%-22s %5.1f %5.1f %5.1f  left out %5.1f %5.1f %5.1f  fixed %5.1f %5.1f %5.1f  thr %.3f %.3f %.3f  hits %d/%d false %d F1 %.3f [%.3f %.3f]",
			name, r.Profiles[0].Score, r.Profiles[1].Score, r.Profiles[2].Score,
			r.Profiles[0].LeftOut, r.Profiles[1].LeftOut, r.Profiles[2].LeftOut,
			r.Profiles[0].Fixed, r.Profiles[1].Fixed, r.Profiles[2].Fixed, r.Profiles[0].Threshold, r.Profiles[1].Threshold, r.Profiles[2].Threshold,
			r.Events.Hits, r.Events.Windows, r.Events.Alarms, r.Events.F1, r.Events.F1Low, r.Events.F1High)
	}
	try("default", func(*noveltySet) {})
	for _, c := range []float64{1e-4, 1.5e-4, 3e-4, 5e-4} {
		try("cap", func(s *noveltySet) { s.cap = c })
		try("cap+forget", func(s *noveltySet) { s.cap = c; s.forget = 300 / c })
	}
	try("rough", func(s *noveltySet) { s.rough = 1. / 2000 })
	try("mean", func(s *noveltySet) { s.mean = 1. / 1000 })
	try("both", func(s *noveltySet) { s.mean = 1. / 1000; s.rough = 1. / 2000 })
	try("settle", func(s *noveltySet) { s.settle = 86400 })
	try("settle2", func(s *noveltySet) { s.settle = 2 * 86400 })
	try("surprise1", func(s *noveltySet) { s.surprise = 1 })
	try("warm 100", func(s *noveltySet) { s.warm = 100 })
	try("rhythm .5", func(s *noveltySet) { s.rhythm = .5 })
	try("rhythm .6", func(s *noveltySet) { s.rhythm = .6 })
	try("prior 3600", func(s *noveltySet) { s.prior = 3600 })
	try("week 6000", func(s *noveltySet) { s.week = 6000 })
	try("beyond1.25", func(s *noveltySet) { s.beyond = 1.25 })
	try("beyond1.75", func(s *noveltySet) { s.beyond = 1.75 })
	try("level 15", func(s *noveltySet) { s.level = 15 })
	try("level 30", func(s *noveltySet) { s.level = 30 })
}
