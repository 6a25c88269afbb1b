package prom

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/internal/telemetry"
)

// filled returns an archive of some devices of five sensors that sent every so many ms for some days, the
// last of which is not over.
func filled(b *testing.B, devices, days int, every int64) *archive.Archive {
	b.Helper()
	now := day0
	a, err := archive.Open(archive.Options{
		Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Now: func() time.Time { return time.UnixMilli(now) },
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, a.Close()) })
	h, err := a.Head(b.Context(), 0)
	require.NoError(b, err)
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, devices)
	for ; now < day0+int64(days)*dayMS; now += every {
		for d := range devices {
			values[d] = math.Round(values[d]*10+r.NormFloat64()) / 10
			v := values[d]
			require.NoError(b, h.Append(h.Next(), &archive.Reading{
				Device: fmt.Sprintf("device_%05d", d), Building: string(rune('A' + d%5)), Floor: d % 3, Room: "1", Model: "M", At: now + r.Int64N(7),
				Sensors: telemetry.Sensors{
					{Name: "temperature", Number: v, Unit: "°C"},
					{Name: "humidity", Number: 50 - v, Unit: "%"},
					{Name: "pressure", Number: 1000 + v, Unit: "hPa"},
					{Name: "current", Number: 2 * v, Unit: "A"},
					{Name: "on", Kind: telemetry.Bool, Number: float64(d % 2)},
				},
			}))
		}
		if h.Due() {
			require.NoError(b, h.Flush(b.Context()))
		}
		if now%dayMS == 16*60_000 {
			a.Tidy(b.Context())
		}
	}
	require.NoError(b, h.Flush(b.Context()))
	return a
}

// BenchmarkQueries has the time of an answer over HTTP, encoding included.
func BenchmarkQueries(b *testing.B) {
	for _, p := range []struct {
		name          string
		devices, days int
		every         int64
		queries       map[string]string // with START, END and HOUR, an hour before END
	}{
		{"20 devices every 5 s, 30 days", 20, 30, 5000, map[string]string{
			"device, 30 days, 1000 points":                 "query_range?query=sensor_temperature{device=\"device_00000\"}&start=START&end=END&step=2592",
			"hourly mean of a device, 30 days, 720 points": "query_range?query=avg_over_time(sensor_temperature{device=\"device_00000\"}[1h])&start=START&end=END&step=3600",
		}},
		{"1000 devices every 10 s, 1 day", 1000, 1, 10_000, map[string]string{
			"newest of all":                          "query?query=sensor_temperature&time=END",
			"means of buildings, 1 day, 288 points":  "query_range?query=avg by (building) (sensor_temperature)&start=START&end=END&step=300",
			"names of metrics":                       "label/__name__/values?start=START&end=END",
			"means of buildings, 1 hour, 240 points": "query_range?query=avg by (building) (sensor_temperature)&start=HOUR&end=END&step=15",
		}},
	} {
		b.Run(p.name, func(b *testing.B) {
			a := filled(b, p.devices, p.days, p.every)
			api := New(Options{Source: a, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
			now := day0/1000 + int64(p.days)*86400
			for name, q := range p.queries {
				b.Run(name, func(b *testing.B) {
					text := strings.NewReplacer("START", fmt.Sprint(now-int64(p.days)*86400), "END", fmt.Sprint(now), "HOUR", fmt.Sprint(now-3600)).Replace(q)
					u, err := url.Parse(Prefix + "/api/v1/" + text)
					require.NoError(b, err)
					u.RawQuery = u.Query().Encode()
					for b.Loop() {
						w := httptest.NewRecorder()
						api.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, u.String(), http.NoBody))
						require.Equal(b, http.StatusOK, w.Code, w.Body)
						require.Greater(b, w.Body.Len(), 100)
					}
				})
			}
		})
	}
}
