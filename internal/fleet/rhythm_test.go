package fleet

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// sunday is the first one after start, 0 h at UTC+8; start is a Thursday, 8 h.
const sunday = start + 3*day - 8*hour

func TestClockFace(t *testing.T) {
	weekday, h := clockFace(start)
	require.Equal(t, []int64{3, 8}, []int64{weekday, h})
	weekday, h = clockFace(sunday)
	require.Equal(t, []int64{6, 0}, []int64{weekday, h})
	weekday, h = clockFace(sunday - 1)
	require.Equal(t, []int64{5, 23}, []int64{weekday, h})
}

// plantMean returns the mean of a sensor of all devices of f that have it, hourly from from to to.
func plantMean(f *Fleet, sensor string, from, to int64) float64 {
	g := f.Generator()
	total, n := 0.0, 0.0
	for i := range f.Len() {
		k := slices.Index(f.Sensors(i), sensor)
		if k < 0 {
			continue
		}
		for ts := from; ts < to; ts += hour {
			v, _ := g.Values(i, ts, nil)
			total, n = total+v[k], n+1
		}
	}
	return total / n
}

func TestAPlantWithARhythmHasWeekends(t *testing.T) {
	o := Options{Devices: 300, Seed: 2, Variance: 0.1, Mixed: true, Rhythm: true}
	f := newFleet(t, o)
	for _, at := range []int64{sunday, sunday + week} {
		tuesday := at + 2*day
		rest, work := plantMean(f, telemetry.Current, at, at+day), plantMean(f, telemetry.Current, tuesday, tuesday+day)
		require.Greater(t, work, 2*rest)
		night := plantMean(f, telemetry.Current, tuesday+23*hour, tuesday+29*hour)
		require.Greater(t, plantMean(f, telemetry.Current, tuesday+9*hour, tuesday+15*hour), 2*night)
		require.Greater(t, plantMean(f, "co2", tuesday, tuesday+day), plantMean(f, "co2", at, at+day)+50)
	}
	o.Rhythm = false
	f = newFleet(t, o)
	require.InEpsilon(t, plantMean(f, telemetry.Current, sunday, sunday+day), plantMean(f, telemetry.Current, sunday+2*day, sunday+3*day), 0.1)
}

// TestDevicesOfARoomMoveTogether compares temperatures by the hour within rooms.
func TestDevicesOfARoomMoveTogether(t *testing.T) {
	f := newFleet(t, Options{Devices: 200, Seed: 2, Variance: 0.1, Rhythm: true})
	g := f.Generator()
	hourly := func(i int) (out []float64) {
		for ts := start; ts < start+week; ts += hour {
			v, _ := g.Values(i, ts, nil)
			out = append(out, v[0])
		}
		return out
	}
	rooms := 0
	for from := 0; from < f.Len(); rooms++ {
		first, to := f.Room(from)
		require.Equal(t, from, first)
		require.GreaterOrEqual(t, to-from, 5)
		if from+2 < to && rooms < 8 {
			require.Greater(t, correlation(hourly(from), hourly(from+1)), 0.9)
		}
		from = to
	}
	require.Greater(t, rooms, 20)
}

// TestStopsAreNoFaults looks at the planned stops: the machine rests and cools, and no anomaly is near.
func TestStopsAreNoFaults(t *testing.T) {
	o := anomalous()
	f := newFleet(t, o)
	g := f.Generator()
	stops := f.Stops(start, start+2*week)
	require.InEpsilon(t, stopShare*2*float64(o.Devices), len(stops), 0.2)
	faults := map[string][]AnomalyLabel{}
	for _, l := range f.Anomalies(start, start+2*week) {
		faults[l.Device] = append(faults[l.Device], l)
	}
	cooler := 0
	for _, s := range stops {
		require.Equal(t, Maintenance, s.Kind)
		for _, l := range faults[s.Device] {
			require.False(t, l.Onset <= s.End && l.End >= s.Onset, "%+v during %+v", l, s)
		}
		i := slices.IndexFunc(f.devices, func(d device) bool { return d.id == s.Device })
		before, _ := g.Values(i, s.Onset-second, nil)
		late, _ := g.Values(i, (s.Onset+s.End)/2, nil)
		for k, name := range f.Sensors(i) {
			switch {
			case name == telemetry.Current || name == "vibration" || name == "power":
				require.Zero(t, late[k], "%s of %s", name, s.Device)
			case name == "speed":
				require.Zero(t, late[k])
			case name == telemetry.Temperature && f.devices[i].model.name == "MOTOR-GUARD-3" && late[k] < before[k]:
				cooler++
			}
		}
	}
	require.Greater(t, cooler, len(stops)/12, "motors cool")
	o.Rhythm = false
	require.Empty(t, newFleet(t, o).Stops(start, start+week))
}
