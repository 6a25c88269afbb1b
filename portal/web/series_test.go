package web

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/series"
)

// historian answers questions about the history with made-up series.
type historian struct {
	*httptest.Server
	asked  chan history.Query
	answer func(q *history.Query) (history.Series, int)
}

func startHistorian(t *testing.T, answer func(q *history.Query) (history.Series, int)) *historian {
	t.Helper()
	h := &historian{asked: make(chan history.Query, 100), answer: answer}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+history.SeriesPath, func(w http.ResponseWriter, r *http.Request) {
		q, err := history.ParseQuery(r.URL.Query())
		if err != nil || q.Check() != nil {
			http.Error(w, "bad question", http.StatusBadRequest)
			return
		}
		h.asked <- q
		s, status := h.answer(&q)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(history.Answer{From: q.From, To: q.To, Series: []history.Series{s}}) // the portal sees it
	})
	mux.HandleFunc("GET "+history.StatusPath, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(history.Status{Begins: 1, Days: 1}) // the portal sees it
	})
	mux.HandleFunc("GET "+history.ExportPath, func(w http.ResponseWriter, r *http.Request) {
		q, err := history.ParseExportQuery(r.URL.Query())
		if err != nil || q.Check() != nil {
			http.Error(w, "bad question", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s of %s, %v\n", q.Format, q.Devices[0], q.Parameters)
		if q.Devices[0] == "broken" {
			_ = http.NewResponseController(w).Flush() // the abort is what is tested
			panic(http.ErrAbortHandler)
		}
	})
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

func TestDeviceSeries(t *testing.T) {
	t.Parallel()
	h := startHistorian(t, func(q *history.Query) (history.Series, int) {
		if len(q.Devices) == 1 && q.Devices[0] == "d1" {
			return history.Series{DeviceID: "d1", StepMS: 5000, IntervalMS: 5000, Begins: 7, Time: []int64{10_000, 15_000}, Values: map[string]history.Column{
				"temperature": {Unit: "°C", Mean: history.Numbers{21.5, 22}, Min: history.Numbers{20, 21}, Max: history.Numbers{23, 23}},
			}}, http.StatusOK
		}
		return history.Series{}, http.StatusOK
	})
	r := start(t, func(o *Options) { o.Config.HistoryURL = h.URL })
	now := r.portal.model.Now()
	var got deviceSeries
	r.getJSON(fmt.Sprintf("/api/v1/devices/d1/series?parameters=temperature,co2&from=%d&to=%d&points=77", now-9e9, now), &got)
	require.Equal(t, history.Query{Devices: []string{"d1"}, Parameters: []string{"temperature", "co2"}, From: now - 9e9, To: now, Points: 77}, <-h.asked)
	require.Equal(t, "d1", got.DeviceID)
	require.Equal(t, int64(5000), got.StepMS)
	require.EqualValues(t, 7, got.Begins)
	require.Equal(t, []int64{12_500, 17_500}, got.Time)
	require.InDelta(t, 21.5, *got.Values["temperature"].Mean[0], 0)
	require.InDelta(t, 23, *got.Values["temperature"].Max[1], 0)
	require.Equal(t, "°C", got.Values["temperature"].Unit)
	require.Nil(t, got.Values["co2"].Mean[0], "a sensor that the device does not have")

	r.publish("gw-a", reading("d2", "A栋", now))
	r.eventually("the device", func() bool { return r.get("/api/v1/devices/d2").status == http.StatusOK })
	r.getJSON("/api/v1/devices/d2/series", &got)
	require.Empty(t, got.Time, "there is nothing of it yet")
	r.refused("/api/v1/devices/unknown/series", http.StatusNotFound, "device_not_found")
	for _, query := range []string{"parameters=Colour", "parameters=co2,", "parameters=" + tooMany(), "parameters=temperature,temperature", "from=yesterday", "points=1", "points=5000", "from=1640995200000&to=1640995200000", "step=1"} {
		r.refused("/api/v1/devices/d1/series?"+query, http.StatusBadRequest, "bad_parameter")
	}
}

// TestWithoutHistory: what is refused says what to do.
func TestWithoutHistory(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := r.portal.model.Now()
	r.publish("gw-a", reading("d1", "A栋", now))
	r.eventually("the device", func() bool { return r.get("/api/v1/devices/d1").status == http.StatusOK })
	require.Contains(t, r.refused("/api/v1/devices/d1/series", http.StatusServiceUnavailable, "history_off"), "PORTAL_HISTORY_URL")
	r.refused("/api/v1/devices/d1/readings.csv", http.StatusServiceUnavailable, "history_off")
}

func TestHistoryThatGivesNoAnswer(t *testing.T) {
	t.Parallel()
	h := startHistorian(t, func(*history.Query) (history.Series, int) { return history.Series{}, http.StatusServiceUnavailable })
	r := start(t, func(o *Options) { o.Config.HistoryURL = h.URL })
	r.refused("/api/v1/devices/d1/series", http.StatusServiceUnavailable, "history_unavailable")
	h.Close()
	require.Contains(t, r.refused("/api/v1/devices/d1/series", http.StatusServiceUnavailable, "history_unavailable"), "is the core that keeps it running")
	r.refused("/api/v1/devices/d1/readings.csv", http.StatusServiceUnavailable, "history_unavailable")
}

// TestReadingsAreExported: what the historian sends, and no export that ended early looks complete.
func TestReadingsAreExported(t *testing.T) {
	t.Parallel()
	h := startHistorian(t, nil)
	r := start(t, func(o *Options) { o.Config.HistoryURL = h.URL })
	a := r.get("/api/v1/devices/d1/readings.csv?parameters=co2")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "csv of d1, [co2]\n", a.body)
	require.Contains(t, a.header.Get("Content-Disposition"), "d1.csv")
	a = r.get("/api/v1/devices/d1/readings.ndjson?from=1640995200000&to=1640995200001")
	require.Equal(t, "ndjson of d1, []\n", a.body)
	require.Equal(t, "application/x-ndjson", a.header.Get("Content-Type"))
	r.refused("/api/v1/devices/d1/readings.csv?from=yesterday", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/devices/d1/readings.csv?points=5", http.StatusBadRequest, "bad_parameter")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.portal.Addr()+"/api/v1/devices/broken/readings.csv", nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{}).RoundTrip(req)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.Error(t, err, "the stream ends without its last chunk")
	require.NoError(t, resp.Body.Close())
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
	t.Parallel()
	var begins atomic.Int64
	begins.Store(7)
	h := startHistorian(t, func(q *history.Query) (history.Series, int) {
		if q.Buildings[0] != "A栋" {
			return history.Series{}, http.StatusOK
		}
		return history.Series{Building: q.Buildings[0], StepMS: 60_000, IntervalMS: 60_000, Begins: begins.Load(), Time: []int64{60_000}, Values: map[string]history.Column{
			"temperature": {Mean: history.Numbers{19}, Min: history.Numbers{18}, Max: history.Numbers{20}},
		}}, http.StatusOK
	})
	r := start(t, func(o *Options) { o.Config.HistoryURL = h.URL })
	now := populate(r)
	r.refused("/api/v1/buildings/nowhere/series", http.StatusNotFound, "building_not_found")
	path := "/api/v1/buildings/" + url.PathEscape("A栋") + "/series?parameters=temperature"
	var got buildingSeries
	r.getJSON(path, &got)
	require.Equal(t, "A栋", got.Building)
	require.Equal(t, []int64{90_000}, got.Time, "from the history")
	r.getJSON(fmt.Sprintf("%s&from=%d&to=%d", path, now-600_000, now), &got)
	require.Equal(t, []int64{90_000}, got.Time, "more than is kept here")
	r.portal.sample(series.Values{})
	first := r.portal.model.Now() / series.Step * series.Step
	r.portal.sample(series.Values{}) // in another step, if it is late
	r.getJSON(fmt.Sprintf("%s&from=%d&to=%d", path, first, first+60_000), &got)
	require.EqualValues(t, series.Step, got.StepMS, "the means of the last minutes are here")
	require.LessOrEqual(t, got.Begins, first)
	require.InDelta(t, 21.5, *got.Values["temperature"].Mean[0], 0)
	require.Equal(t, "°C", got.Values["temperature"].Unit)

	begins.Store(got.Begins / 60_000 * 60_000)
	r.getJSON(fmt.Sprintf("%s&from=%d&to=%d", path, first-600_000, first+60_000), &got)
	require.EqualValues(t, series.Step, got.StepMS, "of a young plant the history has no more, and not so finely")

	var buildings list[building]
	r.eventually("three buildings", func() bool {
		r.getJSON("/api/v1/buildings", &buildings)
		return buildings.Total == 3
	})
	require.Equal(t, 30, buildings.Items[0].Devices.Total)
}

func TestAlertTrend(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
