package simulator

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

// TestLabelsHoldEverythingThatHappened compares the file with the fleet's own answers.
func TestLabelsHoldEverythingThatHappened(t *testing.T) {
	f, err := newFleet(&Config{
		Devices: 50, Seed: 1, Variance: 0.1, Interval: 10 * time.Second, Buildings: []string{"A栋"}, Fleet: fleetMixed,
		Rhythm: true, Anomalies: 0.5, Faults: 0.01, Kinds: []string{"spike", "silence"},
	})
	require.NoError(t, err)
	const from, to = int64(1_767_225_600_000), int64(1_767_225_600_000 + 7*86_400_000)
	name := filepath.Join(t.TempDir(), "labels")
	require.NoError(t, writeLabels(name, f, from, to))
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	count := map[telemetry.AnomalyKind]int{}
	for line := range bytes.Lines(raw) {
		var l fleet.AnomalyLabel
		require.NoError(t, json.Unmarshal(line, &l))
		require.NotEmpty(t, l.Device)
		require.Less(t, l.Onset, l.End)
		count[l.Kind]++
	}
	require.Positive(t, count[telemetry.AnomalySpike])
	require.Positive(t, count[fleet.Silence])
	require.Equal(t, len(f.Anomalies(from, to)), count[telemetry.AnomalySpike]+count[fleet.Silence])
	require.Equal(t, len(f.Stops(from, to)), count[fleet.Maintenance])
	require.Equal(t, len(f.Labels(from, to)), count[excursion])
	require.Positive(t, count[excursion])
}
