package neighbours

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reading is one of a temperature in °C; room "" is none, as is model "".
func reading(room, model string, value float64) *telemetry.Reading {
	return &telemetry.Reading{
		Location: telemetry.Location{Building: "A", Floor: 1, Room: room}, Info: telemetry.DeviceInfo{Model: model},
		Sensors: telemetry.Sensors{{Name: "temperature", Kind: telemetry.Number, Number: value, Unit: "°C"}},
	}
}

// put puts values of devices of one place at ms.
func put(t *Table, at int64, room, model string, devices []*Device, values ...float64) {
	for i, v := range values {
		t.Put(devices[i], at, reading(room, model, v))
	}
}

func devices(n int) (out []*Device) {
	for range n {
		out = append(out, new(Device))
	}
	return out
}

func TestMedianOfTheOthersInTheRoom(t *testing.T) {
	for n := 1; n <= 7; n++ {
		table, all := New(), devices(n)
		values := []float64{5, 1, 4, 4, 9, -3, 2}[:n]
		put(table, 0, "101", "", all, values...)
		put(table, period, "101", "", all, values...)
		table.Put(all[0], 2*period, reading("101", "", 1000)) // the values are those that all had then
		for i, d := range all {
			got, begins, ok := d.Median(0, "temperature")
			require.Equal(t, n > fewest, ok, n)
			require.Equal(t, ok, begins)
			if !ok {
				continue
			}
			others := slices.Delete(slices.Clone(values), i, i+1)
			if i != 0 {
				others[0] = 1000
			}
			slices.Sort(others)
			require.InDelta(t, (others[(n-2)/2]+others[(n-1)/2])/2, got, 0, "%d of %d", i, n)
			_, begins, _ = d.Median(0, "temperature")
			require.False(t, begins, "once")
			require.True(t, d.InRoom("temperature"))
		}
	}
}

func TestAMachineAtRestIsNoNeighbour(t *testing.T) {
	table, all := New(), devices(4)
	put(table, 0, "101", "", all, 3, 0, 5, 7)
	put(table, period, "101", "", all, 3, 0, 5, 7)
	got, _, ok := all[0].Median(0, "temperature")
	require.True(t, ok)
	require.InDelta(t, 6, got, 0, "of 5 and 7")
	got, _, ok = all[1].Median(0, "temperature")
	require.True(t, ok)
	require.InDelta(t, 5, got, 0, "of 3, 5 and 7")
}

func TestTooFewInTheRoomAreComparedWithTheirModel(t *testing.T) {
	table, all := New(), devices(5)
	at := int64(0)
	round := func() {
		at += period
		for i, d := range all {
			room := fmt.Sprint(i)
			if i < 2 {
				room = "pair"
			}
			table.Put(d, at, reading(room, "T1", float64(i+1)))
		}
	}
	round()
	round()
	got, begins, ok := all[0].Median(0, "temperature")
	require.True(t, ok)
	require.False(t, begins)
	require.InDelta(t, 3.5, got, 0, "of 2, 3, 4, 5")
	require.False(t, all[0].InRoom("temperature"))

	other := new(Device)
	table.Put(other, at, reading("pair", "T2", 7))
	got, begins, ok = other.Median(0, "temperature")
	require.True(t, ok && begins)
	require.InDelta(t, 1.5, got, 0, "of 1 and 2")
	round()
	got, begins, ok = all[0].Median(0, "temperature")
	require.True(t, ok)
	require.True(t, begins, "the room from now on")
	require.InDelta(t, 4.5, got, 0, "of 2 and 7")

	table.Remove(other)
	round()
	_, _, ok = all[0].Median(0, "temperature")
	require.False(t, ok, "what is compared with the room is not compared with the model any more")
	table.Remove(other)
}

func TestUnitsAndOldValuesAreNotMixed(t *testing.T) {
	table, all := New(), devices(3)
	put(table, 0, "101", "", all, 1, 2, 3)
	r := reading("101", "", 70)
	r.Sensors[0].Unit = "°F"
	table.Put(all[2], period, r)
	table.Put(all[0], period, reading("101", "", 1))
	_, _, ok := all[0].Median(0, "temperature")
	require.False(t, ok, "one other in °C")
	_, _, ok = all[2].Median(0, "temperature")
	require.False(t, ok)

	put(table, 2*period, "101", "", all, 1, 2, 3)
	put(table, 3*period, "101", "", all[:1], 1)
	_, _, ok = all[0].Median(0, "temperature")
	require.True(t, ok)
	for at := int64(3 * period); at <= 2*period+maxAge; at += period {
		table.Put(all[0], at, reading("101", "", 1))
	}
	_, _, ok = all[0].Median(0, "temperature")
	require.True(t, ok)
	table.Put(all[0], 3*period+maxAge, reading("101", "", 1))
	_, _, ok = all[0].Median(0, "temperature")
	require.False(t, ok, "the others have been silent for too long")
	_, _, ok = all[0].Median(0, "humidity")
	require.False(t, ok)
}

func TestAnotherPlaceIsNoticed(t *testing.T) {
	table, d := New(), new(Device)
	require.Nil(t, d.State())
	require.False(t, table.Put(d, 0, reading("101", "T1", 1)), "the first one")
	require.False(t, table.Put(d, 0, reading("101", "T1", 1)))
	require.True(t, table.Put(d, 0, reading("102", "T1", 1)))
	require.True(t, table.Put(d, 0, reading("102", "T2", 1)))
	again := new(Device)
	again.Restore(d.State())
	require.False(t, table.Put(again, 0, reading("102", "T2", 1)))
	table.Remove(again)
	again.Restore(d.State())
	require.True(t, table.Put(again, 0, reading("101", "T2", 1)))
	table.Remove(d)
	table.Remove(again)
	require.Empty(t, table.all)
	require.Nil(t, d.State())
}

// event is a reading of a device.
type event struct {
	device int
	at     int64
	r      *telemetry.Reading
}

// TestTheWindowTellsAll reads only the last Window of readings again, with the states at its end: from then
// on all medians are those of the table that had all readings. Devices fall silent, move and come back.
func TestTheWindowTellsAll(t *testing.T) {
	const n = 12
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var events []event
		silent := make([]int64, n)
		rooms := make([]int, n)
		for at := int64(1e12); len(events) < 3000; at += rnd.Int64N(3000) {
			d := rnd.IntN(n)
			switch {
			case at < silent[d]:
				continue
			case rnd.IntN(50) == 0:
				silent[d] = at + rnd.Int64N(3*maxAge)
			case rnd.IntN(100) == 0:
				rooms[d] = rnd.IntN(4)
			}
			events = append(events, event{d, at - rnd.Int64N(2000), reading(fmt.Sprint(rooms[d]), fmt.Sprint("T", d%2), rnd.NormFloat64())})
		}
		cut := 2000 + rnd.IntN(500)
		whole, all := New(), devices(n)
		for _, e := range events[:cut] {
			whole.Put(all[e.device], e.at, e.r)
			all[e.device].Median(0, "temperature")
		}
		part, some := New(), devices(n)
		for _, e := range events[:cut] {
			if e.at >= events[cut].at-Window.Milliseconds()-2000 {
				part.Put(some[e.device], e.at, e.r)
			}
		}
		for i, d := range all {
			if s := d.State(); s != nil {
				some[i].Restore(s)
			}
		}
		compared := 0
		for _, e := range events[cut:] {
			moved := whole.Put(all[e.device], e.at, e.r)
			require.Equal(t, moved, part.Put(some[e.device], e.at, e.r))
			want, begins, ok := all[e.device].Median(0, "temperature")
			got, begun, found := some[e.device].Median(0, "temperature")
			require.Equal(t, []any{ok, begins}, []any{found, begun}, seed)
			if ok {
				compared++
				require.InDelta(t, want, got, 0, seed)
			}
		}
		require.Greater(t, compared, 100)
	}
}

func TestSensorsOfADeviceAreBounded(t *testing.T) {
	table, d := New(), new(Device)
	for i := range 2 * maxSensors {
		r := reading("101", "T1", 1)
		r.Sensors[0].Name = fmt.Sprint("s", i)
		table.Put(d, 0, r)
	}
	require.Len(t, table.all, 2*maxSensors, "two groups of each")
	_, _, ok := d.Median(0, fmt.Sprint("s", 2*maxSensors-1))
	require.False(t, ok)
}

// BenchmarkPut is what a reading of a temperature costs in a plant of 10,000 devices in rooms of ten.
func BenchmarkPut(b *testing.B) {
	const n = 10_000
	table, all := New(), devices(n)
	readings := make([]*telemetry.Reading, n)
	for i := range readings {
		readings[i] = reading(fmt.Sprint(i/10), fmt.Sprint("T", i%5), float64(i%97))
	}
	b.ReportAllocs()
	i, at := 0, int64(1e12)
	for b.Loop() {
		table.Put(all[i], at, readings[i])
		_, _, _ = all[i].Median(0, "temperature")
		if i++; i == n {
			i, at = 0, at+5000
		}
	}
}
