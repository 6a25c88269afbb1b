package prom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/archive"
)

// TestClientOfPrometheus asks everything that Prometheus' own client library can ask here.
func TestClientOfPrometheus(t *testing.T) {
	p := newPlant(t, 3)
	c := client(t, serve(t, Options{Source: p.archive}).URL)
	start, end := time.UnixMilli(day0), time.UnixMilli(day0+3*dayMS)

	series, _, _, err := c.Series(t.Context(), []string{`sensor_temperature{device="device_1"}`, `{building="B",unit="kWh"}`, `{device="device_1",unit="kWh"}`}, start, end)
	require.NoError(t, err)
	require.Equal(t, []model.LabelSet{
		{"__name__": "sensor_energy", "building": "B", "device": "device_1", "floor": "2", "room": "201", "model": "M1", "unit": "kWh"},
		{"__name__": "sensor_temperature", "building": "B", "device": "device_1", "floor": "2", "room": "201", "model": "M1", "unit": "°C"},
	}, series)
	series, _, _, err = c.Series(t.Context(), []string{`{device=~".+"}`}, start.Add(-48*time.Hour), start.Add(-24*time.Hour))
	require.NoError(t, err)
	require.Empty(t, series, "before there were any")
	series, warnings, _, err := c.Series(t.Context(), []string{`{device=~".+"}`}, start, end, v1.WithLimit(2))
	require.NoError(t, err)
	require.Len(t, series, 2)
	require.NotEmpty(t, warnings)

	names, _, _, err := c.LabelNames(t.Context(), nil, time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, model.LabelNames{"__name__", "building", "device", "floor", "model", "room", "unit"}, names)
	names, _, _, err = c.LabelNames(t.Context(), []string{"sensor_on"}, start, end)
	require.NoError(t, err)
	require.Equal(t, model.LabelNames{"__name__", "building", "device", "floor", "model", "room"}, names, "a switch has no unit")
	values, _, _, err := c.LabelValues(t.Context(), "__name__", nil, start, end)
	require.NoError(t, err)
	require.Equal(t, model.LabelValues{"sensor_energy", "sensor_on", "sensor_temperature"}, values, "texts are no metrics")
	values, _, _, err = c.LabelValues(t.Context(), "building", []string{`{device="device_2"}`}, start, end)
	require.NoError(t, err)
	require.Equal(t, model.LabelValues{"C"}, values)

	about, err := c.Metadata(t.Context(), "", "")
	require.NoError(t, err)
	require.Len(t, about, 3)
	require.Equal(t, v1.MetricTypeGauge, about["sensor_temperature"][0].Type)
	about, err = c.Metadata(t.Context(), "sensor_on", "1")
	require.NoError(t, err)
	require.Len(t, about, 1)
	build, err := c.Buildinfo(t.Context())
	require.NoError(t, err)
	require.Equal(t, version, build.Version)

	v, _, _, err := c.Query(t.Context(), "1 + 1", time.UnixMilli(day0+1))
	require.NoError(t, err)
	require.Equal(t, &model.Scalar{Value: 2, Timestamp: model.Time(day0 + 1)}, v)
	v, _, _, err = c.Query(t.Context(), `sensor_temperature[1h]`, time.UnixMilli(day0+dayMS))
	require.NoError(t, err)
	require.Equal(t, model.ValMatrix, v.Type())
	require.NotEmpty(t, v)
	v, warnings, _, err = c.Query(t.Context(), `sensor_temperature`, time.UnixMilli(day0+dayMS), v1.WithLimit(1), v1.WithLookbackDelta(5*time.Hour))
	require.NoError(t, err)
	require.Len(t, v, 1)
	require.NotEmpty(t, warnings)
}

// answer is what Prometheus documents.
type answer struct {
	Status    string          `json:"status"`
	Data      json.RawMessage `json:"data"`
	ErrorType string          `json:"errorType"`
	Error     string          `json:"error"`
}

func get(t *testing.T, address string) (int, answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, answer) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var a answer
	require.NoError(t, json.Unmarshal(b, &a), "%s", b)
	return resp.StatusCode, a
}

func TestBadRequests(t *testing.T) {
	s := serve(t, Options{Source: fake{}})
	base := s.URL + Prefix + "/api/v1/"
	for _, c := range []struct {
		request string
		status  int
		kind    string
		text    string
	}{
		{"query", 400, "bad_data", "query"},
		{"query?query=sum(", 400, "bad_data", `invalid parameter "query"`},
		{"query?query=1&time=noon", 400, "bad_data", `invalid parameter "time": "noon": want seconds since 1970`},
		{"query?query=1&time=NaN", 400, "bad_data", "time"},
		{"query?query=1&timeout=0", 400, "bad_data", "timeout"},
		{"query?query=1&timeout=soon", 400, "bad_data", "want seconds, or a duration"},
		{"query?query=1&limit=-1", 400, "bad_data", "limit"},
		{"query?query=1&lookback_delta=x", 400, "bad_data", "lookback_delta"},
		{"query?query=%zz", 400, "bad_data", "reading the form"},
		{"query_range?query=1", 400, "bad_data", "start, end, step"},
		{"query_range?query=1&start=2&end=1&step=1", 400, "bad_data", "it is before start"},
		{"query_range?query=1&start=1&end=2&step=0", 400, "bad_data", "step"},
		{"query_range?query=1&start=1&end=20000&step=1", 400, "bad_data", "at most 11000 points"},
		{"query_range?query=sensor_x[5m]&start=1&end=2&step=1", 400, "bad_data", "invalid expression type"},
		{"series", 400, "bad_data", "at least one selector"},
		{"series?match[]={}", 400, "bad_data", "at least one matcher that does not match the empty string"},
		{"labels?match[]={device=~%22.*%22}", 400, "bad_data", "at least one matcher"},
		{"labels?match[]={", 400, "bad_data", "match[]"},
		{"labels?limit=x", 400, "bad_data", "limit"},
		{"labels?start=x", 400, "bad_data", "start"},
		{"metadata?limit=x", 400, "bad_data", "limit"},
		{"rules", 404, "not_found", "the history answers query, query_range"},
		{"query?query=vector(1)%2Bon(){__name__=~%22.%2B%22}", 200, "", ""},
	} {
		status, a := get(t, base+c.request)
		require.Equal(t, c.status, status, "%s: %s", c.request, a.Error)
		require.Equal(t, c.kind, a.ErrorType, c.request)
		require.Contains(t, a.Error, c.text, c.request)
	}
}

func TestFormsArePosted(t *testing.T) {
	s := serve(t, Options{Source: fake{}})
	post := func(body string) (int, answer) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+Prefix+"/api/v1/query", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return do(t, req)
	}
	status, a := post(url.Values{"query": {"3"}, "time": {"2026-11-27T06:00:00.25+08:00"}}.Encode())
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"resultType":"scalar","result":[1795730400.25,"3"]}`, string(a.Data))
	status, a = post(url.Values{"query": {`"a\"b"`}, "time": {"7"}}.Encode())
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"resultType":"string","result":[7,"a\"b"]}`, string(a.Data))
	status, a = post("query=" + strings.Repeat("1%2B", maxForm/4) + "1")
	require.Equal(t, 400, status)
	require.Contains(t, a.Error, "too large")
}

func TestPointsAreWrittenAsPrometheusWritesThem(t *testing.T) {
	for _, c := range []struct {
		ms   int64
		v    string
		want string
	}{
		{1_435_781_451_781, "1", `[1435781451.781,"1"]`},
		{1_435_781_451_000, "-0.5", `[1435781451,"-0.5"]`},
		{1_435_781_451_007, "1/0", `[1435781451.007,"+Inf"]`},
		{1_000, "0/0", `[1,"NaN"]`},
		{50, "1e21", `[0.050,"1e+21"]`},
		{0, "0.0000001", `[0,"1e-07"]`},
		{0, "123456789.125", `[0,"123456789.125"]`},
	} {
		s := serve(t, Options{Source: fake{}})
		status, a := get(t, fmt.Sprintf("%s%s/api/v1/query?query=%s&time=%d.%03d", s.URL, Prefix, url.QueryEscape(c.v), c.ms/1000, c.ms%1000))
		require.Equal(t, 200, status)
		require.Equal(t, `{"resultType":"scalar","result":`+c.want+`}`, string(a.Data))
	}
}

// slow is a Source that waits for its context, and says that it does.
type slow struct {
	fake

	asked chan struct{}
}

func (s slow) Values(ctx context.Context, _ *archive.Entry, _, _ int64) (times []int64, values []float64, next int64, err error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return nil, nil, 0, ctx.Err()
}

// failing is a Source whose files cannot be read.
type failing struct{ fake }

var errDisk = errors.New("input/output error")

func (failing) Values(context.Context, *archive.Entry, int64, int64) (times []int64, values []float64, next int64, err error) {
	return nil, nil, 0, errDisk
}

func TestBounds(t *testing.T) {
	one := fake{{sensor: "temperature", device: "d1"}}
	many := fake{{sensor: "temperature", device: "d1"}, {sensor: "temperature", device: "d2"}, {sensor: "temperature", device: "d3"}}
	for i := range int64(1000) {
		one[0].samples = append(one[0].samples, sample{day0 + i*1000, 1})
	}
	for _, c := range []struct {
		name    string
		o       Options
		request string
		status  int
		kind    string
		text    string
	}{
		{"samples", Options{Source: one, MaxSamples: 100}, "query?query=avg_over_time(sensor_temperature[1h])", 422, "execution", "too many samples"},
		{"series", Options{Source: many, MaxSeries: 2}, "query?query=sum(sensor_temperature)", 422, "execution", `{__name__="sensor_temperature"} matches more than 2; add matchers`},
		{"series of a list", Options{Source: many, MaxSeries: 2}, "labels", 422, "execution", "more than 2"},
		{"time", Options{Source: slow{one, make(chan struct{}, 9)}, Timeout: 50 * time.Millisecond}, "query?query=sensor_temperature", 503, "timeout", ""},
		{"own time", Options{Source: slow{one, make(chan struct{}, 9)}}, "query?query=sensor_temperature&timeout=50ms", 503, "timeout", ""},
		{"a failure", Options{Source: failing{one}}, "query?query=sensor_temperature", 500, "internal", "input/output error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.o)
			status, a := get(t, fmt.Sprintf("%s%s/api/v1/%s&time=%d", s.URL, Prefix, strings.Replace(c.request, "labels", "labels?", 1), day0/1000+1000))
			require.Equal(t, c.status, status, a.Error)
			require.Equal(t, c.kind, a.ErrorType)
			require.Contains(t, a.Error, c.text)
		})
	}
}

// visit returns the status of an answer. It is for goroutines beside that of the test.
func visit(ctx context.Context, address string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// TestQueriesWaitForTheirTurn: one runs, one waits, a third is refused at once; and those that gave up make
// room.
func TestQueriesWaitForTheirTurn(t *testing.T) {
	source := slow{fake{{sensor: "temperature", device: "d1"}}, make(chan struct{}, 9)}
	api := New(Options{Source: source, Concurrent: 1, Waiting: 1, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	address := s.URL + Prefix + "/api/v1/query?query="
	first, stop := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := visit(first, address+"sensor_temperature")
		gone <- err
	}()
	<-source.asked
	status, a := get(t, address+"1&timeout=20ms")
	require.Equal(t, 503, status)
	require.Equal(t, "timeout", a.ErrorType)
	require.Contains(t, a.Error, "waited too long for the 1 that are running")

	waiting := make(chan int, 1)
	go func() {
		status, _ := visit(t.Context(), address+"1")
		waiting <- status
	}()
	require.Eventually(t, func() bool { return len(api.queue) == 2 }, time.Minute, time.Millisecond)
	status, a = get(t, address+"2")
	require.Equal(t, 503, status)
	require.Equal(t, "unavailable", a.ErrorType)
	require.Contains(t, a.Error, "2 queries are running or waiting")
	stop()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.Equal(t, 200, <-waiting)
}
