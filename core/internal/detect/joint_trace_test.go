package detect

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"industrial-iot-monitor/core/internal/suite"
)

func TestTrace(t *testing.T) {
	fs := os.Getenv("TRACE")
	if fs == "" {
		t.Skip()
	}
	for _, f := range strings.Split(fs, ",") {
		tb, err := suite.ReadTableFile(f)
		if err != nil {
			t.Fatal(err)
		}
		j := NewJointJudge(Defaults())
		fmt.Println(f)
		for i := range tb.Rows {
			l, u := j.Row(tb.At[i], tb.Rows[i])
			if i%12 == 0 && i > 350 {
				fmt.Printf("%5d %.2f %-5v lab %-5v ", i, l, u, tb.Anomaly != nil && tb.Anomaly[i])
				for k := range j.joint.Sensors {
					s := &j.joint.Sensors[k]
					sd := math.Sqrt(j.joint.Cov[k*(k+1)/2+k] + noiseFloor*s.Noise)
					fmt.Printf(" %5.1f/%5.1f/%.3f", s.Residual, (s.Mean-s.Centre)/sd, s.gain(&j.params, 1000))
				}
				fmt.Println()
			}
		}
	}
}
