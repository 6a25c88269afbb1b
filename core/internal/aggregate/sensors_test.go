package aggregate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// numbers are sensors of a value each, in the order of the names.
func numbers(v float64, names ...string) telemetry.Sensors {
	var s telemetry.Sensors
	for _, name := range names {
		s = append(s, telemetry.Sensor{Name: name, Number: v})
	}
	return s
}

// random are up to n sensors of all kinds in any order.
func random(rnd *rand.Rand, n int) telemetry.Sensors {
	var s telemetry.Sensors
	for _, k := range rnd.Perm(n)[:rnd.IntN(n+1)] {
		m := telemetry.Sensor{Name: fmt.Sprint("sensor_", k), Number: float64(rnd.IntN(1000))}
		switch rnd.IntN(8) {
		case 0:
			m.Kind, m.Number = telemetry.Bool, 1
		case 1:
			m.Kind, m.Text = telemetry.Text, "auto"
		case 2:
			m.Status = telemetry.StatusUnitUnknown
		}
		s = append(s, m)
	}
	return s
}

// TestPartialsOfAnySensorsAddUp is TestPartialsAddUp for devices that send other sensors
// each time, of which only numbers in a known unit count.
func TestPartialsOfAnySensorsAddUp(t *testing.T) {
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		a := newAggregator()
		devices := []*Device{device(a, "d0"), device(a, "d1"), device(a, "d2")}
		want, got := sums{}, sums{}
		clock := t0
		for range 1500 {
			clock += rnd.Int64N(1000)
			ts := clock - max(0, rnd.Int64N(5*Minute)-4*Minute)
			i := rnd.IntN(len(devices))
			r := &telemetry.Reading{Timestamp: ts, Location: telemetry.Location{Building: "A栋"}, Sensors: random(rnd, 12)}
			add(a, clock, devices[i], r)
			for _, m := range r.Sensors {
				if m.Kind != telemetry.Number || m.Status != "" {
					continue
				}
				for _, w := range []telemetry.Window{
					{Scope: ScopeDevice, ID: fmt.Sprint("d", i), Start: floor(ts, Minute), WidthMS: Minute},
					{Scope: ScopeBuilding, ID: "A栋", Start: floor(ts, Minute), WidthMS: Minute},
					{Scope: ScopeBuilding, ID: "A栋", Start: floor(ts, Second), WidthMS: Second},
				} {
					w.Parameter, w.Count, w.Sum, w.Min, w.Max = m.Name, 1, m.Number, m.Number, m.Number
					want.add([]telemetry.Window{w})
				}
			}
			if rnd.IntN(20) == 0 {
				got.add(a.Collect(clock, 1+rnd.IntN(50), nil))
			}
			require.Equal(t, len(devices[0].minute[0].cells)+len(devices[1].minute[0].cells)+len(devices[2].minute[0].cells), a.Parameters())
		}
		got.add(a.Flush(nil))
		require.Equal(t, want, got, "seed %d", seed)
		require.Zero(t, a.Dropped())
	}
}

func TestAReadingCostsNoAllocation(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	r := &telemetry.Reading{Location: telemetry.Location{Building: "A栋"}, Sensors: numbers(1, "co2", "vibration", "flow", "ph")}
	ts := t0
	n := testing.AllocsPerRun(1000, func() {
		ts += 10
		a.Add(ts, d, ts, r)
	})
	require.Less(t, n, 0.1, "only new windows allocate")
}

// TestADeviceHoldsItsSensorsOnly: what it no longer sends is forgotten with the window.
func TestADeviceHoldsItsSensorsOnly(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	r := &telemetry.Reading{Sensors: numbers(1, "co2")}
	a.Add(t0, d, t0, r)
	require.Equal(t, 1, cap(d.minute[0].cells))
	r.Sensors = numbers(1, "flow", "ph", "co2")
	a.Add(t0+Minute, d, t0+Minute, r)
	require.Len(t, d.minute[0].cells, 3)
	r.Sensors = numbers(1, "ph")
	a.Add(t0+2*Minute, d, t0+2*Minute, r)
	a.Add(t0+3*Minute, d, t0+3*Minute, r)
	require.Len(t, d.minute[0].cells, 1)
	b := sums{}
	b.add(a.Flush(nil))
	require.Len(t, b, 6, "co2; flow, ph and co2; ph; ph")
}

func TestParametersAreBounded(t *testing.T) {
	t.Run("of a building", func(t *testing.T) {
		a := newAggregator()
		for i := range maxOfBuilding + 10 {
			d := device(a, fmt.Sprint("d", i))
			a.Add(t0, d, t0, &telemetry.Reading{Location: telemetry.Location{Building: "A栋"}, Sensors: numbers(1, fmt.Sprint("x", i))})
		}
		require.Equal(t, 2*10, a.Dropped(), "from its second and its minute")
		require.Zero(t, a.Dropped(), "counted once")
		b := sums{}
		b.add(a.Flush(nil))
		require.Len(t, b, maxOfBuilding+10+2*maxOfBuilding)
	})
	t.Run("of a device", func(t *testing.T) {
		a := newAggregator()
		d := device(a, "d1")
		for i := range maxOfDevice + 10 {
			a.Add(t0, d, t0, &telemetry.Reading{Sensors: numbers(1, fmt.Sprint("x", i))})
		}
		require.Equal(t, 10, a.Dropped())
		a.Add(t0, d, t0, &telemetry.Reading{Sensors: numbers(1, "x0", "more", "x1")})
		require.Equal(t, 1, a.Dropped())
		b := sums{}
		b.add(a.Flush(nil))
		require.Len(t, b, maxOfDevice)
		require.EqualValues(t, 2, b[telemetry.Window{Scope: ScopeDevice, ID: "d1", Parameter: "x1", Start: t0, WidthMS: Minute}].Count)
	})
}

// TestNamesThatDevicesMakeUpKeepNoneOut: a partition with too many names drops new ones,
// until the windows of the old ones are over.
func TestNamesThatDevicesMakeUpKeepNoneOut(t *testing.T) {
	a := newAggregator()
	faulty, good := device(a, "faulty"), device(a, "good")
	ts, n := t0, 0
	for len(a.names.index) < maxNames {
		s := telemetry.Sensors{}
		for range 64 {
			s = append(s, telemetry.Sensor{Name: fmt.Sprint("made_up_", n), Number: 1})
			n++
		}
		ts += Minute
		a.Add(ts, faulty, ts, &telemetry.Reading{Sensors: s})
	}
	reading := &telemetry.Reading{Sensors: numbers(1, "co2")}
	a.Add(ts, good, ts, reading)
	require.Equal(t, 1, a.Dropped())
	a.Collect(ts, all, nil)
	a.Collect(ts+Minute, all, nil)
	a.Add(ts+Minute, good, ts+Minute, reading)
	a.Collect(ts+Minute, all, nil)
	a.Add(ts+Minute, good, ts+Minute, reading)
	require.LessOrEqual(t, a.Dropped(), 1)
	require.Less(t, len(a.names.index), maxNames/2)
	b := sums{}
	b.add(a.Flush(nil))
	require.EqualValues(t, 1, b[telemetry.Window{Scope: ScopeDevice, ID: "good", Parameter: "co2", Start: ts + Minute, WidthMS: Minute}].Count)
	for key := range b {
		require.NotEmpty(t, key.Parameter)
	}
}
