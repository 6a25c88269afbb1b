package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// forgotten records what a recorder is to forget.
type forgotten []int

func (*forgotten) Record(*Device, []byte, int64) {}
func (f *forgotten) Forget(index int)            { *f = append(*f, index) }

func TestRemovedDeviceIsUnknownAndThenNew(t *testing.T) {
	m, _ := newModel(Options{})
	r, f := &recorder{}, &forgotten{}
	m.Observe(r)
	m.SetRecorder(f)
	apply(t, m, entry("d1", t0, t0), entry("d2", t0, t0))
	m.ApplyState(telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOffline, IntervalMS: 7})
	m.Remove("d1", 0)
	m.Remove("d1", 0)
	m.Remove("never", 0)
	require.Equal(t, []string{"d1"}, r.removed)
	require.Equal(t, forgotten{0}, *f)
	m.View(func() {
		require.Nil(t, m.Device("d1"))
		require.False(t, m.DeviceAt(0).Known())
	})
	require.Equal(t, 1, m.Stats().Devices.Total)
	apply(t, m, entry("d3", t0, t0))
	require.Equal(t, []string{"d1", "d2", "d3"}, r.added)
	require.Len(t, m.Devices(), 2, "its index is used again")
	apply(t, m, entry("d1", t0-5000, t0)) // older than what was forgotten
	m.View(func() {
		d := m.Device("d1")
		require.Equal(t, 2, d.Index)
		require.Equal(t, t0-5000, d.Timestamp())
		require.Zero(t, d.IntervalMS())
	})
}

func TestHeldIndexIsFreeAfterItsRelease(t *testing.T) {
	m, _ := newModel(Options{})
	m.HoldIndexes()
	apply(t, m, entry("d1", t0, t0))
	m.Remove("d1", 0)
	apply(t, m, entry("d2", t0, t0))
	require.Len(t, m.Devices(), 2)
	m.Release([]int{0})
	apply(t, m, entry("d3", t0, t0), entry("d4", t0, t0))
	require.Len(t, m.Devices(), 3)
	m.View(func() { require.Zero(t, m.Device("d3").Index) })
}

func TestNamesAreThoseOfTheDeviceWheneverTheyCome(t *testing.T) {
	m, _ := newModel(Options{})
	r := &recorder{}
	m.Observe(r)
	m.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d1", Name: "before"})
	apply(t, m, entry("d1", t0, t0), entry("d2", t0, t0))
	m.View(func() { require.Equal(t, "before", m.Device("d1").Meta().Name) })
	require.Empty(t, r.described)
	m.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d1", Name: "after"})
	m.ForgetMeta("d1")
	m.ForgetMeta("never")
	require.Equal(t, []string{"d1 after", "d1 "}, r.described)
	m.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d1", Name: "kept"})
	m.Remove("d1", 0)
	apply(t, m, entry("d1", t0, t0))
	m.View(func() { require.Equal(t, "kept", m.Device("d1").Meta().Name, "core says when it is gone") })
}

// TestDeviceWhoseClockChangesStaysLive: the new offset makes another time line, on which the
// first plant time may be before the last one of the old line.
func TestDeviceWhoseClockChangesStaysLive(t *testing.T) {
	for name, c := range map[string]struct {
		offset   int64
		at       int64
		received int64
		backfill bool
		want     bool
	}{
		"clock back in 1970, learned a little late": {-t0, t0 - 3000, t0 + 1000, false, true},
		"put right again":          {0, t0 - 10, t0 + 1000, false, true},
		"out of order on one line": {8 * 3_600_000, t0 - 10, t0 + 1000, false, false},
		"waited in a buffer":       {0, t0 - 10, t0 + 1000, true, false},
		"received before":          {0, t0 - 10, t0 - 1, false, false},
		"later on another line":    {0, t0 + 1, t0 + 1000, false, true},
	} {
		m, _ := newModel(Options{})
		first := entry("d", t0, t0)
		first.ClockOffset = 8 * 3_600_000
		apply(t, m, first)
		next := entry("d", c.at, c.received)
		next.ClockOffset, next.Backfill = c.offset, c.backfill
		apply(t, m, next)
		m.View(func() {
			d := m.Device("d")
			require.Equal(t, c.want, d.Timestamp() == c.at, name)
			if c.want {
				require.Equal(t, c.offset, d.ClockOffset(), name)
			}
		})
	}
}

func TestClockOffsetIsThatOfTheReadingElseOfTheState(t *testing.T) {
	m, _ := newModel(Options{})
	m.ApplyState(telemetry.DeviceState{DeviceID: "d", ClockOffsetMS: 7})
	m.View(func() { require.Equal(t, int64(7), m.Device("d").ClockOffset()) })
	apply(t, m, entry("d", t0, t0))
	m.View(func() { require.Zero(t, m.Device("d").ClockOffset()) })
}

// TestReadingFromBeforeTheRemovalDoesNotBringTheDeviceBack: live frames do not come by the way of
// removals, and either may be first.
func TestReadingFromBeforeTheRemovalDoesNotBringTheDeviceBack(t *testing.T) {
	const removed = t0 + 1000
	fresh := func() (*Model, *clock) {
		m, c := newModel(Options{})
		c.ms = removed
		return m, c
	}
	known := func(m *Model) (yes bool) {
		m.View(func() { yes = m.Device("d") != nil })
		return yes
	}
	m, _ := fresh()
	apply(t, m, entry("d", removed, removed))
	m.Remove("d", removed)
	require.False(t, known(m), "the frame was first")

	m, c := fresh()
	m.Remove("d", removed)
	apply(t, m, entry("other", t0, t0), entry("d", t0, t0), entry("d", removed+5, removed))
	require.False(t, known(m), "the removal was first")
	require.Equal(t, int64(2), m.Totals().Removed)
	apply(t, m, entry("d", t0, removed+1))
	require.True(t, known(m), "it sends again")
	apply(t, m, entry("d", removed+10, removed))
	require.Equal(t, int64(3), m.Totals().Removed)

	c.ms += removalsKept + 1
	m.Remove("e", c.ms)
	require.Len(t, m.removals.at, 1, "removals are kept for minutes")
	m.Remove("f", c.ms-removalsKept-1)
	require.Len(t, m.removals.at, 1, "old ones were read from Kafka at the start")
}

func TestRemovalsAreBoundedAndTheNewestOfADeviceCounts(t *testing.T) {
	var r removals
	for i := range int64(3) {
		r.add("twice", t0+i, t0)
	}
	for i := range maxRemovals {
		r.add(fmt.Sprint(i), t0, t0)
		if i == maxRemovals-3 {
			require.True(t, r.includes("twice", t0+2), "its last one is still kept")
		}
	}
	require.False(t, r.includes("twice", t0))
	require.Len(t, r.at, maxRemovals)
	require.False(t, r.includes("1", t0+1))
	require.True(t, r.includes("1", t0))
	r.expire(t0 + removalsKept)
	require.NotEmpty(t, r.at)
	r.expire(t0 + removalsKept + 1)
	require.Empty(t, r.at)
}
