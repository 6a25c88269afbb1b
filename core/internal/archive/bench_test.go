package archive

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// machine is a device of a benchmark: five sensors that change slowly, as sim's do.
type machine struct {
	id     string
	values [4]float64
	on     bool
	r      *rand.Rand
}

func machines(n int) []*machine {
	out := make([]*machine, n)
	for i := range out {
		out[i] = &machine{fmt.Sprintf("device_%05d", i), [4]float64{25, 60, 1013, 2}, true, rand.New(rand.NewPCG(uint64(i), 9))}
	}
	return out
}

var bench = telemetry.Sensors{
	{Name: telemetry.Temperature, Unit: "°C"},
	{Name: telemetry.Humidity, Unit: "%"},
	{Name: telemetry.Pressure, Unit: "hPa"},
	{Name: telemetry.Current, Unit: "A"},
	{Name: telemetry.SwitchStatus, Kind: telemetry.Bool},
}

// reading returns the next reading, whose sensors are those of the next call.
func (m *machine) reading(at int64, sensors telemetry.Sensors) *Reading {
	copy(sensors, bench)
	for i, scale := range [4]float64{10, 10, 10, 100} {
		m.values[i] += m.r.NormFloat64() / scale
		sensors[i].Number = math.Round(m.values[i]*scale) / scale
	}
	if m.on = m.on != (m.r.IntN(200) == 0); m.on {
		sensors[4].Number = 1
	}
	return &Reading{Device: m.id, Building: "A", At: at + m.r.Int64N(7), Sensors: sensors}
}

// BenchmarkWriting has the cost of a reading of five sensors, from memory to synced files, of 10,000
// devices that send every second; and the bytes of a value before compaction and after it.
func BenchmarkWriting(b *testing.B) {
	c := &clock{day0}
	a := open(b, options(b.TempDir(), c))
	h := head(b, a, 0)
	all, sensors := machines(10_000), make(telemetry.Sensors, 5)
	b.ReportAllocs()
	n := 0
	for range b.N {
		m := all[n%len(all)]
		if n++; n%len(all) == 0 {
			c.ms += 1000
		}
		if err := h.Append(h.Next(), m.reading(c.ms, sensors)); err != nil {
			b.Fatal(err)
		}
		if h.Due() {
			if err := h.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	require.NoError(b, h.Flush(b.Context()))
	b.StopTimer()
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.HeapInuse)/1e6, "MB-heap")
	b.ReportMetric(float64(a.size())/float64(5*n), "B/value")
	c.ms += 2 * dayMS
	a.Tidy(b.Context())
	b.ReportMetric(float64(a.size())/float64(5*n), "B/value-compacted")
}

// month fills 30 days of some devices that send every 5 s.
func month(b *testing.B, devices int) (Options, *clock) {
	b.Helper()
	c := &clock{day0}
	o := options(b.TempDir(), c)
	a := open(b, o)
	h := head(b, a, 0)
	all, sensors := machines(devices), make(telemetry.Sensors, 5)
	for c.ms < day0+30*dayMS {
		for _, m := range all {
			require.NoError(b, h.Append(h.Next(), m.reading(c.ms, sensors)))
		}
		c.ms += 5000
		if h.Due() {
			require.NoError(b, h.Flush(b.Context()))
		}
		if c.ms%dayMS == settled.Milliseconds()+60_000 {
			a.Tidy(b.Context())
		}
	}
	require.NoError(b, h.Flush(b.Context()))
	require.NoError(b, a.Close())
	return o, c
}

// BenchmarkAsking has the time of an answer of up to 1,000 points, with files just opened (cold, though
// the system may have them in memory) and open (warm).
func BenchmarkAsking(b *testing.B) {
	o, c := month(b, 20)
	five := []string{"device_00000", "device_00001", "device_00002", "device_00003", "device_00004"}
	for _, q := range []struct {
		name string
		history.Query
	}{
		{"device, 30 days", history.Query{Devices: five[:1], From: c.ms - 30*dayMS, To: c.ms - 1, Points: 1000, Parameters: []string{"temperature"}}},
		{"device, 30 days, all sensors", history.Query{Devices: five[:1], From: c.ms - 30*dayMS, To: c.ms - 1, Points: 1000}},
		{"five devices, 1 day", history.Query{Devices: five, From: c.ms - dayMS, To: c.ms - 1, Points: 1000, Parameters: []string{"temperature"}}},
		{"building, 30 days", history.Query{Buildings: []string{"A"}, From: c.ms - 30*dayMS, To: c.ms - 1, Points: 1000, Parameters: []string{"temperature"}}},
	} {
		b.Run(q.name+"/cold", func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				a := open(b, o)
				b.StartTimer()
				ask(b, a, &q.Query)
				b.StopTimer()
				require.NoError(b, a.Close())
				b.StartTimer()
			}
		})
		b.Run(q.name+"/warm", func(b *testing.B) {
			a := open(b, o)
			ask(b, a, &q.Query)
			b.ResetTimer()
			for range b.N {
				ask(b, a, &q.Query)
			}
			require.NoError(b, a.Close())
		})
	}
}

func ask(b *testing.B, a *Archive, q *history.Query) {
	b.Helper()
	answer, err := a.Series(b.Context(), q)
	require.NoError(b, err)
	require.Greater(b, len(answer.Series[0].Time), 500)
}

// BenchmarkFirstFlush has the cost of a device that the archive meets for the first time, in a flush of
// 8,000 such devices with five sensors.
func BenchmarkFirstFlush(b *testing.B) {
	all, sensors := machines(8000), make(telemetry.Sensors, 5)
	for range b.N {
		b.StopTimer()
		c := &clock{day0}
		a := open(b, options(b.TempDir(), c))
		h := head(b, a, 0)
		for _, m := range all {
			require.NoError(b, h.Append(h.Next(), m.reading(c.ms, sensors)))
		}
		b.StartTimer()
		require.NoError(b, h.Flush(b.Context()))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(all)), "µs/device")
}
