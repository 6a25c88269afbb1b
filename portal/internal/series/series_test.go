package series_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/series"
)

const start = 1_640_995_200_000 // a multiple of every step

// send puts one reading of one device into a store, received when it was measured.
func send(tb testing.TB, s *series.Store, id string, at int64, temperature float64) {
	tb.Helper()
	sendReceived(tb, s, id, at, at, temperature)
}

func sendReceived(tb testing.TB, s *series.Store, id string, at, received int64, temperature float64) {
	tb.Helper()
	var b wire.FrameBuilder
	b.Reset("gw-a")
	b.Add(wire.FrameEntry{Device: id, Timestamp: at, Received: received, Payload: fmt.Appendf(nil,
		`{"device_id":%q,"timestamp":%d,"location":{"building":"A","floor":1,"room":"1"},"sensors":{"temperature":{"value":%g,"unit":"°C"}}}`,
		id, at, temperature)})
	f, err := wire.OpenFrame(b.Finish())
	require.NoError(tb, err)
	addFrame(tb, s, f)
}

// addFrame adds the entries of a frame, as the model does.
func addFrame(tb testing.TB, s *series.Store, f *wire.Frame) {
	tb.Helper()
	var r telemetry.Reading
	for e, ok := f.Next(); ok; e, ok = f.Next() {
		require.NoError(tb, wire.DecodeReading(e.Payload, &r, nil))
		s.Add(&e, &r)
	}
	require.NoError(tb, f.Err())
}

func temperatures(from, to int64, points int) series.Query {
	return series.Query{From: from, To: to, Points: points, Parameters: []string{"temperature"}}
}

// numbers dereferences pointers; nil becomes -1.
func numbers(list []*float64) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = -1
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

func TestFiveMinutesOfADevice(t *testing.T) {
	s := series.New(series.Options{})
	for i := range int64(60) {
		send(t, s, "d1", start+i*5000, float64(i))
	}
	table, ok := s.Device("d1", temperatures(start, start+299_999, 600))
	require.True(t, ok)
	require.Equal(t, int64(5000), table.StepMS)
	require.Equal(t, int64(start), table.Begins)
	require.Len(t, table.Time, 60)
	require.InDelta(t, 59, *table.Values["temperature"].Mean[59], 0)
	// Fewer points merge steps, and keep what was lowest and highest in them.
	table, _ = s.Device("d1", temperatures(start, start+299_999, 6))
	require.Equal(t, int64(50_000), table.StepMS)
	require.Equal(t, []float64{4.5, 14.5, 24.5, 34.5, 44.5, 54.5}, numbers(table.Values["temperature"].Mean))
	require.Equal(t, []float64{0, 10, 20, 30, 40, 50}, numbers(table.Values["temperature"].Min))
	require.Equal(t, []float64{9, 19, 29, 39, 49, 59}, numbers(table.Values["temperature"].Max))
}

func TestAnOutageIsAGapAndASlowDeviceIsNot(t *testing.T) {
	s := series.New(series.Options{})
	for i := range int64(8) {
		send(t, s, "slow", start+i*20_000, 20)
		send(t, s, "cut", start+i*5000, 20)
		send(t, s, "cut", start+100_000+i*5000, 20)
	}
	slow, _ := s.Device("slow", temperatures(start, start+199_999, 600))
	require.Len(t, slow.Time, 8)
	require.NotContains(t, numbers(slow.Values["temperature"].Mean), -1.0)
	cut, _ := s.Device("cut", temperatures(start, start+199_999, 600))
	require.Len(t, cut.Time, 17)
	require.Nil(t, cut.Values["temperature"].Mean[8])
}

func TestTheHourIsKeptInWiderSteps(t *testing.T) {
	s := series.New(series.Options{})
	for i := range int64(5000) { // 83 minutes
		send(t, s, "d1", start+i*1000, float64(i%15))
	}
	end := int64(start + 5000*1000)
	table, _ := s.Device("d1", temperatures(end-3_600_000, end, 1000))
	require.Equal(t, int64(90_000), table.StepMS)
	require.InDelta(t, 40, len(table.Time), 1)
	mean, low, high := table.Values["temperature"].Mean, table.Values["temperature"].Min, table.Values["temperature"].Max
	for i := range len(mean) - 1 {
		require.InDelta(t, 7, *mean[i], 0.01)
		require.InDelta(t, 0, *low[i], 0)
		require.InDelta(t, 14, *high[i], 0)
	}
	require.Greater(t, table.Begins, int64(start))
}

func TestLateAndEarlyReadings(t *testing.T) {
	s := series.New(series.Options{})
	send(t, s, "d1", start+600_000, 1)
	send(t, s, "d1", start, 2)         // late: only the wider tier still has room for it
	send(t, s, "d1", start+599_000, 3) // a little late
	table, _ := s.Device("d1", temperatures(start+595_000, start+605_000, 600))
	require.Equal(t, []float64{3, 1}, numbers(table.Values["temperature"].Mean))
	table, _ = s.Device("d1", temperatures(start, start+605_000, 600))
	require.InDelta(t, 2, *table.Values["temperature"].Mean[0], 0)
}

// TestFastClockDoesNotPushOutTheTruth has a device whose clock is put right: had its readings
// from the future been kept, there would be no room left for the true ones.
func TestFastClockDoesNotPushOutTheTruth(t *testing.T) {
	s := series.New(series.Options{})
	fast := func(ahead int64) {
		sendReceived(t, s, "fast", start+ahead, start, 99)
	}
	for _, ahead := range []int64{5_001, 10_000, 3_600_000, 86_400_000} {
		fast(ahead)
		_, ok := s.Device("fast", temperatures(start, start+ahead, 10))
		require.False(t, ok, "%d ms ahead", ahead)
	}
	fast(5_000) // a little is allowed
	send(t, s, "fast", start+1_000, 20)
	table, ok := s.Device("fast", temperatures(start, start+10_000, 600))
	require.True(t, ok)
	require.Equal(t, []float64{20, 99}, numbers(table.Values["temperature"].Mean))
}

func TestBuildings(t *testing.T) {
	s := series.New(series.Options{MaxBuildings: 1})
	for i := range int64(120) {
		w := telemetry.Window{Scope: "building", ID: "A栋", Parameter: "temperature", Start: start + i*1000, WidthMS: 1000, Count: 2, Sum: 40, Min: 19, Max: 21}
		s.AddWindows([]telemetry.Window{w, {Scope: "device", ID: "d1", Parameter: "temperature", Start: start, WidthMS: 1000, Count: 1}})
		w.ID = "B栋" // beyond the limit
		s.AddWindows([]telemetry.Window{w})
	}
	table, ok := s.Building("A栋", temperatures(start, start+119_999, 600))
	require.True(t, ok)
	require.Equal(t, int64(1000), table.StepMS)
	require.Len(t, table.Time, 120)
	table, _ = s.Building("A栋", temperatures(start-3_600_000, start+119_999, 600))
	require.Equal(t, int64(60_000), table.StepMS)
	require.Equal(t, []float64{20, 20}, numbers(table.Values["temperature"].Mean))
	_, ok = s.Building("B栋", temperatures(start, start+1000, 10))
	require.False(t, ok)
}

func TestMemoryIsBounded(t *testing.T) {
	s := series.New(series.Options{MaxDevices: 2})
	for i := range 10 {
		send(t, s, fmt.Sprintf("d%d", i), start, 1)
	}
	require.Equal(t, 2, s.Devices())
	_, ok := s.Device("d9", temperatures(start, start+1000, 10))
	require.False(t, ok)
}

// BenchmarkAdd is what the course of devices costs a reading.
func BenchmarkAdd(b *testing.B) {
	s := series.New(series.Options{})
	var fb wire.FrameBuilder
	fb.Reset("gw-a")
	const entries = 100
	for i := range entries {
		fb.Add(wire.FrameEntry{Device: fmt.Sprintf("device_%03d", i), Timestamp: start, Received: start, Payload: []byte(
			`{"device_id":"device_001","timestamp":1640995200000,"location":{"building":"A","floor":3,"room":"301"},"sensors":{"temperature":{"value":25.6,"unit":"C","status":"normal"},"humidity":{"value":65.2,"unit":"%","status":"normal"},"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},"current":{"value":2.5,"unit":"A","status":"normal"}},"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`)})
	}
	data := fb.Finish()
	b.ReportAllocs()
	for b.Loop() {
		f, err := wire.OpenFrame(data)
		if err != nil {
			b.Fatal(err)
		}
		addFrame(b, s, f)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/reading")
}
