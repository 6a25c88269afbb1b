//go:build engines

package prom

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/enginetest"
)

// openMetrics returns the values of a plant in Prometheus' format.
func (p *plant) openMetrics(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	for _, sensor := range []string{"energy", "on", "temperature"} {
		fmt.Fprintf(&out, "# TYPE sensor_%s gauge\n", sensor)
		for _, x := range p.courses {
			if x.sensor != sensor {
				continue
			}
			entries, err := p.archive.Entries(tb.Context(), x.sensor, x.device)
			require.NoError(tb, err)
			require.Len(tb, entries, 1)
			var pairs []string
			labelsOf(&entries[0]).Range(func(l labels.Label) {
				if l.Name != model.MetricNameLabel {
					pairs = append(pairs, fmt.Sprintf("%s=%q", l.Name, l.Value))
				}
			})
			for _, s := range x.samples {
				fmt.Fprintf(&out, "sensor_%s{%s} %v %d.%03d\n", sensor, strings.Join(pairs, ","), s.v, s.at/1000, s.at%1000)
			}
		}
	}
	out.WriteString("# EOF\n")
	return out.Bytes()
}

// questions are of every kind that a dashboard has, but rate and increase: Debian's Prometheus 2.42 extrapolates
// counters into gaps in another way than version 3.
var questions = []string{
	"sensor_temperature", `sensor_temperature{building!="A",device=~"device_[0-4]"}`, "avg by (building) (sensor_temperature)",
	"sum by (building) (avg_over_time(sensor_temperature[2h]))", "max_over_time(sensor_temperature[1d])", "quantile(0.9, sensor_temperature)",
	"topk(2, sensor_temperature)", "irate(sensor_energy[1h])", "idelta(sensor_energy[6h])", "resets(sensor_temperature[6h])", "deriv(sensor_temperature[2h])", "changes(sensor_on[1d])",
	"sum(sensor_on) by (building) / count(sensor_on) by (building)", "sensor_temperature > 5 and on (device) sensor_on == 1", "sensor_energy offset 1d",
	"avg_over_time(sensor_temperature[1d:5m])", "absent(sensor_nothing)", "count({unit=\"kWh\"})", "stddev_over_time(sensor_temperature[5h])",
	"label_replace(sensor_on, \"short\", \"$1\", \"device\", \"device_(.*)\")", "histogram_quantile(0.5, sensor_temperature)", "timestamp(sensor_temperature)",
}

// values returns the points of an answer by series and time.
func values(tb testing.TB, v model.Value) map[string]float64 {
	tb.Helper()
	out := make(map[string]float64)
	switch v := v.(type) {
	case model.Vector:
		for _, s := range v {
			out[s.Metric.String()] = float64(s.Value)
		}
	case model.Matrix:
		for _, s := range v {
			for _, p := range s.Values {
				out[fmt.Sprint(s.Metric, p.Timestamp)] = float64(p.Value)
			}
		}
	default:
		require.Fail(tb, "neither a vector nor a matrix")
	}
	return out
}

// TestAnswersAreThoseOfPrometheus puts the same values into a real Prometheus, and the same questions to
// both.
func TestAnswersAreThoseOfPrometheus(t *testing.T) {
	p := newPlant(t, 6)
	e := enginetest.StartPrometheus(t, p.openMetrics(t), "--query.lookback-delta=15m")
	ours, theirs := serve(t, Options{Source: p.archive}).URL, e.URL
	a, b := client(t, ours), clientAt(t, theirs)
	r := rand.New(rand.NewPCG(8, 8))
	compare := func(question string, ask func(c v1.API) (model.Value, error)) int {
		want, err := ask(b)
		require.NoError(t, err, question)
		got, err := ask(a)
		require.NoError(t, err, question)
		x, y := values(t, want), values(t, got)
		require.Len(t, y, len(x), question)
		for k, v := range x {
			require.Contains(t, y, k, question)
			require.InDelta(t, v, y[k], 1e-9*max(1, math.Abs(v)), "%s: %s", question, k)
		}
		return len(x)
	}
	points := 0
	for _, question := range questions {
		for range 5 {
			at := time.UnixMilli(day0 + r.Int64N(3*dayMS))
			points += compare(question, func(c v1.API) (model.Value, error) {
				v, _, _, err := c.Query(t.Context(), question, at)
				return v, err
			})
		}
		start := time.UnixMilli(day0 + r.Int64N(dayMS))
		points += compare(question, func(c v1.API) (model.Value, error) {
			v, _, _, err := c.QueryRange(t.Context(), question, v1.Range{Start: start, End: start.Add(30 * time.Hour), Step: 13 * time.Minute})
			return v, err
		})
	}
	require.Greater(t, points, 1000)
}

// TestPromtool: Prometheus' command line client prints of both the same.
func TestPromtool(t *testing.T) {
	p := newPlant(t, 3)
	e := enginetest.StartPrometheus(t, p.openMetrics(t), "--query.lookback-delta=15m")
	ours := serve(t, Options{Source: p.archive}).URL + Prefix
	start, at := fmt.Sprint(day0/1000+3600), fmt.Sprint(day0/1000+2*86400)
	for _, args := range [][]string{
		{"instant", "--time=" + at, "URL", "sensor_temperature"},
		{"instant", "--time=" + at, "URL", "1 + 1"},
		{"range", "--start=" + start, "--end=" + at, "--step=1h", "URL", "sensor_energy"},
		{"series", "--start=" + start, "--end=" + at, "--match=sensor_on", "--match={building=\"A\"}", "URL"},
		{"labels", "--start=" + start, "--end=" + at, "URL", "device"},
		{"labels", "URL", "__name__"},
	} {
		ask := func(url string) []string {
			list := append([]string{"query"}, args...)
			list[slices.Index(list, "URL")] = url
			lines := strings.Split(enginetest.Promtool(t, list...), "\n")
			slices.Sort(lines)
			return lines
		}
		want := ask(e.URL)
		require.Greater(t, len(want), 1)
		require.Equal(t, want, ask(ours), "%q", args)
	}
}
