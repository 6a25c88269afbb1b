package detect

import (
	"fmt"
	"os"
	"sort"
	"testing"

	"industrial-iot-monitor/core/internal/suite"
)

func TestGrid(t *testing.T) {
	dir := os.Getenv("SKABGRID")
	if dir == "" {
		t.Skip()
	}
	type row struct {
		n string
		r suite.SKABResult
	}
	var rows []row
	var cs []suite.Candidate
	marg := map[string][]float64{}
	for _, bound := range []float64{2.75, 3, 3.25} {
		for _, lev := range []float64{.03, .05, .08} {
			for _, ridge := range []float64{.05, .2} {
				for _, drift := range []float64{.3, .6} {
					for _, short := range []float64{6, 8, 10} {
						for _, block := range []int{64} {
							for _, rel := range []float64{.4, .5} {
								p := jointDefaults()
								p.Bound, p.Leverage, p.Ridge, p.Drift, p.Short, p.Block, p.Release = bound, lev, ridge, drift, short, block, rel
								n := func() suite.Judge { return &JointJudge{params: p, settle: Defaults().Settle} }
								r, _ := suite.SKAB(dir, n)
								name := fmt.Sprint("bound ", bound, " lev ", lev, " ridge ", ridge, " drift ", drift, " short ", short, " block ", block, " rel ", rel)
								rows = append(rows, row{name, r})
								cs = append(cs, suite.Candidate{Name: name, New: n})
								for _, k := range []string{fmt.Sprint("bound ", bound), fmt.Sprint("lev ", lev), fmt.Sprint("ridge ", ridge), fmt.Sprint("drift ", drift), fmt.Sprint("short ", short), fmt.Sprint("block ", block), fmt.Sprint("rel ", rel)} {
									marg[k] = append(marg[k], r.F1())
								}
							}
						}
					}
				}
			}
		}
	}
	sort.Slice(rows, func(a, b int) bool { return rows[a].r.F1() > rows[b].r.F1() })
	for _, r := range rows[:25] {
		show(r.n, r.r, false)
	}
	var ks []string
	for k := range marg {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	for _, k := range ks {
		s := 0.0
		sort.Float64s(marg[k])
		for _, v := range marg[k] {
			s += v
		}
		m := marg[k]
		fmt.Printf("%-12s mean %.3f p10 %.3f max %.3f\n", k, s/float64(len(m)), m[len(m)/10], m[len(m)-1])
	}
	r, ch, _ := suite.SKABLeaveOneOut(dir, cs)
	show("LOFO", r, false)
	fmt.Println(ch)
}
