//go:build skab

package detect

import (
	"flag"
	"fmt"
	"testing"

	"industrial-iot-monitor/core/internal/suite"
)

// skabPath is where SKAB's tables are, which are not part of the repository
// (https://github.com/waico/SKAB, folder data):
//
//	go test -tags skab ./core/internal/detect -run SKAB -v -args -skab data/valve1
var skabPath = flag.String("skab", "", "directory with tables of SKAB")

func skabDir(tb testing.TB) string {
	tb.Helper()
	if *skabPath == "" {
		tb.Fatal("needs -skab, a directory with tables of SKAB")
	}
	return *skabPath
}

func jointCandidate(name string, set func(p *jointParams)) suite.Candidate {
	p := jointDefaults()
	set(&p)
	return suite.Candidate{Name: name, New: func() suite.Judge { return &JointJudge{params: p, settle: Defaults().Settle} }}
}

// skabLine is a line of the table in docs/detection-skab.md.
func skabLine(name string, r *suite.SKABResult) string {
	return fmt.Sprintf("| %s | %.3f (%.3f–%.3f) | %.1f (%.1f–%.1f) | %.1f (%.1f–%.1f) | %.2f / %.2f | %d of %d | %d | %d |", name,
		r.F1(), r.F1CI.Low, r.F1CI.High, r.FAR(), r.FARCI.Low, r.FARCI.High, r.MAR(), r.MARCI.Low, r.MARCI.High,
		r.Precision(), r.Recall(), r.Found, r.Events, r.Delay, r.False)
}

// TestSKABGoal measures the joint measure by SKAB's rules, beside the naive baselines.
func TestSKABGoal(t *testing.T) {
	dir := skabDir(t)
	for _, c := range append(suite.SKABBaselines(), jointCandidate("joint measure", func(*jointParams) {})) {
		r, err := suite.SKAB(dir, c.New)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(skabLine(c.Name, &r))
		if c.Name != "joint measure" {
			continue
		}
		for _, f := range r.Files {
			t.Logf("    %-10s F1 %.3f FAR %4.1f MAR %5.1f, delay %v, false %d", f.Name, f.F1(), f.FAR(), f.MAR(), f.Delays, f.False)
		}
		if r.F1() < 0.88 || r.FAR() > 10 || r.MAR() > 15 {
			t.Errorf("F1 %.3f FAR %.1f MAR %.1f, want 0.88, 10, 15", r.F1(), r.FAR(), r.MAR())
		}
	}
}

// TestSKABNeighbours shows how much each parameter matters, and what is left when the choice among
// the grid is made without the file that is scored.
func TestSKABNeighbours(t *testing.T) {
	dir := skabDir(t)
	for _, c := range skabNeighbours() {
		r, err := suite.SKAB(dir, c.New)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(skabLine(c.Name, &r))
	}
	grid := skabGrid()
	r, chosen, err := suite.SKABLeaveOneOut(dir, grid)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(skabLine(fmt.Sprintf("leave one file out, %d candidates", len(grid)), &r))
	for name, n := range chosen {
		t.Log("    chosen", n, name)
	}
}

func skabNeighbours() []suite.Candidate {
	var out []suite.Candidate
	add := func(name string, v float64, set func(p *jointParams, v float64)) {
		out = append(out, jointCandidate(fmt.Sprint(name, " ", v), func(p *jointParams) { set(p, v) }))
	}
	for _, v := range []float64{2.5, 2.75, 3.25, 3.5} {
		add("bound", v, func(p *jointParams, v float64) { p.Bound = v })
	}
	for _, v := range []float64{4, 8, 12} {
		add("short", v, func(p *jointParams, v float64) { p.Short = v })
	}
	for _, v := range []float64{0, 0.06, 0.08, 0.16, 0.24} {
		add("leverage", v, func(p *jointParams, v float64) { p.Leverage = v })
	}
	for _, v := range []float64{0, 0.15, 0.6, 1} {
		add("drift", v, func(p *jointParams, v float64) { p.Drift = v })
	}
	for _, v := range []float64{0.05, 0.4, 1} {
		add("ridge", v, func(p *jointParams, v float64) { p.Ridge = v })
	}
	for _, v := range []float64{0, 2, 1000} {
		add("chance", v, func(p *jointParams, v float64) { p.Chance = v })
	}
	for _, v := range []float64{300, 1200} {
		add("centre", v, func(p *jointParams, v float64) { p.Centre = v })
	}
	for _, v := range []float64{48, 96} {
		add("block", v, func(p *jointParams, v float64) { p.Block = int64(v) })
	}
	for _, v := range []float64{0, 0.3, 0.4, 0.6} {
		add("release", v, func(p *jointParams, v float64) { p.Release = v })
	}
	for _, v := range []float64{0, 20, 60} {
		add("hold", v, func(p *jointParams, v float64) { p.Hold = int64(v) })
	}
	return out
}

func skabGrid() []suite.Candidate {
	var out []suite.Candidate
	for _, bound := range []float64{2.75, 3, 3.25} {
		for _, leverage := range []float64{0.08, 0.12, 0.16} {
			for _, short := range []float64{6, 8} {
				for _, release := range []float64{0.4, 0.5} {
					out = append(out, jointCandidate(fmt.Sprintf("bound %v leverage %v short %v release %v", bound, leverage, short, release), func(p *jointParams) {
						p.Bound, p.Leverage, p.Short, p.Release = bound, leverage, short, release
					}))
				}
			}
		}
	}
	return out
}
