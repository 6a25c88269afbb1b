package samples

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

var fields = []Field{
	{Name: telemetry.Temperature, Unit: "°C"},
	{Name: telemetry.Humidity, Unit: "%"},
	{Name: telemetry.Pressure, Unit: "hPa"},
	{Name: telemetry.Current, Unit: "A"},
	{Name: telemetry.SwitchStatus, Kind: telemetry.Bool},
}

// walk returns n readings of an ordinary device: every 5 s with a jitter, values to one or two
// decimals that change little.
func walk(seed uint64, n int) *Block {
	r := rand.New(rand.NewPCG(seed, 1))
	b := new(Block)
	at := int64(1_790_000_000_000) + r.Int64N(5000)
	t, h, p, c, on := 25.0, 60.0, 1013.0, 2.0, true
	to := func(v, scale float64) float64 { return math.Round(v*scale) / scale }
	for range n {
		at += 5000 + r.Int64N(7) - 3
		t += r.NormFloat64() * 0.1
		h += r.NormFloat64() * 0.2
		p += r.NormFloat64() * 0.05
		c += r.NormFloat64() * 0.02
		on = on != (r.IntN(200) == 0)
		b.Append(at, telemetry.Sensors{
			{Name: fields[0].Name, Unit: fields[0].Unit, Number: to(t, 10)},
			{Name: fields[1].Name, Unit: fields[1].Unit, Number: to(h, 10)},
			{Name: fields[2].Name, Unit: fields[2].Unit, Number: to(p, 10)},
			{Name: fields[3].Name, Unit: fields[3].Unit, Number: to(c, 100)},
			telemetry.Switch(fields[4].Name, on),
		})
	}
	return b
}

func coders(tb testing.TB) (*Encoder, *Decoder) {
	tb.Helper()
	e, err := NewEncoder()
	require.NoError(tb, err)
	d, err := NewDecoder()
	require.NoError(tb, err)
	return e, d
}

func (b *Block) fields() []Field {
	out := make([]Field, len(b.Columns))
	for i := range b.Columns {
		out[i] = b.Columns[i].Field
	}
	return out
}

// TestEveryValueComesBack: any values in any order, also those that no sensor sends.
func TestEveryValueComesBack(t *testing.T) {
	e, d := coders(t)
	r := rand.New(rand.NewPCG(7, 7))
	got := new(Block)
	for range 2000 {
		want := anyBlock(r)
		n := want.Len()
		require.Equal(t, n, want.Sort()+want.Len())
		require.NoError(t, d.Decode(e.Append(nil, want), want.fields(), nil, got))
		requireSame(t, want, got)
	}
}

func anyBlock(r *rand.Rand) *Block {
	kinds := []Field{{Name: "a"}, {Name: "b", Unit: "K"}, {Name: "c", Kind: telemetry.Bool}, {Name: "d", Kind: telemetry.Text}}
	number := []func() float64{
		func() float64 { return float64(r.IntN(200_000)-100_000) / 100 },
		func() float64 { return r.NormFloat64() * math.Pow10(r.IntN(600)-300) },
		func() float64 { return float64(r.Int64N(1<<54) - 1<<53) },
		func() float64 { return math.Copysign(0, -1) },
		func() float64 { return math.MaxFloat64 },
	}
	usual := r.IntN(len(number))
	b := new(Block)
	for range 1 + r.IntN(80) {
		var s telemetry.Sensors
		for _, f := range kinds {
			if r.IntN(3) == 0 {
				continue
			}
			x := telemetry.Sensor{Name: f.Name, Unit: f.Unit, Kind: f.Kind}
			switch k := usual; f.Kind {
			case telemetry.Text:
				x.Text = []string{"run", "stop", "停", "x"}[r.IntN(4)]
			case telemetry.Bool:
				x.Number = float64(r.IntN(2))
			default:
				if r.IntN(100) == 0 {
					k = r.IntN(len(number))
				}
				x.Number = number[k]()
			}
			s = append(s, x)
		}
		b.Append(r.Int64N(1+r.Int64N(telemetry.MaxTimestamp)), s)
	}
	return b
}

func requireSame(t *testing.T, want, got *Block) {
	t.Helper()
	require.Equal(t, want.Times, got.Times)
	require.Len(t, got.Columns, len(want.Columns))
	for i := range want.Columns {
		w, g := &want.Columns[i], &got.Columns[i]
		require.Equal(t, w.Field, g.Field)
		if w.Kind == telemetry.Text {
			require.Equal(t, w.Texts, g.Texts)
			continue
		}
		require.Len(t, g.Numbers, len(w.Numbers))
		for k := range w.Numbers {
			require.Equal(t, math.Float64bits(w.Numbers[k]), math.Float64bits(g.Numbers[k]), "%v, %v", w.Numbers[k], g.Numbers[k])
		}
	}
}

func TestRepetitionsCountOnce(t *testing.T) {
	b := new(Block)
	for _, x := range []struct {
		at    int64
		value float64
	}{{5, 50}, {3, 30}, {5, 51}, {4, 40}, {3, 30}} {
		b.Append(x.at, telemetry.Sensors{{Name: "a", Number: x.value}})
	}
	require.Equal(t, 2, b.Sort())
	require.Equal(t, []int64{3, 4, 5}, b.Times)
	require.Equal(t, []float64{30, 40, 50}, b.Columns[0].Numbers, "the first one stays")
	require.Zero(t, b.Sort())
}

func TestMergeKeepsGaps(t *testing.T) {
	a, b := new(Block), new(Block)
	a.Append(2, telemetry.Sensors{{Name: "x", Number: 2}})
	b.Append(1, telemetry.Sensors{{Name: "y", Number: 1}, {Name: "x", Unit: "K", Number: 9}})
	a.Merge(b)
	a.Sort()
	require.Equal(t, []int64{1, 2}, a.Times)
	require.Len(t, a.Columns, 3)
	require.True(t, math.IsNaN(a.Columns[0].Numbers[0]))
	require.InDelta(t, 1, a.Columns[1].Numbers[0], 0)
	require.True(t, math.IsNaN(a.Columns[2].Numbers[1]))
}

func TestOnlyWantedColumnsAreDecoded(t *testing.T) {
	e, d := coders(t)
	b := walk(1, 100)
	got := new(Block)
	require.NoError(t, d.Decode(e.Append(nil, b), fields, func(f Field) bool { return f.Name == telemetry.Pressure }, got))
	require.Len(t, got.Columns, 1)
	require.Equal(t, b.Columns[2].Numbers, got.Columns[0].Numbers)
	require.Equal(t, b.Times, got.Times)
}

// FuzzDecode: no bytes make it fail otherwise than with ErrDamaged, or take unbounded memory.
func FuzzDecode(f *testing.F) {
	e, d := coders(f)
	f.Add(e.Append(nil, walk(1, 60)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := new(Block)
		if err := d.Decode(data, fields, nil, b); err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		for i := range b.Columns {
			require.Len(t, b.Columns[i].Numbers, b.Len())
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for name, n := range map[string]int{"60": 60, "1440": 1440} {
		b.Run(name, func(b *testing.B) {
			e, _ := coders(b)
			block := walk(1, n)
			var out []byte
			for b.Loop() {
				out = e.Append(out[:0], block)
			}
			samples := float64(n * len(fields))
			b.ReportMetric(float64(len(out))/samples, "B/value")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/samples, "ns/value")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	e, d := coders(b)
	const n = 1440
	data := e.Append(nil, walk(1, n))
	out := new(Block)
	for name, want := range map[string]func(Field) bool{"all": nil, "one": func(f Field) bool { return f == fields[0] }} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := d.Decode(data, fields, want, out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/reading")
		})
	}
}
