package suite

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/detect"
)

func TestTmpPlant(t *testing.T) {
	o := QuickPlant()
	res, cost, err := Plant(t.Context(), o, append(Baselines(), Product("product", detect.Defaults()))...)
	require.NoError(t, err)
	PrintPlant(os.Stdout, o, res, cost)
}
