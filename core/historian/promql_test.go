package historian

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	"github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/remote"
	"industrial-iot-monitor/internal/kafkatest"
)

// TestHistoryAnswersPromQL from Kafka to Prometheus' own client.
func TestHistoryAnswersPromQL(t *testing.T) {
	p := newPlant(t)
	p.send("d1", 5, 20)
	fahrenheit := fmt.Sprintf(`{"device_id":"d2","timestamp":%d,"location":{"building":"B","floor":-1,"room":"x"},"device_info":{"model":"TH-1"},"sensors":{"temperature":{"value":212,"unit":"°F"}}}`, p.now)
	kafkatest.Produce(t, p.brokers, p.topics.DeviceData, -1, kafkatest.Record{Key: []byte("d2"), Value: []byte(fahrenheit), Timestamp: time.UnixMilli(p.now)})
	r := p.start(t.TempDir())
	r.series(p, "d1", 5)
	r.series(p, "d2", 1)
	c, err := api.NewClient(api.Config{Address: "http://" + r.Addr() + "/prom", Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	require.NoError(t, err)
	prom := v1.NewAPI(c)
	at := time.UnixMilli(p.now)
	v, _, _, err := prom.Query(t.Context(), "sensor_temperature", at)
	require.NoError(t, err)
	vector, ok := v.(model.Vector)
	require.True(t, ok)
	got := make(map[string]float64)
	for _, s := range vector {
		got[s.Metric.String()] = float64(s.Value)
	}
	require.Equal(t, map[string]float64{
		`sensor_temperature{building="A栋", device="d1", floor="1", room="1", unit="°C"}`:               24,
		`sensor_temperature{building="B", device="d2", floor="-1", model="TH-1", room="x", unit="°C"}`: 100,
	}, got)
	v, _, _, err = prom.Query(t.Context(), `sum by (building) (avg_over_time(sensor_temperature[1m])) and on(building) sensor_on == 1`, at)
	require.NoError(t, err)
	require.Len(t, v, 1)
	require.InDelta(t, 22, float64(v.(model.Vector)[0].Value), 1e-9) //nolint:errcheck,forcetypeassert // it has a length
}

// ask returns the status and the error of a query.
func (r *running) ask(query string) (status int, kind, text string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.Addr()+"/prom/api/v1/query?query="+url.QueryEscape(query), http.NoBody)
	require.NoError(r.t, err)
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	var a struct {
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
	}
	require.NoError(r.t, json.NewDecoder(resp.Body).Decode(&a))
	return resp.StatusCode, a.ErrorType, a.Error
}

// TestRefusedHistorianAnswersNoPromQL: another one has the readings.
func TestRefusedHistorianAnswersNoPromQL(t *testing.T) {
	p := newPlant(t)
	p.send("d1", 1, 0)
	p.start(t.TempDir()).series(p, "d1", 1)
	second := p.start(t.TempDir())
	var kind, text string
	require.Eventually(t, func() bool {
		status, k, message := second.ask("1")
		kind, text = k, message
		return status == http.StatusServiceUnavailable
	}, waitTimeout, often)
	require.Equal(t, "unavailable", kind)
	require.Contains(t, text, "Set HISTORY=off for this core")
}

// TestEngineElsewhereIsNamed: it is asked there, not here.
func TestEngineElsewhereIsNamed(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    string
		url     string
		readURL string
		want    string
	}{
		{"VictoriaMetrics", remote.VictoriaMetrics, "http://name:secret@127.0.0.1:8428", "", "in VictoriaMetrics at http://127.0.0.1:8428, which answers PromQL itself"},
		{"VictoriaMetrics as a cluster", remote.VictoriaMetrics, "http://127.0.0.1:8480/insert/0/influx", "http://127.0.0.1:8481/select/0/prometheus", "at http://127.0.0.1:8481/select/0/prometheus,"},
		{"InfluxDB", remote.InfluxDB, "http://127.0.0.1:8086?db=plant", "", "InfluxDB at http://127.0.0.1:8086?db=plant, which answers no PromQL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlant(t)
			o, text := p.options("unused")
			o.Config.Mode, o.Config.URL, o.Config.ReadURL, o.Letters = c.mode, c.url, c.readURL, p.topics.Specs().DeadLetters
			status, kind, message := p.run(o, text).ask("sensor_temperature")
			require.Equal(t, http.StatusUnprocessableEntity, status)
			require.Equal(t, "execution", kind)
			require.Contains(t, message, c.want)
			require.NotContains(t, message, "secret")
		})
	}
}
