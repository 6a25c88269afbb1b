package aggregate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnregisteredDeviceKeepsItsCounts registers and unregisters devices at random: every
// reading is in exactly one partial.
func TestUnregisteredDeviceKeepsItsCounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	a, got := newAggregator(), sums{}
	var present []*Device
	want := map[string]int64{}
	now := t0
	for i := range 5_000 {
		now += 10
		switch k := rnd.IntN(10); {
		case k < 2 || len(present) == 0:
			present = append(present, device(a, fmt.Sprint("d", i)))
		case k == 2:
			at := rnd.IntN(len(present))
			a.Unregister(present[at])
			present = append(present[:at], present[at+1:]...)
		case k == 3:
			got.add(a.Collect(now, all, nil))
		default:
			d := present[rnd.IntN(len(present))]
			add(a, now, d, reading(now, 20))
			want[d.id]++
		}
	}
	require.Len(t, a.devices, len(present))
	for i, d := range a.devices {
		require.Equal(t, i, d.place)
	}
	for _, d := range present {
		a.Unregister(d)
	}
	require.Empty(t, a.devices)
	got.add(a.Flush(nil))
	counted := map[string]int64{}
	for key, w := range got {
		if key.Scope == ScopeDevice && key.Parameter == "temperature" {
			counted[key.ID] += w.Count
		}
	}
	require.Equal(t, want, counted)
}

func TestUnregisteringFreesTheList(t *testing.T) {
	a := newAggregator()
	var all []*Device
	for i := range 20_000 {
		all = append(all, device(a, fmt.Sprint("d", i)))
	}
	for _, d := range all {
		a.Unregister(d)
	}
	require.LessOrEqual(t, cap(a.devices), spare)
	d := device(a, "again")
	add(a, t0, d, reading(t0, 20))
	require.Len(t, a.Flush(nil), 3, "of the device, and of its building: a second and a minute")
}
