package series_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/series"
)

// sendSensors puts readings with these sensors, as JSON, into a store, all in one frame.
func sendSensors(tb testing.TB, s *series.Store, at int64, sensors ...string) {
	tb.Helper()
	var b wire.FrameBuilder
	b.Reset("gw-a")
	for _, text := range sensors {
		b.Add(wire.FrameEntry{Device: "d1", Timestamp: at, Received: at, Payload: fmt.Appendf(nil, `{"device_id":"d1","timestamp":%d,"location":{"building":"A","floor":1,"room":"1"},"sensors":{%s}}`, at, text)})
	}
	f, err := wire.OpenFrame(b.Finish())
	require.NoError(tb, err)
	addFrame(tb, s, f)
	require.NoError(tb, f.Err())
}

func both(from, to int64) series.Query {
	q := temperatures(from, to, 10_000)
	q.Parameters = append(q.Parameters, "humidity")
	return q
}

func mean(t series.Table, parameter string) []float64 { return numbers(t.Values[parameter].Mean) }

func TestStepsHaveTheirMiddleAsTime(t *testing.T) {
	s := series.New(series.Options{})
	for i := range int64(10) {
		send(t, s, "d1", start+i*5000, float64(i))
	}
	for _, c := range []struct {
		points int
		step   int64
		time   []int64
		mean   []float64
	}{
		{10, 5000, []int64{2500, 7500, 12_500, 17_500, 22_500, 27_500, 32_500, 37_500, 42_500, 47_500}, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{9, 10_000, []int64{5000, 15_000, 25_000, 35_000, 45_000}, []float64{0.5, 2.5, 4.5, 6.5, 8.5}},
		{3, 20_000, []int64{10_000, 30_000, 50_000}, []float64{1.5, 5.5, 8.5}},
	} {
		table, ok := s.Device("d1", temperatures(start, start+49_999, c.points))
		require.True(t, ok)
		require.Equal(t, c.step, table.StepMS)
		require.Equal(t, c.mean, mean(table, "temperature"), "%d points", c.points)
		for i := range c.time {
			require.Equal(t, start+c.time[i], table.Time[i], "%d points", c.points)
		}
	}
	table, _ := s.Device("d1", temperatures(start+10_000, start+25_000, 100))
	require.Equal(t, []float64{2, 3, 4, 5}, mean(table, "temperature"), "both ends are inclusive")
	table, ok := s.Device("unknown", temperatures(start, start+9999, 10))
	require.False(t, ok)
	require.Zero(t, table.Begins)
	require.Empty(t, table.Time)
}

func TestGapIsFourMissingReadings(t *testing.T) {
	for missing, want := range map[int64]int{3: 21, 4: 22} {
		s := series.New(series.Options{})
		for i := range int64(20) {
			send(t, s, "d1", start+i*5000, 1)
		}
		send(t, s, "d1", start+(20+missing)*5000, 2)
		table, _ := s.Device("d1", temperatures(start, start+300_000, 1000))
		require.Len(t, table.Time, want, "%d missing", missing)
		if want == 22 {
			require.Equal(t, start+(20+missing)*5000-2500, table.Time[20])
			require.Nil(t, table.Values["temperature"].Max[20])
		}
	}
	s := series.New(series.Options{})
	send(t, s, "d1", start, 1)
	send(t, s, "d1", start+50_000, 2)
	table, _ := s.Device("d1", temperatures(start, start+50_000, 1000))
	require.Equal(t, []float64{1, 2}, mean(table, "temperature"), "two readings are its usual interval apart")
}

func TestTierFollowsTheRange(t *testing.T) {
	s := series.New(series.Options{})
	const newest = start + 4_000_000
	for at := int64(start); at <= newest; at += 1000 {
		send(t, s, "d1", at, 1)
		s.AddWindows([]telemetry.Window{{Scope: "building", ID: "A", Parameter: "temperature", Start: at, WidthMS: 1000, Count: 1, Sum: 1, Min: 1, Max: 1}})
	}
	for _, c := range []struct{ from, step, begins int64 }{
		{newest - 63*5000, 5000, start},
		{newest - 63*5000 - 1, 90_000, newest - 39*90_000},
	} {
		table, ok := s.Device("d1", temperatures(c.from, newest, 10_000))
		require.True(t, ok)
		require.Equal(t, c.step, table.StepMS)
		require.Equal(t, c.begins, table.Begins)
	}
	for _, c := range []struct{ from, step, begins int64 }{
		{newest - 599_000, 1000, newest - 599_000},
		{newest - 599_001, 60_000, start},
	} {
		table, ok := s.Building("A", temperatures(c.from, newest, 10_000))
		require.True(t, ok)
		require.Equal(t, c.step, table.StepMS)
		require.Equal(t, c.begins, table.Begins)
	}
}

func TestAbsentSensorsStayAbsent(t *testing.T) {
	const t20, h50, h60 = `"temperature":{"value":20,"unit":"°C"}`, `"humidity":{"value":50,"unit":"%"}`, `"humidity":{"value":60,"unit":"%"}`
	s := series.New(series.Options{})
	sendSensors(t, s, start, h50)
	table, _ := s.Device("d1", both(start, start))
	require.Equal(t, []float64{-1}, mean(table, "temperature"))
	require.Equal(t, []float64{50}, mean(table, "humidity"))
	table, _ = s.Device("d1", both(start-600_000, start)) // the coarse tier
	require.Equal(t, []float64{-1}, mean(table, "temperature"))
	require.Equal(t, []float64{50}, mean(table, "humidity"))

	sendSensors(t, s, start, t20, h60) // more readings in the same second
	table, _ = s.Device("d1", both(start, start))
	require.Equal(t, []float64{20}, mean(table, "temperature"))
	require.Equal(t, []float64{60}, mean(table, "humidity"))
	table, _ = s.Device("d1", both(start-600_000, start))
	require.Equal(t, []float64{55}, mean(table, "humidity"))
}

func TestRingsForgetOldSteps(t *testing.T) {
	const t10, h50 = `"temperature":{"value":10,"unit":"°C"}`, `"humidity":{"value":50,"unit":"%"}`
	s := series.New(series.Options{})
	sendSensors(t, s, start, t10)
	sendSensors(t, s, start+320_000, h50) // in the same slot of the fine ring
	table, _ := s.Device("d1", both(start+320_000, start+320_000))
	require.Equal(t, []float64{-1}, mean(table, "temperature"))
	sendSensors(t, s, start, t10) // too late for the fine ring
	table, _ = s.Device("d1", both(start+320_000, start+320_000))
	require.Equal(t, []float64{-1}, mean(table, "temperature"))
	require.Equal(t, []float64{50}, mean(table, "humidity"))

	s = series.New(series.Options{})
	send(t, s, "d1", start, 10)
	send(t, s, "d1", start+40*90_000, 20) // in the same slot of the coarse ring
	send(t, s, "d1", start, 30)           // too late for it
	table, _ = s.Device("d1", temperatures(start, start+40*90_000, 10_000))
	require.Equal(t, []float64{20}, mean(table, "temperature"))
	require.Equal(t, []float64{20}, numbers(table.Values["temperature"].Min))
}

func TestManyReadingsInOneStep(t *testing.T) {
	s := series.New(series.Options{})
	for i := range int64(600) { // more than the counter holds
		send(t, s, "d1", start+i*50, 20)
		send(t, s, "d1", start-90_000+i*50, 20) // late
	}
	table, _ := s.Device("d1", temperatures(start-600_000, start+89_999, 10_000))
	require.Equal(t, []float64{20, 20}, mean(table, "temperature"))
}

func TestLateReadingsJoinTheirStep(t *testing.T) {
	s := series.New(series.Options{})
	send(t, s, "d1", start, 20)
	send(t, s, "d1", start+300_000, 50)
	for _, v := range []float64{40, 10, 30} {
		send(t, s, "d1", start+1000, v)
	}
	send(t, s, "d1", start+90_000, 7) // a step without any
	table, _ := s.Device("d1", temperatures(start-600_000, start+300_000, 10_000))
	require.Equal(t, []float64{25, 7, 50}, withoutGaps(mean(table, "temperature")))
	require.Equal(t, []float64{10, 7, 50}, withoutGaps(numbers(table.Values["temperature"].Min)))
	require.Equal(t, []float64{40, 7, 50}, withoutGaps(numbers(table.Values["temperature"].Max)))
}

func withoutGaps(list []float64) []float64 {
	return slices.DeleteFunc(list, func(v float64) bool { return v == -1 })
}

// TestForgedTimesDoNoHarm: anyone who reaches the hub can publish a frame.
func TestForgedTimesDoNoHarm(t *testing.T) {
	s := series.New(series.Options{})
	forge := func(at int64) {
		s.Add(&wire.FrameEntry{Device: "d1", Timestamp: at, Received: at}, &telemetry.Reading{Sensors: telemetry.Sensors{{Name: "temperature", Number: 7}}})
	}
	for _, at := range []int64{-1, -1_000_000, math.MinInt64, math.MaxInt64 - 5000, telemetry.MaxTimestamp} {
		forge(at)
	}
	require.Zero(t, s.Devices())
	for _, at := range []int64{0, 1, 400_000, telemetry.MaxTimestamp - 1, 0} {
		forge(at)
		for _, from := range []int64{at, at - 1_000_000} {
			table, ok := s.Device("d1", temperatures(max(from, 0), at+1, 10))
			require.True(t, ok)
			require.LessOrEqual(t, len(table.Time), 1000)
		}
	}
}

func TestFastEntryDoesNotEndItsFrame(t *testing.T) {
	s := series.New(series.Options{})
	var b wire.FrameBuilder
	b.Reset("gw-a")
	for _, ahead := range []int64{5001, 0} {
		b.Add(wire.FrameEntry{Device: "d1", Timestamp: start + ahead, Received: start, Payload: []byte(`{"device_id":"d1","timestamp":1640995200000,"location":{"building":"A","floor":1,"room":"1"},"sensors":{"temperature":{"value":7,"unit":"°C"}}}`)})
	}
	f, err := wire.OpenFrame(b.Finish())
	require.NoError(t, err)
	addFrame(t, s, f)
	table, ok := s.Device("d1", temperatures(start, start+10_000, 100))
	require.True(t, ok)
	require.Equal(t, []float64{7}, mean(table, "temperature"))
}

func TestWindowsOfBuildings(t *testing.T) {
	window := func(at int64, value float64) telemetry.Window {
		return telemetry.Window{Scope: "building", ID: "A", Parameter: "temperature", Start: at, WidthMS: 1000, Count: 1, Sum: value, Min: value, Max: value}
	}
	changed := func(f func(w *telemetry.Window)) telemetry.Window {
		w := window(start, 99)
		f(&w)
		return w
	}
	s := series.New(series.Options{})
	s.AddWindows([]telemetry.Window{
		changed(func(w *telemetry.Window) { w.Scope = "device" }), changed(func(w *telemetry.Window) { w.WidthMS = 60_000 }),
		changed(func(w *telemetry.Window) { w.Count = 0 }), changed(func(w *telemetry.Window) { w.Count = -1 }), changed(func(w *telemetry.Window) { w.Start = -1000 }),
	})
	_, ok := s.Building("A", temperatures(0, start, 10))
	require.False(t, ok)
	unknown, _ := s.Building("A", temperatures(0, start, 10))
	require.Zero(t, unknown.Begins)

	s.AddWindows([]telemetry.Window{changed(func(w *telemetry.Window) { w.Scope = "device" }), window(start, 10), window(start, 30), window(start+30_000, 50)})
	table, ok := s.Building("A", both(start, start+59_999))
	require.True(t, ok)
	require.Equal(t, []int64{start + 500, start + 29_500, start + 30_500}, table.Time)
	require.Equal(t, []float64{20, -1, 50}, mean(table, "temperature"))
	require.Equal(t, []float64{10, -1, 50}, numbers(table.Values["temperature"].Min))
	require.Equal(t, []float64{30, -1, 50}, numbers(table.Values["temperature"].Max))
	require.Equal(t, []float64{-1, -1, -1}, mean(table, "humidity"))
	q := both(start-3_600_000, start+59_999)
	q.Parameters = []string{"humidity", "temperature"} // the first one is absent
	table, _ = s.Building("A", q)
	require.Equal(t, []int64{start + 30_000}, table.Time)
	require.Equal(t, []float64{30}, mean(table, "temperature"))
	require.Equal(t, []float64{10}, numbers(table.Values["temperature"].Min))
	require.Equal(t, []float64{50}, numbers(table.Values["temperature"].Max))

	s.AddWindows([]telemetry.Window{window(start+600_000, 70), window(start, 99)}) // the second one is too late
	table, _ = s.Building("A", temperatures(start+600_000, start+600_000, 10))
	require.Equal(t, []float64{70}, mean(table, "temperature"))

	s = series.New(series.Options{})
	w := window(0, 1)
	s.AddWindows([]telemetry.Window{w})
	_, ok = s.Building("A", temperatures(0, 1000, 10))
	require.True(t, ok)
	s = series.New(series.Options{})
	for i := range telemetry.MaxSensors {
		w.Parameter = fmt.Sprint("p", i)
		s.AddWindows([]telemetry.Window{w})
	}
	w.Parameter = "temperature"
	s.AddWindows([]telemetry.Window{w})
	table, _ = s.Building("A", temperatures(0, 1000, 10))
	require.Empty(t, table.Time, "a building has no more means than a reading has sensors")
}
