package prom

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dayMS = 86_400_000

// day0 is the start of the first day of tests.
const day0 = int64(1_790_000_000_000) / dayMS * dayMS

// sample is one value.
type sample struct {
	at int64
	v  float64
}

// course is what was sent for one sensor of a device.
type course struct {
	sensor, device, building, unit string
	samples                        []sample
}

// plant is an archive with the readings of some devices over three days, in every state: compacted, in
// chunks, in memory; in order, and late.
type plant struct {
	archive *archive.Archive
	courses []*course
}

// machine is a device of the plant.
type machine struct {
	id, building string
	every, at    int64
	courses      [3]*course // temperature, on, energy
	energy       float64
}

func newPlant(tb testing.TB, devices int) *plant {
	tb.Helper()
	now := day0 + 3*dayMS
	a, err := archive.Open(archive.Options{
		Dir: tb.TempDir(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Now: func() time.Time { return time.UnixMilli(now) },
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, a.Close()) })
	h, err := a.Head(tb.Context(), 0)
	require.NoError(tb, err)
	p := &plant{archive: a}
	r := rand.New(rand.NewPCG(3, 4))
	var late []archive.Reading
	for i := range devices {
		m := &machine{id: fmt.Sprintf("device_%d", i), building: string(rune('A' + i%3)), every: []int64{30_000, 60_000, 300_000, 599_000}[i%4], at: day0 + r.Int64N(3_600_000)}
		for k, name := range []string{"temperature", "on", "energy"} {
			m.courses[k] = &course{sensor: name, device: m.id, building: m.building, unit: []string{"°C", "", "kWh"}[k]}
			p.courses = append(p.courses, m.courses[k])
		}
		for ; m.at < now-r.Int64N(600_000); m.at += m.every + r.Int64N(m.every/5) {
			if r.IntN(200) == 0 {
				m.at += 3_600_000 // silent for an hour
			}
			reading := m.reading(r)
			if r.IntN(50) == 0 {
				late = append(late, reading)
				continue
			}
			require.NoError(tb, h.Append(h.Next(), &reading))
		}
		switch i % 3 {
		case 0:
			require.NoError(tb, h.Flush(tb.Context()))
		case 1:
			a.Tidy(tb.Context())
		}
	}
	for i := range late {
		require.NoError(tb, h.Append(h.Next(), &late[i]))
	}
	return p
}

// reading returns the next reading.
func (m *machine) reading(r *rand.Rand) archive.Reading {
	m.energy += math.Round(r.Float64()*100) / 100
	values := [3]float64{math.Round(r.NormFloat64()*100) / 10, float64(r.IntN(2)), m.energy}
	out := archive.Reading{
		Device: m.id, Building: m.building, Floor: 2, Room: "201", Model: "M1", At: m.at,
		Sensors: telemetry.Sensors{
			{Name: "temperature", Number: values[0], Unit: "°C"},
			{Name: "on", Kind: telemetry.Bool, Number: values[1]},
			{Name: "energy", Number: values[2], Unit: "kWh"},
			{Name: "mode", Kind: telemetry.Text, Text: "auto"},
		},
	}
	if r.IntN(10) == 0 { // without its first sensor
		out.Sensors = out.Sensors[1:]
		values[0] = math.NaN()
	}
	for k, v := range values {
		if !math.IsNaN(v) {
			m.courses[k].samples = append(m.courses[k].samples, sample{m.at, v})
		}
	}
	return out
}

// serve answers over HTTP from a source.
func serve(tb testing.TB, o Options) *httptest.Server {
	tb.Helper()
	o.Log, o.Registry = slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	s := httptest.NewServer(New(o))
	tb.Cleanup(s.Close)
	return s
}

// fake is a Source of courses, which are read at once.
type fake []*course

func (f fake) Entries(_ context.Context, sensor, device string) (out []archive.Entry, err error) {
	for _, x := range f {
		if (sensor == "" || sensor == x.sensor) && (device == "" || device == x.device) {
			out = append(out, archive.Entry{Device: x.device, Building: x.building, Sensor: x.sensor, Unit: x.unit, From: 0, To: telemetry.MaxTimestamp})
		}
	}
	return out, nil
}

func (f fake) Values(_ context.Context, e *archive.Entry, from, to int64) (times []int64, values []float64, next int64, err error) {
	for _, x := range f {
		if x.sensor != e.Sensor || x.device != e.Device {
			continue
		}
		for _, s := range x.samples {
			if s.at >= from && s.at <= to {
				times, values = append(times, s.at), append(values, s.v)
			}
		}
	}
	return times, values, to + 1, nil
}
