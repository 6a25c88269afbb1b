package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func window(building string, start int64, count int64, sum, low, high float64) telemetry.Window {
	return telemetry.Window{Scope: "building", ID: building, Parameter: "temperature", Start: start, WidthMS: 1000, Count: count, Sum: sum, Min: low, Max: high}
}

func TestWindowsMergeAndAge(t *testing.T) {
	p, c := newModel(Options{})
	apply(t, p, entry("d1", t0, t0))
	late := window("A栋", t0-2000, 1, 10, 10, 10)
	late.Late = true
	other := window("A栋", t0-2000, 9, 9, 9, 9)
	other.Scope = "device"
	minute := window("A栋", t0-2000, 9, 9, 9, 9)
	minute.WidthMS = 60_000
	p.ApplyWindows([]telemetry.Window{
		window("A栋", t0-2000, 2, 50, 20, 30), window("A栋", t0-2000, 1, 40, 40, 40), window("A栋", t0-1000, 1, 20, 20, 20), late,
		other, minute, window("A栋", t0-1000, 0, 0, 0, 0), window("A栋", -5000, 1, 1, 1, 1),
	})
	require.Equal(t, map[string]Mean{"temperature": {Count: 5, Mean: 24, Min: 10, Max: 40}}, p.Stats().Buildings[0].Means)
	c.ms += 59_000
	require.Equal(t, int64(1), p.Stats().Buildings[0].Means["temperature"].Count)
	c.ms += 1000
	require.Empty(t, p.Stats().Buildings[0].Means)
	// Four minutes later the slot is used again.
	p.ApplyWindows([]telemetry.Window{window("A栋", t0-2000+keepWindows*1000, 1, 7, 7, 7), window("A栋", t0-2000, 5, 5, 5, 5)})
	c.ms = t0 + keepWindows*1000
	require.Equal(t, Mean{Count: 1, Mean: 7, Min: 7, Max: 7}, p.Stats().Buildings[0].Means["temperature"])
}

func TestWindowsOfManyBuildingsAreBounded(t *testing.T) {
	p, _ := newModel(Options{})
	for i := range maxBuildings + 10 {
		p.ApplyWindows([]telemetry.Window{window(fmt.Sprint(i), t0, 1, 1, 1, 1)})
	}
	require.Len(t, p.windows.buildings, maxBuildings)
	for i := range telemetry.MaxSensors + 10 {
		w := window("0", t0, 1, 1, 1, 1)
		w.Parameter = fmt.Sprint(i)
		p.ApplyWindows([]telemetry.Window{w})
	}
	require.Len(t, p.windows.buildings["0"].parameters, telemetry.MaxSensors)
}

func TestMeansOfAllBuildingsAreBounded(t *testing.T) {
	x := newWindowIndex()
	x.rings = maxMeans - 1
	for _, building := range []string{"A", "B"} {
		w := window(building, t0, 1, 1, 1, 1)
		x.put(&w, t0)
	}
	require.Len(t, x.means("A", t0, t0+1), 1)
	require.Empty(t, x.means("B", t0, t0+1))
}

// TestInventedBuildingsLeaveRealOnesTheirMeans: what is heard stays, and what comes later gets the place of what fell silent.
func TestInventedBuildingsLeaveRealOnesTheirMeans(t *testing.T) {
	p, c := newModel(Options{})
	put := func(building string) { p.ApplyWindows([]telemetry.Window{window(building, c.ms, 1, 7, 7, 7)}) }
	means := func(building string) int { return len(p.windows.means(building, c.ms-meansOver, c.ms+1)) }
	put("real")
	for i := range 5000 {
		put(fmt.Sprint(i))
		put("real")
		c.ms += 10
	}
	require.Equal(t, 1, means("real"))
	put("late")
	require.Zero(t, means("late"), "the others were heard a moment ago")
	c.ms += quietAfter
	for range 2 {
		put("real")
		put("late")
	}
	require.Equal(t, 1, means("real"))
	require.Equal(t, 1, means("late"))
	require.Len(t, p.windows.buildings, maxBuildings)
	rings := 0
	for _, of := range p.windows.buildings {
		rings += len(of.parameters)
	}
	require.Equal(t, rings, p.windows.rings)
}
