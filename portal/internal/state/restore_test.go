package state

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func restore(t *testing.T, m *Model, entries ...wire.FrameEntry) {
	t.Helper()
	_, err := m.Restore(openFrame(t, entries...))
	require.NoError(t, err)
}

func TestRestoredReadingGivesWayToANewerOne(t *testing.T) {
	m, _ := newModel(Options{})
	r := &recorder{}
	m.Observe(r)
	apply(t, m, entry("had", t0, t0))
	restore(t, m, entry("had", t0-1, t0-1), entry("older", t0-5000, t0-5000), entry("newer", t0, t0))
	apply(t, m, entry("older", t0, t0), entry("newer", t0-1, t0-1))
	require.Equal(t, []string{"had@1700000000000", "older@1699999995000", "newer@1700000000000", "older@1700000000000"}, r.readings)
	m.View(func() {
		require.True(t, m.Device("had").Live())
		require.True(t, m.Device("older").Live())
		require.False(t, m.Device("newer").Live())
		require.True(t, m.Device("newer").Restored())
	})
}

func TestRestoredReadingsDoNotCountAsArrived(t *testing.T) {
	m, _ := newModel(Options{})
	restore(t, m, entry("d1", t0-3_600_000, t0-3_600_000), entry("d2", t0, t0))
	restore(t, m, entry("d2", t0-1, t0-1))
	s := m.Stats()
	require.Equal(t, Counts{Restored: 2}, s.Counts)
	require.Zero(t, s.Received.Aged, "an hour is not how long it was on its way")
	m.View(func() {
		require.Equal(t, PresenceUnknown, m.Device("d1").Presence(t0))
		require.Equal(t, telemetry.PresenceOnline, m.Device("d2").Presence(t0))
	})
}

func TestRemovedDeviceIsNotRestored(t *testing.T) {
	m, _ := newModel(Options{})
	m.Remove("d1", t0)
	restore(t, m, entry("d1", t0, t0))
	m.View(func() { require.Nil(t, m.Device("d1")) })
	require.Zero(t, m.Totals())
	restore(t, m, entry("d1", t0+1, t0+1))
	m.View(func() { require.NotNil(t, m.Device("d1")) })
}
