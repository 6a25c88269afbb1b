package publisher

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

// someSilent returns 60 devices of which some are silent now, and how many speak for the next minutes. When they are
// silent follows from the time and from how many silences a day has: at some times all speak.
func someSilent(t *testing.T) (*fleet.Fleet, int) {
	t.Helper()
	now := time.Now().UnixMilli()
	for perDay := 10.0; perDay <= 24; perDay += 0.5 {
		f, err := fleet.New(fleet.Options{Devices: 60, Seed: 1, Anomalies: perDay, Kinds: []telemetry.AnomalyKind{fleet.Silence}})
		require.NoError(t, err)
		g, silent, speaking := f.Generator(), 0, 0
		for i := range f.Len() {
			switch { // a silence lasts for ten minutes at least
			case g.Silent(i, now):
				silent++
			case !g.Silent(i, now+5*time.Minute.Milliseconds()):
				speaking++
			}
		}
		if silent >= 3 && speaking > 20 {
			return f, speaking
		}
	}
	require.Fail(t, "at no rate are some silent")
	return nil, 0
}

// TestSilentDevicesSendNothing has a fleet of which some devices are silent, and the others send all the same.
func TestSilentDevicesSendNothing(t *testing.T) {
	f, speaking := someSilent(t)
	m, l := newMemory(), &ledger{}
	r := run(t, Options{Fleet: f, Gateways: gateways(t, NATS, m, 1), Protocol: NATS, Interval: 100 * time.Millisecond, Ledger: l})
	require.Eventually(t, func() bool { return r.Stats().Acked >= 300 && len(l.snapshot()) >= speaking }, waitTimeout, often)
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
