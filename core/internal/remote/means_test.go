//go:build engines

package remote_test

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/core/internal/remote"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/enginetest"
)

// summed are the values of one device, sensor and step.
type summed struct{ n, sum, lowest, highest float64 }

// meansOf works out from the log what a building's series has to be, in steps of a width: of all devices
// the mean of their means.
func meansOf(log []archive.Reading, building, sensor, unit string, from, to, step int64) (times []int64, c history.Column) {
	type cell struct {
		device string
		at     int64
	}
	seen := make(map[cell]bool)
	cells := make(map[cell]summed)
	for i := range log {
		r := &log[i]
		if r.Building != building || r.At < from || r.At > to || seen[cell{r.Device, r.At}] {
			continue
		}
		seen[cell{r.Device, r.At}] = true
		for _, x := range r.Sensors {
			if x.Name != sensor || x.Unit != unit || x.Kind == telemetry.Text {
				continue
			}
			id := cell{r.Device, r.At / step * step}
			s, some := cells[id]
			if !some {
				s.lowest, s.highest = x.Number, x.Number
			}
			s.n, s.sum = s.n+1, s.sum+x.Number
			s.lowest, s.highest = min(s.lowest, x.Number), max(s.highest, x.Number)
			cells[id] = s
		}
	}
	steps := make(map[int64]summed)
	for id, s := range cells {
		all, some := steps[id.at]
		if !some {
			all.lowest, all.highest = s.lowest, s.highest
		}
		all.n, all.sum = all.n+1, all.sum+s.sum/s.n
		all.lowest, all.highest = min(all.lowest, s.lowest), max(all.highest, s.highest)
		steps[id.at] = all
	}
	for _, at := range slices.SortedFunc(maps.Keys(steps), cmp.Compare[int64]) {
		s := steps[at]
		times = append(times, at)
		c.N, c.Mean = append(c.N, int64(s.n)), append(c.Mean, s.sum/s.n)
		c.Min, c.Max = append(c.Min, s.lowest), append(c.Max, s.highest)
	}
	return times, c
}

// TestBuildingsHaveTheMeansOfTheirDevices compares with the log, and with the archive, whose means are
// weighted by time: of a device with regular readings they are nearly the same.
func TestBuildingsHaveTheMeansOfTheirDevices(t *testing.T) {
	log := readings()
	// A second device of the same sensor, with few readings and other values.
	for at := origin; at < origin+day; at += 300_000 {
		log = append(log, archive.Reading{Device: "slow", Building: "A", At: at + 11, Sensors: telemetry.Sensors{{Name: "temperature", Number: 80, Unit: "°C"}}})
	}
	a := newArchive(t, log)
	for _, kind := range []string{remote.VictoriaMetrics, remote.InfluxDB} {
		t.Run(kind, func(t *testing.T) {
			e := enginetest.Start(t, kind)
			k := newKeeper(t, e, remote.Options{})
			fill(t, e, k, log)
			for name, q := range map[string]history.Query{
				"an hour":     {From: origin + day/2 + 123_456, To: origin + day/2 + 3_723_456, Points: 1000},
				"all days":    {From: origin, To: origin + days*day, Points: 500},
				"odd borders": {From: origin + 1_000_001, To: origin + day + 7, Step: 3_600_000},
			} {
				t.Run(name, func(t *testing.T) {
					q.Buildings = []string{"A", "B", "Haus, 1 = Süd\\", "O'Brien"}
					require.NoError(t, q.Check())
					got, err := k.Series(t.Context(), &q)
					require.NoError(t, err)
					require.Len(t, got.Series, len(q.Buildings))
					step := q.Step
					if step == 0 { // whole times ten minutes
						step = (history.StepFor(q.From, q.To, q.Points) + 599_999) / 600_000 * 600_000
					}
					for i, want := range []struct {
						building, sensor, unit string
						begins                 int64
					}{{"A", "temperature", "°C", origin}, {"B", "flow", "m³/h", origin + day}, {"Haus, 1 = Süd\\", "pressure", "m³/h, a=b\\", 0}} {
						s := got.Series[i]
						require.Equal(t, want.building, s.Building)
						require.Equal(t, step, s.StepMS)
						if want.begins != 0 {
							require.Equal(t, want.begins, s.Begins)
						}
						times, c := meansOf(log, want.building, want.sensor, want.unit, q.From, q.To, step)
						column := s.Values[want.sensor]
						if len(times) == 0 {
							require.Empty(t, column.Mean)
							continue
						}
						require.Equal(t, want.unit, column.Unit)
						require.Nil(t, column.Last)
						shown := history.Column{}
						var at []int64
						for p, v := range column.Mean { // the times are those of all sensors
							if !math.IsNaN(v) {
								at = append(at, s.Time[p])
								shown.N, shown.Mean = append(shown.N, column.N[p]), append(shown.Mean, v)
								shown.Min, shown.Max = append(shown.Min, column.Min[p]), append(shown.Max, column.Max[p])
							}
						}
						require.Equal(t, times, at, want.building)
						require.Equal(t, c.N, shown.N, want.building)
						near(t, c.Mean, shown.Mean, 1e-9, want.building+" mean")
						near(t, c.Min, shown.Min, exact, want.building+" min")
						near(t, c.Max, shown.Max, exact, want.building+" max")
					}
					require.Empty(t, got.Series[3].Time, "a building without devices")
				})
			}
			t.Run("like the archive", func(t *testing.T) {
				q := history.Query{Buildings: []string{"A"}, From: origin + day/2, To: origin + day/2 + 6*3_600_000 - 1, Points: 1000, Parameters: []string{"temperature"}}
				want, err := a.Series(t.Context(), &history.Query{Buildings: q.Buildings, From: q.From, To: q.To, Step: 600_000, Parameters: q.Parameters})
				require.NoError(t, err)
				got, err := k.Series(t.Context(), &q)
				require.NoError(t, err)
				w, g := want.Series[0], got.Series[0]
				require.Equal(t, w.Time, g.Time)
				require.Equal(t, w.Values["temperature"].N, g.Values["temperature"].N)
				for i, mean := range w.Values["temperature"].Mean {
					assert.InDelta(t, mean, g.Values["temperature"].Mean[i], 0.5, "at %d", w.Time[i])
				}
			})
		})
	}
}
