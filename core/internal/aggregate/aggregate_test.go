package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

// add counts r, taken when it says.
func add(a *Aggregator, now int64, d *Device, r *telemetry.Reading) (late bool) {
	return a.Add(now, d, r.Timestamp, r)
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	t0  = int64(1_700_000_040_000) // the start of a minute
	all = math.MaxInt / 2
)

// sums adds up partials as their readers do.
type sums map[telemetry.Window]telemetry.Window

func (b sums) add(ws []telemetry.Window) {
	for _, w := range ws {
		key := telemetry.Window{Scope: w.Scope, ID: w.ID, Parameter: w.Parameter, Start: w.Start, WidthMS: w.WidthMS}
		sum, ok := b[key]
		if !ok {
			sum = key
			sum.Min, sum.Max = w.Min, w.Max
		}
		sum.Count += w.Count
		sum.Sum += w.Sum
		sum.Min, sum.Max = min(sum.Min, w.Min), max(sum.Max, w.Max)
		b[key] = sum
	}
}

func (b sums) window(scope, id string, start, width int64) telemetry.Window {
	return b[telemetry.Window{Scope: scope, ID: id, Parameter: "temperature", Start: start, WidthMS: width}]
}

func newAggregator() *Aggregator {
	return New(Options{Grace: 2 * time.Second, Idle: 5 * time.Second})
}

func device(a *Aggregator, id string) *Device {
	d := new(Device)
	a.Register(d, id)
	return d
}

func reading(ts int64, temperature float64) *telemetry.Reading {
	r := &telemetry.Reading{Timestamp: ts, Location: telemetry.Location{Building: "A栋"}}
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Temperature, Number: temperature})
	return r
}

func TestWindowsTumble(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	for i := range int64(130) { // a reading a second for 2 min 10 s
		require.False(t, add(a, t0+i*1000+500, d, reading(t0+i*1000, float64(i))))
	}
	b := sums{}
	b.add(a.Collect(t0+130_000, all, nil))
	require.Equal(t, telemetry.Window{
		Scope: ScopeDevice, ID: "d1", Parameter: "temperature", Start: t0, WidthMS: Minute,
		Count: 60, Sum: 59 * 60 / 2, Min: 0, Max: 59,
	}, b.window(ScopeDevice, "d1", t0, Minute))
	require.EqualValues(t, 60, b.window(ScopeBuilding, "A栋", t0+Minute, Minute).Count)
	require.EqualValues(t, 1, b.window(ScopeBuilding, "A栋", t0+42*Second, Second).Count)
	require.InDelta(t, 29.5, b.window(ScopeDevice, "d1", t0, Minute).Mean(), 1e-9)
	require.Zero(t, b.window(ScopeDevice, "d1", t0+2*Minute, Minute).Count, "the third minute is open")
	b.add(a.Flush(nil))
	require.EqualValues(t, 10, b.window(ScopeDevice, "d1", t0+2*Minute, Minute).Count)
	require.Empty(t, a.Flush(nil), "what was emitted is forgotten")
}

func TestGraceKeepsAWindowOpen(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	add(a, t0, d, reading(t0, 1))
	add(a, t0+2900, d, reading(t0+2900, 2))
	require.Empty(t, a.Collect(t0+2900, all, nil))
	require.False(t, add(a, t0+2900, d, reading(t0+900, 3)), "late, but within the grace")
	add(a, t0+3000, d, reading(t0+3000, 4))
	b := sums{}
	b.add(a.Collect(t0+3000, all, nil))
	require.EqualValues(t, 2, b.window(ScopeBuilding, "A栋", t0, Second).Count)
	require.Len(t, b, 1)
}

func TestLateReadingIsACorrection(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	add(a, t0, d, reading(t0, 1))
	add(a, t0+90_000, d, reading(t0+90_000, 2))
	a.Collect(t0+90_000, all, nil)
	require.True(t, add(a, t0+90_000, d, reading(t0+10_000, 7)))
	require.True(t, add(a, t0+90_000, d, reading(t0+11_000, 8)))
	late := a.Collect(t0+90_000, all, nil)
	require.Len(t, late, 4) // two seconds of the building, its minute, the device's minute
	for _, w := range late {
		require.True(t, w.Late, w)
		if w.WidthMS == Minute {
			require.EqualValues(t, 2, w.Count)
		}
	}
}

func TestFastClockOfOneDeviceClosesNothing(t *testing.T) {
	a := newAggregator()
	fast, d := device(a, "fast"), device(a, "d1")
	add(a, t0, fast, reading(t0+9*Minute, 1))
	require.False(t, add(a, t0, d, reading(t0, 2)))
	require.Empty(t, a.Collect(t0, all, nil))
}

func TestSilenceClosesWindowsByTheClock(t *testing.T) {
	a := newAggregator()
	add(a, t0, device(a, "d1"), reading(t0, 1))
	require.Empty(t, a.Collect(t0+5000, all, nil))
	require.NotEmpty(t, a.Collect(t0+8001, all, nil))
}

func TestLimitSpreadsTheEndOfAMinute(t *testing.T) {
	a := newAggregator()
	b := sums{}
	devices := make([]*Device, 100)
	for i := range devices {
		devices[i] = device(a, fmt.Sprint("d", i))
		add(a, t0, devices[i], reading(t0, 1))
	}
	for _, d := range devices[:50] { // half of them go on, half stay silent
		add(a, t0+63_000, d, reading(t0+63_000, 1))
	}
	n := 0
	for {
		ws := a.Collect(t0+63_000, 10, nil)
		if len(ws) == 0 {
			break
		}
		require.LessOrEqual(t, len(ws), 14)
		n += len(ws)
		b.add(ws)
	}
	for i := range devices {
		require.EqualValues(t, 1, b.window(ScopeDevice, fmt.Sprint("d", i), t0, Minute).Count)
	}
	require.Equal(t, 102, n) // 100 devices, the building's second and minute
}

// TestPartialsAddUp is the promise of the package: whatever the order and the moments of
// collecting, the partials of each window add up to its readings.
func TestPartialsAddUp(t *testing.T) {
	for seed := range uint64(15) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		a := newAggregator()
		devices := []*Device{device(a, "d0"), device(a, "d1"), device(a, "d2")}
		want, got := sums{}, sums{}
		clock := t0
		for range 2000 {
			clock += rnd.Int64N(400)
			ts := clock
			switch rnd.IntN(10) {
			case 0:
				ts -= rnd.Int64N(5 * Minute)
			case 1:
				ts += rnd.Int64N(3 * Minute)
			case 2, 3, 4:
				ts -= rnd.Int64N(3000)
			}
			i := rnd.IntN(len(devices))
			v := float64(rnd.IntN(1000))
			add(a, clock, devices[i], reading(ts, v))
			for _, w := range []telemetry.Window{
				{Scope: ScopeDevice, ID: fmt.Sprint("d", i), Start: floor(ts, Minute), WidthMS: Minute},
				{Scope: ScopeBuilding, ID: "A栋", Start: floor(ts, Minute), WidthMS: Minute},
				{Scope: ScopeBuilding, ID: "A栋", Start: floor(ts, Second), WidthMS: Second},
			} {
				w.Parameter, w.Count, w.Sum, w.Min, w.Max = "temperature", 1, v, v, v
				want.add([]telemetry.Window{w})
			}
			if rnd.IntN(20) == 0 {
				got.add(a.Collect(clock, 1+rnd.IntN(50), nil))
			}
		}
		got.add(a.Flush(nil))
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func TestBuildingNamesAreBounded(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	for i := range 2 * maxBuildings {
		r := reading(t0, 1)
		r.Location.Building = fmt.Sprint("b", i)
		add(a, t0, d, r)
	}
	require.Len(t, a.buildings, maxBuildings)
	add(a, t0+70_000, d, reading(t0+70_000, 1))
	a.Collect(t0+70_000, all, nil)
	require.Len(t, a.buildings, 1, "those without open windows are forgotten")
	a.Flush(nil)
	require.Empty(t, a.buildings)
	require.Zero(t, a.heard.Len())
}

// TestInventedBuildingsTakeNothingFromRealOnes: whether 5,000 names come before a real building or after it, each of its
// readings is counted once.
func TestInventedBuildingsTakeNothingFromRealOnes(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	from := func(building string, at int64) {
		r := reading(at, 1)
		r.Location.Building = building
		add(a, at, d, r)
	}
	counted := make(map[string]int64)
	count := func(ws []telemetry.Window) {
		for _, w := range ws {
			if w.Scope == ScopeBuilding && w.Parameter == "temperature" {
				counted[fmt.Sprint(w.ID, " ", w.WidthMS)] += w.Count
			}
		}
	}
	const invented = 5000
	from("real", t0)
	for i := range invented {
		from(fmt.Sprint("b", i), t0)
		if i%100 == 0 {
			from("real", t0)
		}
		if i%1000 == 0 {
			count(a.Collect(t0, all, nil))
		}
	}
	from("late", t0)
	require.Len(t, a.buildings, maxBuildings)
	count(a.Flush(nil))
	for _, width := range []int{Second, Minute} {
		require.EqualValues(t, 1+invented/100, counted[fmt.Sprint("real ", width)])
		require.EqualValues(t, 1, counted[fmt.Sprint("late ", width)])
		require.EqualValues(t, 1, counted[fmt.Sprint("b0 ", width)])
	}
}

// TestInventedBuildingsAreBoundedBetweenTwoCollections: what lost its place waits for the next one.
func TestInventedBuildingsAreBoundedBetweenTwoCollections(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	for i := range maxDone {
		r := reading(t0, 1)
		r.Location.Building = fmt.Sprint("b", i)
		add(a, t0, d, r)
	}
	require.Len(t, a.buildings, maxBuildings)
	require.Less(t, len(a.done), maxDone+2)
}

func TestOverflowStaysANumber(t *testing.T) {
	a := newAggregator()
	d := device(a, "d1")
	for range 3 {
		add(a, t0, d, reading(t0, math.MaxFloat64))
	}
	for _, w := range a.Flush(nil) {
		require.False(t, math.IsInf(w.Sum, 0), w)
	}
}
