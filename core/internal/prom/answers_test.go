package prom

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	"github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

// client returns Prometheus' own client of a server.
func client(tb testing.TB, address string) v1.API {
	tb.Helper()
	return clientAt(tb, address+Prefix)
}

func clientAt(tb testing.TB, address string) v1.API {
	tb.Helper()
	t := &http.Transport{}
	tb.Cleanup(t.CloseIdleConnections)
	c, err := api.NewClient(api.Config{Address: address, RoundTripper: t})
	require.NoError(tb, err)
	return v1.NewAPI(c)
}

// window returns the values of a course behind one time up to another.
func (c *course) window(after, to int64) (out []float64) {
	for _, s := range c.samples {
		if s.at > after && s.at <= to {
			out = append(out, s.v)
		}
	}
	return out
}

func sum(values []float64) (s float64) {
	for _, v := range values {
		s += v
	}
	return s
}

// overTime are functions of the values in a window.
var overTime = map[string]func(values []float64) float64{
	"avg_over_time":   func(v []float64) float64 { return sum(v) / float64(len(v)) },
	"min_over_time":   slices.Min[[]float64],
	"max_over_time":   slices.Max[[]float64],
	"count_over_time": func(v []float64) float64 { return float64(len(v)) },
	"sum_over_time":   sum,
	"last_over_time":  func(v []float64) float64 { return v[len(v)-1] },
	"changes": func(v []float64) (n float64) {
		for i := 1; i < len(v); i++ {
			if v[i] != v[i-1] {
				n++
			}
		}
		return n
	},
}

// TestAnswersAreThoseOfTheReadings compares answers with a plain calculation from what was sent.
func TestAnswersAreThoseOfTheReadings(t *testing.T) {
	p := newPlant(t, 9)
	c := client(t, serve(t, Options{Source: p.archive}).URL)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		at := day0 + r.Int64N(3*dayMS)
		width := []time.Duration{time.Minute, 15 * time.Minute, 7 * time.Hour, 26 * time.Hour}[r.IntN(4)]
		sensor := []string{"temperature", "on", "energy"}[r.IntN(3)]
		for name, f := range overTime {
			want := make(map[string]float64)
			for _, x := range p.courses {
				if v := x.window(at-width.Milliseconds(), at); x.sensor == sensor && len(v) > 0 {
					want[x.device] = f(v)
				}
			}
			query := fmt.Sprintf("%s(sensor_%s[%s])", name, sensor, model.Duration(width))
			equal(t, want, ask(t, c, query, at, "device"), "%s @ %d", query, at)
		}
	}
	for range 10 { // the newest value of each device within 15 minutes
		at := day0 + r.Int64N(3*dayMS)
		sums, counts := make(map[string]float64), make(map[string]float64)
		for _, x := range p.courses {
			if v := x.window(at-usualLookback.Milliseconds(), at); x.sensor == "temperature" && len(v) > 0 {
				sums[x.building] += v[len(v)-1]
				counts[x.building]++
			}
		}
		equal(t, sums, ask(t, c, "sum by (building) (sensor_temperature)", at, "building"), "@ %d", at)
		equal(t, counts, ask(t, c, `count by (building) ({__name__=~"sensor_temp.*",unit="°C"})`, at, "building"), "@ %d", at)
	}
}

// TestRateOfAConstantRise: whatever the engine extrapolates, the rate of what rises evenly is its slope.
func TestRateOfAConstantRise(t *testing.T) {
	energy := &course{sensor: "energy", device: "d"}
	for i := range int64(20_000) {
		energy.samples = append(energy.samples, sample{day0 + i*10_000, 5 * float64(i)})
	}
	c := client(t, serve(t, Options{Source: fake{energy}}).URL)
	for _, at := range []int64{day0 + 3_600_000, day0 + dayMS, day0 + 2*dayMS} {
		equal(t, map[string]float64{"d": 0.5}, ask(t, c, "rate(sensor_energy[10m])", at, "device"), "@ %d", at)
		equal(t, map[string]float64{"d": 1800}, ask(t, c, "increase(sensor_energy[1h])", at, "device"), "@ %d", at)
	}
}

func ask(tb testing.TB, c v1.API, query string, at int64, by model.LabelName) map[string]float64 {
	tb.Helper()
	v, _, _, err := c.Query(tb.Context(), query, time.UnixMilli(at))
	require.NoError(tb, err, query)
	vector, ok := v.(model.Vector)
	require.True(tb, ok)
	out := make(map[string]float64)
	for _, s := range vector {
		out[string(s.Metric[by])] = float64(s.Value)
	}
	require.Len(tb, out, len(vector))
	return out
}

// equal allows for sums that were added up in another order.
func equal(tb testing.TB, want, got map[string]float64, format string, args ...any) {
	tb.Helper()
	text := fmt.Sprintf(format, args...)
	require.Equal(tb, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), text)
	for k, v := range want {
		require.InDelta(tb, v, got[k], 1e-9*max(1, math.Abs(v)), "%s of %s", text, k)
	}
}

// TestRangesAreTheirInstants: each point of a range is the answer at its time.
func TestRangesAreTheirInstants(t *testing.T) {
	p := newPlant(t, 6)
	c := client(t, serve(t, Options{Source: p.archive}).URL)
	for _, query := range []string{
		"sensor_temperature", "avg by (building) (sensor_temperature)", "avg_over_time(sensor_temperature[3h])", "sensor_energy offset 1d",
		"rate(sensor_energy[1h])", "max_over_time(avg by (building) (sensor_temperature)[2h:10m])", "sensor_temperature @ end() - sensor_temperature",
	} {
		v, _, _, err := c.QueryRange(t.Context(), query, v1.Range{Start: time.UnixMilli(day0 + 11_111_111), End: time.UnixMilli(day0 + 2*dayMS), Step: 97 * time.Minute})
		require.NoError(t, err)
		matrix, ok := v.(model.Matrix)
		require.True(t, ok)
		require.NotEmpty(t, matrix, query)
		if query == "sensor_temperature @ end() - sensor_temperature" {
			continue // the end of an instant is another
		}
		got := make(map[int64]map[string]float64)
		for _, s := range matrix {
			for _, x := range s.Values {
				at := x.Timestamp.UnixNano() / 1e6
				if got[at] == nil {
					got[at] = make(map[string]float64)
				}
				got[at][s.Metric.String()] = float64(x.Value)
			}
		}
		for at := day0 + 11_111_111; at <= day0+2*dayMS; at += 97 * 60_000 {
			v, _, _, err := c.Query(t.Context(), query, time.UnixMilli(at))
			require.NoError(t, err)
			vector, ok := v.(model.Vector)
			require.True(t, ok)
			want := make(map[string]float64)
			for _, s := range vector {
				want[s.Metric.String()] = float64(s.Value)
			}
			require.Len(t, got[at], len(want), "%s @ %d", query, at)
			for k, x := range want {
				require.InDelta(t, x, got[at][k], 1e-9*max(1, math.Abs(x)), "%s @ %d of %s", query, at, k)
			}
		}
	}
}

// TestCursorIsAnIterator: whatever the order of calls, it is where the interface says.
func TestCursorIsAnIterator(t *testing.T) {
	p := newPlant(t, 4)
	r := rand.New(rand.NewPCG(5, 6))
	for _, x := range p.courses {
		entries, err := p.archive.Entries(t.Context(), x.sensor, x.device)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		for range 20 {
			from := day0 + r.Int64N(3*dayMS)
			to := from + r.Int64N(2*dayMS)
			c := &cursor{ctx: t.Context(), source: p.archive, entry: &entries[0], next: from, to: to, at: -1}
			var want []sample
			for _, s := range x.samples {
				if s.at >= from && s.at <= to {
					want = append(want, s)
				}
			}
			for i, at := -1, from-dayMS/4; i < len(want); {
				var got chunkenc.ValueType
				if r.IntN(2) == 0 {
					got = c.Next()
					i++
				} else {
					at += r.Int64N(dayMS / 4)
					got = c.Seek(at)
					i = max(i, 0)
					for i < len(want) && want[i].at < at {
						i++
					}
				}
				if i >= len(want) {
					require.Equal(t, chunkenc.ValNone, got)
					require.Equal(t, chunkenc.ValNone, c.Next(), "it stays at the end")
					require.NoError(t, c.Err())
					break
				}
				require.Equal(t, chunkenc.ValFloat, got)
				ms, v := c.At()
				require.Equal(t, want[i].at, ms)
				require.InDelta(t, want[i].v, v, 0)
				require.Equal(t, ms, c.AtT())
			}
		}
	}
}
