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
	for _, v := range []float64{2.5, 3, 4, 4.5, 5} {
		add(fmt.Sprint("bound ", v), func(p *jointParams) { p.Bound = v })
	}
	for _, v := range []float64{.2, .3, .5, 2, 4} {
		add(fmt.Sprint("drift ", v), func(p *jointParams) { p.Drift = v })
	}
	for _, v := range []float64{0, .03, .05, .2, .4} {
		add(fmt.Sprint("lev ", v), func(p *jointParams) { p.Leverage = v })
	}
	for _, v := range []float64{0, .1, .2, .4, 1} {
		add(fmt.Sprint("ridge ", v), func(p *jointParams) { p.Ridge = v })
	}
	for _, v := range []float64{4, 6, 12, 16, 24} {
		add(fmt.Sprint("short ", v), func(p *jointParams) { p.Short = v })
	}
	for _, v := range []float64{300, 400, 1000, 3000} {
		add(fmt.Sprint("centre ", v), func(p *jointParams) { p.Centre = v })
	}
	for _, v := range []float64{.2, .3, .5, .6} {
		add(fmt.Sprint("release ", v), func(p *jointParams) { p.Release = v })
	}
	for _, v := range []int{0, 10, 20, 30, 60} {
		add(fmt.Sprint("hold ", v), func(p *jointParams) { p.Hold = v })
	}
	for _, v := range []int{24, 32, 48, 80, 100} {
		add(fmt.Sprint("block ", v), func(p *jointParams) { p.Block = v })
	}
	for _, v := range []int{250, 300, 400, 450} {
		add(fmt.Sprint("learn ", v), func(p *jointParams) { p.Learn = v })
	}
	r, chosen, err := suite.SKABLeaveOneOut(dir, cs)
	if err != nil {
		t.Fatal(err)
	}
	show("LOFO", r, false)
	fmt.Println(chosen)
}
