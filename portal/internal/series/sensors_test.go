package series_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/series"
)

// everything asks for all sensors of a device.
func everything(from, to int64) series.Query { return series.Query{From: from, To: to, Points: 10_000} }

func TestAnySensorHasASeriesInItsUnit(t *testing.T) {
	s := series.New(series.Options{})
	sendSensors(t, s, start, `"co2":{"value":600,"unit":"ppm"},"ph":{"value":7.25},"open":{"value":true}`,
		`"ph":{"value":7.75},"open":{"value":false},"co2":{"value":700,"unit":"ppm"}`)
	for name, from := range map[string]int64{"five minutes": start, "the hour": start - 600_000} {
		table, ok := s.Device("d1", everything(from, start))
		require.True(t, ok)
		require.Len(t, table.Values, 3, name)
		require.Equal(t, "ppm", table.Values["co2"].Unit)
		require.Empty(t, table.Values["ph"].Unit)
	}
	table, _ := s.Device("d1", everything(start-600_000, start))
	require.Equal(t, []float64{650}, mean(table, "co2"))
	require.Equal(t, []float64{7.5}, mean(table, "ph"))
	require.Equal(t, []float64{7.25}, numbers(table.Values["ph"].Min))
	require.Equal(t, []float64{0.5}, mean(table, "open"), "a switch is 0 or 1")
	require.Equal(t, []float64{0}, numbers(table.Values["open"].Min))
	require.Equal(t, []float64{1}, numbers(table.Values["open"].Max))
}

func TestTextsAndUnknownUnitsHaveNoSeries(t *testing.T) {
	s := series.New(series.Options{})
	sendSensors(t, s, start, `"mode":{"value":"auto"},"temperature":{"value":88,"unit":"furlong","status":"unit_unknown"},"co2":{"value":1,"status":"implausible"}`)
	table, ok := s.Device("d1", everything(start, start))
	require.True(t, ok)
	require.Len(t, table.Values, 1)
	require.Equal(t, []float64{1}, mean(table, "co2"), "an implausible value is one")
	table, _ = s.Device("d1", temperatures(start, start, 10))
	require.Empty(t, mean(table, "temperature"))
}

func TestValuesOfAnotherUnitOrTypeStartTheSeriesAnew(t *testing.T) {
	for name, later := range map[string]string{
		"unit": `"flow":{"value":90,"unit":"gal"}`, "type": `"flow":{"value":true,"unit":"l"}`,
	} {
		s := series.New(series.Options{})
		sendSensors(t, s, start, `"flow":{"value":5,"unit":"l"}`)
		sendSensors(t, s, start+5000, `"flow":{"value":6}`) // without a unit it is the same
		table, _ := s.Device("d1", everything(start, start+10_000))
		require.Equal(t, []float64{5, 6}, mean(table, "flow"), name)
		require.Equal(t, "l", table.Values["flow"].Unit)
		sendSensors(t, s, start+10_000, later)
		table, _ = s.Device("d1", everything(start, start+10_000))
		require.Equal(t, []int64{start + 12_500}, table.Time, name)
	}
}

// many are n sensors from number first, as JSON.
func many(first, n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"s%d":{"value":%d}`, first+i, i))
	}
	return strings.Join(list, ",")
}

func TestSensorsOfADeviceAreBoundedAndSilentOnesMakeRoom(t *testing.T) {
	s := series.New(series.Options{})
	sendSensors(t, s, start, many(0, telemetry.MaxSensors))
	sendSensors(t, s, start+1000, many(telemetry.MaxSensors, 1), many(1, telemetry.MaxSensors-1)) // s0 has gone silent
	table, _ := s.Device("d1", everything(start, start+1000))
	require.Len(t, table.Values, telemetry.MaxSensors)
	require.NotContains(t, table.Values, "s64", "s0 has values within the hour")
	const hour = 3_600_000
	sendSensors(t, s, start+hour, many(1, telemetry.MaxSensors))
	table, _ = s.Device("d1", everything(start+hour, start+hour))
	require.Len(t, table.Values, telemetry.MaxSensors)
	require.Contains(t, table.Values, "s64")
	require.NotContains(t, table.Values, "s0")
	require.Equal(t, []float64{63}, mean(table, "s64"))
}

func TestSensorsOfAllDevicesAreBounded(t *testing.T) {
	s := series.New(series.Options{MaxSensors: 3})
	sendSensors(t, s, start, many(0, 2))
	send(t, s, "d2", start, 1)
	sendSensors(t, s, start+1000, many(0, 3))
	table, _ := s.Device("d1", everything(start, start+1000))
	require.Len(t, table.Values, 2)
	s.Forget("d2")
	s.Forget("never")
	_, ok := s.Device("d2", everything(start, start))
	require.False(t, ok)
	sendSensors(t, s, start+2000, many(0, 3))
	table, _ = s.Device("d1", everything(start, start+2000))
	require.Len(t, table.Values, 3, "what was forgotten makes room")

	s = series.New(series.Options{MaxMeans: 1})
	for _, name := range []string{"co2", "ph"} {
		s.AddWindows([]telemetry.Window{{Scope: "building", ID: "A", Parameter: name, Start: start, WidthMS: 1000, Count: 1}})
	}
	table, _ = s.Building("A", everything(start, start))
	require.Len(t, table.Values, 1)
}

func TestSevenDigitsAreKept(t *testing.T) {
	s := series.New(series.Options{})
	sendSensors(t, s, start, `"leak":{"value":0.0000125},"energy":{"value":4194303.5}`)
	table, _ := s.Device("d1", everything(start, start))
	require.InDelta(t, 0.0000125, mean(table, "leak")[0], 1e-12)
	require.InDelta(t, 4194303.5, mean(table, "energy")[0], 1)
}

func TestMemoryGrowsWithTheSensorsThatADeviceHas(t *testing.T) {
	const devices = 200
	cost := func(sensors int) int64 {
		s := series.New(series.Options{})
		var b wire.FrameBuilder
		b.Reset("gw-a")
		for d := range devices {
			b.Add(wire.FrameEntry{Device: fmt.Sprint("d", d), Timestamp: start, Received: start, Payload: fmt.Appendf(nil,
				`{"device_id":"d","timestamp":%d,"location":{"building":"A"},"sensors":{%s}}`, start, many(0, sensors))})
		}
		data := b.Finish()
		f, err := wire.OpenFrame(data)
		require.NoError(t, err)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		addFrame(t, s, f)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(s)
		runtime.KeepAlive(data)
		return (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / devices
	}
	one, five, sixty := cost(1), cost(5), cost(60)
	t.Logf("bytes a device: 1 sensor %d, 5 sensors %d, 60 sensors %d", one, five, sixty)
	require.InDelta(t, 470, float64(five-one)/4, 70, "a sensor")
	require.InDelta(t, 470, float64(sixty-five)/55, 70, "a sensor")
	require.Less(t, one, int64(1_000))
}
