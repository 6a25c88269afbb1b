//go:build eval

package plant

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/detect"
)

var (
	plantDevices   = flag.Int("plant.devices", Default().Devices, "size of the plants of TestPlantAtSize")
	plantSeeds     = flag.Int("plant.seeds", len(Default().Seeds), "how many of its seeds it takes")
	plantBaselines = flag.Bool("plant.baselines", true, "whether it measures the baselines, too")
)

// TestPlantAtSize prints the published tables, see docs/detection-plant.md. It takes many minutes.
func TestPlantAtSize(t *testing.T) {
	o := Default()
	o.Devices, o.Seeds = *plantDevices, o.Seeds[:*plantSeeds]
	var contestants []Contestant
	if *plantBaselines {
		contestants = Baselines()
	}
	contestants = append(contestants, Product("core", detect.Defaults()))
	for _, rate := range []float64{o.Anomalies, 0} {
		o.Anomalies = rate
		results, cost, err := Run(t.Context(), o, contestants...)
		require.NoError(t, err)
		var out strings.Builder
		Print(&out, o, results, cost)
		t.Log("\n" + out.String())
	}
}
