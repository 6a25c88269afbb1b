package publisher

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

// TestSilentDevicesSendNothing has a fleet of which a third is silent at any time, and the others send
// all the same.
func TestSilentDevicesSendNothing(t *testing.T) {
	f, err := fleet.New(fleet.Options{Devices: 60, Seed: 1, Anomalies: 20, Kinds: []telemetry.AnomalyKind{fleet.Silence}})
	require.NoError(t, err)
	m, l := newMemory(), &ledger{}
	r := run(t, Options{Fleet: f, Gateways: gateways(t, NATS, m, 1), Protocol: NATS, Interval: 100 * time.Millisecond, Ledger: l})
	require.Eventually(t, func() bool { return r.Stats().Acked >= 300 && len(l.snapshot()) > 20 }, waitTimeout, often)
	s := r.stop()
	require.Equal(t, s.Due, s.Acked)
	requireLedger(t, l, m)
	sent, g := l.snapshot(), f.Generator()
	require.Less(t, len(sent), 60, "some devices are silent")
	for i := range f.Len() {
		for _, e := range sent[f.ID(i)] {
			require.False(t, g.Silent(i, e.timestamp), "%s at %d", f.ID(i), e.timestamp)
		}
	}
}
