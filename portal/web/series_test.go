package web

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestDeviceSeries(t *testing.T) {
	r := start(t, nil)
	now := r.portal.model.Now()
	first := now - 100_000
	for i := range int64(20) {
		r.publish("gw-a", reading("d1", "A栋", first+i*5000))
	}
	var got deviceSeries
	r.eventually("20 readings", func() bool {
		r.getJSON(fmt.Sprintf("/api/v1/devices/d1/series?parameters=temperature&from=%d&to=%d", first-5000, now), &got)
		return len(got.Time) == 20
	})
	require.Equal(t, "d1", got.DeviceID)
	require.Equal(t, int64(5000), got.StepMS)
	require.Equal(t, first, got.Begins)
	require.Len(t, got.Values, 1)
	require.InDelta(t, 21.5, *got.Values["temperature"].Mean[0], 0)

	r.getJSON("/api/v1/devices/d1/series", &got)
	require.Len(t, got.Values, 1, "the sensors that the device has")
	require.Equal(t, "°C", got.Values["temperature"].Unit)
	r.getJSON("/api/v1/devices/d1/series?parameters=co2,temperature", &got)
	require.Len(t, got.Values, 2)
	require.Len(t, got.Values["co2"].Mean, len(got.Time))
	require.Nil(t, got.Values["co2"].Mean[0], "a sensor that the device does not have")

	r.refused("/api/v1/devices/unknown/series", http.StatusNotFound, "device_not_found")
	for _, query := range []string{"parameters=Colour", "parameters=co2,", "parameters=" + tooMany(), "parameters=temperature,temperature", "from=yesterday", "points=1", "points=5000", "from=1640995200000&to=1640995200000", "step=1"} {
		r.refused("/api/v1/devices/d1/series?"+query, http.StatusBadRequest, "bad_parameter")
	}
}

// tooMany are more names of sensors than a reading has.
func tooMany() string {
	names := make([]string, telemetry.MaxSensors+1)
	for i := range names {
		names[i] = fmt.Sprint("s", i)
	}
	return strings.Join(names, ",")
}

func TestBuildingSeries(t *testing.T) {
	r := start(t, nil)
	now := populate(r)
	r.refused("/api/v1/buildings/nowhere/series", http.StatusNotFound, "building_not_found")
	var got buildingSeries
	r.getJSON("/api/v1/buildings/"+url.PathEscape("A栋")+"/series", &got)
	require.Equal(t, "A栋", got.Building)
	require.Empty(t, got.Time, "no aggregate has come yet")
	second := now - now%1000
	require.NoError(t, r.nc.Publish(wire.AggregateSubject, fmt.Appendf(nil,
		`[{"scope":"building","id":"A栋","parameter":"temperature","start":%d,"width_ms":1000,"count":2,"sum":41,"min":20,"max":21}]`, second)))
	r.eventually("a mean", func() bool {
		r.getJSON("/api/v1/buildings/"+url.PathEscape("A栋")+"/series?parameters=temperature", &got)
		return len(got.Time) == 1
	})
	require.InDelta(t, 20.5, *got.Values["temperature"].Mean[0], 0)
	require.Equal(t, "°C", got.Values["temperature"].Unit)

	var buildings list[building]
	r.eventually("three buildings", func() bool {
		r.getJSON("/api/v1/buildings", &buildings)
		return buildings.Total == 3
	})
	require.Equal(t, 30, buildings.Items[0].Devices.Total)
}

func TestAlertTrend(t *testing.T) {
	r := start(t, nil)
	now := r.portal.model.Now()
	r.raise(alert("1", "a", telemetry.SeverityHigh, telemetry.AlertActive, now),
		alert("2", "b", telemetry.SeverityHigh, telemetry.AlertActive, now-2*hour),
		alert("3", "c", telemetry.SeverityCritical, telemetry.AlertActive, now-30*hour))
	var got alertTrend
	r.getJSON("/api/v1/alerts/trend?hours=24", &got)
	require.Len(t, got.Time, 24)
	require.Equal(t, 1, got.High[23])
	require.Equal(t, 1, got.High[21])
	require.Equal(t, make([]int, 24), got.Critical, "older than a day")
	require.Equal(t, now-30*hour, got.Begins)
	r.refused("/api/v1/alerts/trend?hours=0", http.StatusBadRequest, "bad_parameter")
}

func TestExportIsExactlyWhatIsFiltered(t *testing.T) {
	r := start(t, nil)
	now := populate(r)
	evil := reading("-cmd", "=cmd|' /C calc'!A0", now)
	r.publish("gw-a", evil)
	r.eventually("the device", func() bool { return r.portal.model.Stats().Devices.Total == 52 })

	for _, query := range []string{"", "building=" + url.QueryEscape("A栋"), "q=b0", "state=offline", "floor=2", "model=IOT-SENSOR-V2&state=online"} {
		a := r.get("/api/v1/export.csv?" + query)
		require.Equal(t, http.StatusOK, a.status)
		text, ok := strings.CutPrefix(a.body, "\ufeff")
		require.True(t, ok, "a byte order mark")
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		require.NoError(t, err)
		var devices devicesAnswer
		r.getJSON("/api/v1/devices?limit=1&"+query, &devices)
		require.Len(t, rows, devices.Total+1, query)
		require.Equal(t, exportHead, rows[0][:len(exportHead)])
		for _, row := range rows[1:] {
			for _, cell := range row {
				require.NotContains(t, "=+-@\t\r", firstOf(cell), cell)
			}
		}
	}
	require.Contains(t, r.get("/api/v1/export.csv?q=a00").body, "A栋")
	require.Contains(t, r.get("/api/v1/export.csv?lang=zh").body, "温度")
	require.Len(t, exportHeadChinese, len(exportHead))
	require.Len(t, exportTailChinese, len(exportTail))
	r.refused("/api/v1/export.csv?floor=two", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/export.csv?limit=5", http.StatusBadRequest, "bad_parameter")
}

// firstOf returns the first character of a cell, "?" if it is empty.
func firstOf(cell string) string {
	if cell == "" {
		return "?"
	}
	return cell[:1]
}
