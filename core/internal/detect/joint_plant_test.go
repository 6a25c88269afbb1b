package detect

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/sim/fleet"
)

func TestPlantX(t *testing.T) {
	if os.Getenv("FLEET") == "" {
		t.Skip()
	}
	f, _ := fleet.New(fleet.Options{Devices: 200, Seed: 11, Variance: .1, Mixed: true, Interval: 10e9})
	g := f.Generator()
	var r telemetry.Reading
	type acc struct{ dev, found, pre, delay, with int }
	res := map[string]*acc{}
	rng := rand.New(rand.NewPCG(1, 1))
	for d := range 200 {
		g.Reading(d, 1780000000000, &r)
		for _, sc := range []string{"none", "temperature", "humidity", "current", "vibration", "power", "speed", "flow", "noise", "power_factor"} {
			has := sc == "none"
			for _, s := range r.Sensors {
				has = has || s.Name == sc
			}
			if !has {
				continue
			}
			j := NewJointJudge(Defaults())
			a := res[r.Info.Model+" "+sc]
			if a == nil {
				a = &acc{}
				res[r.Info.Model+" "+sc] = a
			}
			a.dev++
			var q telemetry.Reading
			found := false
			hold := 0.0
			sum, n := 0.0, 0.0
			for i := range int64(8640 * 2) {
				at := int64(1780000000000) + i*10000
				g.Reading(d, at, &q)
				var v []float64
				for _, s := range q.Sensors {
					if s.Kind == telemetry.Text {
						continue
					}
					x := s.Number
					if s.Name == sc && i > 6000 && i < 8640+4320 {
						sum += x
						n++
					}
					if s.Name == sc && i >= 8640+4320 {
						if hold == 0 {
							hold = sum / n
						}
						x = hold + rng.NormFloat64()*.1
					}
					v = append(v, x)
				}
				_, u := j.Row(at, v)
				if u && i >= 8640 && i < 8640+4320 {
					a.pre++
				}
				if u && !found && i >= 8640+4320 {
					found = true
					a.found++
					a.delay += int(i - 8640 - 4320)
					if rs, _ := j.joint.reason(&j.params); rs.With >= 0 {
						a.with++
					}
				}
			}
		}
	}
	for k, a := range res {
		fmt.Printf("%-32s dev %d found %d with %d delay %d rows pre %d\n", k, a.dev, a.found, a.with, a.delay/max(1, a.found), a.pre)
	}
}
