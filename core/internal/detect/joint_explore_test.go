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
	for _, v := range []float64{0, .5, 2} {
		add(fmt.Sprint("grow ", v), func(p *jointParams) { p.Grow = v })
		add(fmt.Sprint("3.25 grow ", v), func(p *jointParams) { p.Grow = v; p.Bound = 3.25 })
	}
	r, chosen, err := suite.SKABLeaveOneOut(dir, cs)
	if err != nil {
		t.Fatal(err)
	}
	show("LOFO", r, false)
	fmt.Println(chosen)
}
