//go:build engines

package remote_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/core/internal/remote"
	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/enginetest"
)

const (
	day  = int64(86_400_000)
	days = 4
)

// origin is the start of the first day of readings; today is not full.
var origin = (time.Now().UnixMilli()/day - days + 1) * day

var devices = []string{"steady", "uneven", "mixed", "moved"}

// readings returns a log of devices: steady, with gaps and missing sensors, with texts and states, and
// one that changes its building and its unit.
func readings() (log []archive.Reading) {
	r := rand.New(rand.NewPCG(1, 2))
	decimals := func(v float64, n int) float64 { p := math.Pow10(n); return math.Round(v*p) / p }
	walk := 20.0
	for at := origin; at < origin+(days-1)*day+day/4; at += 20_000 {
		walk += r.Float64() - 0.5
		log = append(log, archive.Reading{Device: "steady", Building: "A", At: at + 137, Sensors: telemetry.Sensors{
			{Name: "temperature", Number: decimals(walk, 2), Unit: "°C"},
			{Name: "humidity", Number: decimals(r.Float64()*100, 1), Unit: "%"},
			{Name: "supply_temperature", Number: decimals(-walk, 1), Unit: "°C"},
			{Name: "energy", Number: float64(at-origin) / 3_600, Unit: "kWh"},
		}})
		if at/day%2 == 0 && r.IntN(4) == 0 {
			s := telemetry.Sensors{{Name: "pressure", Number: 1e-7 * r.Float64(), Unit: "m³/h, a=b\\"}}
			if r.IntN(3) == 0 {
				s = append(s, telemetry.Sensor{Name: "unit", Number: 4.2})
			}
			log = append(log, archive.Reading{Device: "uneven", Building: "Haus, 1 = Süd\\", At: at + r.Int64N(9_000), Sensors: s, ClockOffset: -7})
		}
		if at%600_000 == 0 {
			on := float64(r.IntN(2))
			log = append(log, archive.Reading{Device: "mixed", Building: "A", At: at, Sensors: telemetry.Sensors{
				{Name: "state", Kind: telemetry.Text, Text: []string{"运行, a=b", "stopped \\", "new\nline~41"}[r.IntN(3)]},
				{Name: "text", Kind: telemetry.Text, Text: "x"},
				{Name: "running", Kind: telemetry.Bool, Number: on},
				{Name: "power", Number: 1000 * on, Unit: "W"},
			}})
		}
		if at%60_000 == 0 {
			moved := archive.Reading{Device: "moved", Building: "A", At: at, Sensors: telemetry.Sensors{{Name: "flow", Number: decimals(r.Float64(), 3), Unit: "l/s"}, {Name: "valve", Number: walk, Unit: ""}}}
			if at >= origin+day+day/2 {
				moved.Building, moved.Sensors[0].Unit = "B", "m³/h"
			}
			log = append(log, moved)
		}
	}
	// A part comes late, and some twice.
	late := slices.Clone(log[len(log)/3 : len(log)/2])
	log = append(slices.Delete(log, len(log)/3, len(log)/2), late...)
	return append(log, late[:len(late)/2]...)
}

// exact is how much values may differ: VictoriaMetrics keeps about twelve digits.
const exact = 2e-12

// keeper is what is asked.
type keeper interface {
	Series(ctx context.Context, q *history.Query) (*history.Answer, error)
	Export(ctx context.Context, q *history.ExportQuery, f func(device string, b *samples.Block) error) error
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newArchive(t *testing.T, log []archive.Reading) *archive.Archive {
	t.Helper()
	a, err := archive.Open(archive.Options{Dir: t.TempDir(), Log: quiet(), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	h, err := a.Head(t.Context(), 0)
	require.NoError(t, err)
	for i := range log {
		require.NoError(t, h.Append(int64(i), &log[i]))
	}
	require.NoError(t, h.Flush(t.Context()))
	return a
}

func newKeeper(t *testing.T, e *enginetest.Engine, o remote.Options) *remote.Keeper {
	t.Helper()
	o.Engine, o.URL, o.Log, o.Registry = e.Kind, e.URL, quiet(), prometheus.NewRegistry()
	k, err := remote.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	require.NoError(t, k.Check(t.Context()))
	return k
}

func never(t *testing.T) remote.Refuse {
	t.Helper()
	return func(_ context.Context, offset int64, why string) error {
		t.Errorf("reading %d was refused: %s", offset, why)
		return nil
	}
}

func fill(t *testing.T, e *enginetest.Engine, k *remote.Keeper, log []archive.Reading) {
	t.Helper()
	h, err := k.Head(t.Context(), 0, 0, never(t))
	require.NoError(t, err)
	for i := range log {
		h.Append(int64(i), &log[i])
		if h.Due() {
			require.NoError(t, h.Flush(t.Context()))
		}
	}
	require.NoError(t, h.Flush(t.Context()))
	e.Settle(t.Context())
}

// questions are asked of every keeper.
func questions() map[string]history.Query {
	end := origin + (days-1)*day + day/4
	out := map[string]history.Query{
		"single readings":     {From: origin + day/2, To: origin + day/2 + 600_000, Points: 500},
		"an odd range":        {From: origin + 12_345_678, To: origin + 98_765_432, Points: 300},
		"within one step":     {From: origin + 1_234_567, To: origin + 1_400_000, Step: 3_600_000},
		"over one border":     {From: origin + 3_000_001, To: origin + 4_000_000, Step: 3_600_000},
		"everything":          {From: 0, To: end + day, Points: 1000},
		"minutes":             {From: origin + day, To: origin + day + day/8, Step: 60_000},
		"days":                {From: origin, To: end, Step: day},
		"whole days in hours": {From: origin, To: origin + 2*day - 1, Step: 3_600_000},
		"one sensor":          {From: origin + day/3, To: origin + day, Points: 100, Parameters: []string{"temperature", "running"}},
		"nothing":             {From: 1_000, To: 2_000, Points: 100},
	}
	for name, q := range out {
		q.Devices = append(slices.Clone(devices), "unknown")
		out[name] = q
	}
	return out
}

func near(t *testing.T, want, got history.Numbers, tolerance float64, what string) {
	t.Helper()
	if !assert.Len(t, got, len(want), what) {
		return
	}
	for i := range want {
		if math.IsNaN(want[i]) != math.IsNaN(got[i]) || math.Abs(want[i]-got[i]) > tolerance*max(1e-300, math.Abs(want[i])) {
			t.Errorf("%s[%d]: want %v, got %v", what, i, want[i], got[i])
			return
		}
	}
}

func sameAnswers(t *testing.T, want, got keeper) {
	t.Helper()
	for name, q := range questions() {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, q.Check())
			a, err := want.Series(t.Context(), &q)
			require.NoError(t, err)
			b, err := got.Series(t.Context(), &q)
			require.NoError(t, err)
			require.Len(t, b.Series, len(a.Series))
			for i := range a.Series {
				sameSeries(t, &a.Series[i], &b.Series[i])
			}
		})
	}
}

func sameSeries(t *testing.T, want, got *history.Series) {
	t.Helper()
	id := want.DeviceID
	assert.Equal(t, id, got.DeviceID)
	assert.Equal(t, want.StepMS, got.StepMS, id)
	assert.Equal(t, want.IntervalMS, got.IntervalMS, "interval of %s", id)
	assert.Equal(t, want.Begins, got.Begins, "begin of %s", id)
	if !assert.Equal(t, want.Time, got.Time, "times of %s", id) {
		return
	}
	// The archive also names sensors that have no value in the range.
	maps.DeleteFunc(want.Values, func(_ string, c history.Column) bool {
		return !slices.ContainsFunc(c.Mean, func(v float64) bool { return !math.IsNaN(v) })
	})
	for name, w := range want.Values {
		g, ok := got.Values[name]
		if !assert.True(t, ok, "%s has no %s", id, name) {
			continue
		}
		at := id + "." + name
		assert.Equal(t, w.Unit, g.Unit, at)
		assert.Equal(t, w.N, g.N, at+".n")
		near(t, w.Mean, g.Mean, 1e-9, at+".mean")
		near(t, w.Min, g.Min, exact, at+".min")
		near(t, w.Max, g.Max, exact, at+".max")
		near(t, w.Last, g.Last, exact, at+".last")
	}
	assert.Len(t, got.Values, len(want.Values), "sensors of %s", id)
}

// values are those of an export, by name, in its order but for the sensors of a reading.
type values struct {
	names   []string
	numbers history.Numbers
}

func exported(t *testing.T, k keeper, q history.ExportQuery) (out values) {
	t.Helper()
	require.NoError(t, k.Export(t.Context(), &q, func(device string, b *samples.Block) error {
		slices.SortFunc(b.Columns, func(x, y samples.Column) int { return strings.Compare(x.Name, y.Name) })
		for i, at := range b.Times {
			for _, c := range b.Columns {
				name := fmt.Sprintf("%s %d %s %q %d", device, at, c.Name, c.Unit, c.Kind)
				switch {
				case c.Kind == telemetry.Text && c.Texts[i] != "":
					out.names, out.numbers = append(out.names, name+" "+c.Texts[i]), append(out.numbers, 0)
				case c.Kind != telemetry.Text && !math.IsNaN(c.Numbers[i]):
					out.names, out.numbers = append(out.names, name), append(out.numbers, c.Numbers[i])
				}
			}
		}
		return nil
	}))
	return out
}

func TestEnginesAnswerLikeTheArchive(t *testing.T) {
	log := readings()
	a := newArchive(t, log)
	for _, kind := range []string{remote.VictoriaMetrics, remote.InfluxDB} {
		t.Run(kind, func(t *testing.T) {
			e := enginetest.Start(t, kind)
			k := newKeeper(t, e, remote.Options{})
			start := time.Now()
			fill(t, e, k, log)
			t.Logf("%d readings in %s", len(log), time.Since(start))
			sameAnswers(t, a, k)
			for name, q := range map[string]history.ExportQuery{
				"all":     {From: origin, To: origin + days*day},
				"a part":  {From: origin + day/3, To: origin + day + 777, Devices: []string{"mixed", "moved"}},
				"sensors": {From: origin, To: origin + day, Parameters: []string{"state", "unit", "energy"}},
			} {
				t.Run("export of "+name, func(t *testing.T) {
					q.Format = history.CSV
					want, got := exported(t, a, q), exported(t, k, q)
					require.NotEmpty(t, want.names)
					require.Equal(t, want.names, got.names)
					near(t, want.numbers, got.numbers, exact, "values")
				})
			}
			t.Run("read again", func(t *testing.T) {
				fill(t, e, k, log)
				sameAnswers(t, a, k)
			})
			t.Run("status", func(t *testing.T) {
				s, err := k.Status(t.Context())
				require.NoError(t, err)
				was := a.Status()
				assert.Equal(t, []int64{was.Begins, was.Newest, int64(was.Days)}, []int64{s.Begins, s.Newest, int64(s.Days)})
			})
			t.Run("clocks", func(t *testing.T) {
				h, err := k.Head(t.Context(), 0, 0, never(t))
				require.NoError(t, err)
				offset, known := h.ClockOffset("uneven")
				assert.True(t, known)
				assert.EqualValues(t, -7, offset)
				_, known = h.ClockOffset("unknown")
				assert.False(t, known)
			})
		})
	}
}

func TestEngineThatWouldCountReadingsTwiceIsRefused(t *testing.T) {
	e := enginetest.Start(t, remote.VictoriaMetrics, "-dedup.minScrapeInterval=0s")
	k, err := remote.New(remote.Options{Engine: e.Kind, URL: e.URL, Log: quiet(), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	defer func() { require.NoError(t, k.Close()) }()
	require.ErrorContains(t, k.Check(t.Context()), "-dedup.minScrapeInterval=1ms")
}
