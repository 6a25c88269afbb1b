package detect

import (
	"fmt"
	"os"
	"testing"

	"industrial-iot-monitor/core/internal/suite"
)

func show(name string, r suite.SKABResult, files bool) {
	fmt.Printf("%-60s F1 %.3f [%.3f %.3f] FAR %4.1f [%.1f %.1f] MAR %4.1f [%.1f %.1f] events %d/%d delay %d false %d\n", name, r.F1(), r.F1CI.Low, r.F1CI.High, r.FAR(), r.FARCI.Low, r.FARCI.High, r.MAR(), r.MARCI.Low, r.MARCI.High, r.Found, r.Events, r.Delay, r.False)
	if files {
		for _, f := range r.Files {
			fmt.Printf("    %-10s %.3f %5.1f %5.1f false %d delay %v\n", f.Name, f.F1(), f.FAR(), f.MAR(), f.False, f.Delays)
		}
	}
}

func TestExplore(t *testing.T) {
	dir := os.Getenv("SKAB")
	if dir == "" {
		t.Skip()
	}
	var cs []suite.Candidate
	add := func(name string, f func(p *jointParams)) {
		p := jointDefaults()
		f(&p)
		n := func() suite.Judge { return &JointJudge{params: p, settle: Defaults().Settle} }
		r, err := suite.SKAB(dir, n)
		if err != nil {
			t.Fatal(err)
		}
		show(name, r, name == "default")
		cs = append(cs, suite.Candidate{Name: name, New: n})
	}
	add("default", func(p *jointParams) {})
	for _, v := range []float64{2.5, 2.75, 3, 3.25, 4, 4.5, 5} {
		add(fmt.Sprint("bound ", v), func(p *jointParams) { p.Bound = v })
	}
	for _, v := range []float64{0, .03, .05, .2} {
		add(fmt.Sprint("lev ", v), func(p *jointParams) { p.Leverage = v })
	}
	for _, v := range []float64{0, 1, 3, 4} {
		add(fmt.Sprint("sure ", v), func(p *jointParams) { p.Chance = v })
		add(fmt.Sprint("b3 sure ", v), func(p *jointParams) { p.Chance = v; p.Bound = 3 })
	}
	for _, v := range []int{1, 16, 64} {
		add(fmt.Sprint("delay ", v), func(p *jointParams) { p.Wait = v })
		add(fmt.Sprint("b3 delay ", v), func(p *jointParams) { p.Wait = v; p.Bound = 3 })
	}
	for _, v := range []int{50, 150, 200, 250} {
		add(fmt.Sprint("stable ", v), func(p *jointParams) { p.Moves = v })
		add(fmt.Sprint("b3 stable ", v), func(p *jointParams) { p.Moves = v; p.Bound = 3 })
	}
	r, chosen, err := suite.SKABLeaveOneOut(dir, cs)
	if err != nil {
		t.Fatal(err)
	}
	show("LOFO", r, false)
	fmt.Println(chosen)
}
