package archive

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// day0 is the start of a day, and noon the time of most tests.
const (
	day0 = int64(1_790_000_000_000) / dayMS * dayMS
	noon = day0 + dayMS/2
)

// clock is the time of a test.
type clock struct{ ms int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms) }

func options(dir string, c *clock) Options {
	return Options{Dir: dir, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Now: c.now}
}

func open(tb testing.TB, o Options) *Archive {
	tb.Helper()
	o.Registry = prometheus.NewRegistry() // an archive that is opened again has metrics of its own
	a, err := Open(o)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = a.Close() }) // closed by the test, mostly
	return a
}

func head(tb testing.TB, a *Archive, partition int32) *Head {
	tb.Helper()
	h, err := a.Head(tb.Context(), partition)
	require.NoError(tb, err)
	return h
}

func number(name string, v float64) telemetry.Sensor {
	return telemetry.Sensor{Name: name, Number: v, Unit: "°C"}
}

func put(tb testing.TB, h *Head, device string, at int64, sensors ...telemetry.Sensor) {
	tb.Helper()
	require.NoError(tb, h.Append(h.Next(), &Reading{Device: device, Building: "A", At: at, Sensors: sensors}))
}

// log is a partition of device-data: what any archive must make of it is in model.
type log []Reading

type value struct {
	device string
	at     int64
	sensor string
}

// model returns each value once: of equal times of a device, the first reading.
func (l log) model() map[value]telemetry.Sensor {
	out, seen := make(map[value]telemetry.Sensor), make(map[value]bool)
	for _, r := range l {
		if id := (value{device: r.Device, at: r.At}); !seen[id] {
			seen[id] = true
			for _, s := range r.Sensors {
				out[value{r.Device, r.At, s.Name}] = s
			}
		}
	}
	return out
}

// makeLog returns readings of some devices over three days, in order, late, and repeated.
func makeLog(r *rand.Rand, n int) log {
	l := make(log, 0, n)
	at := day0 + dayMS - 3_600_000
	for range n {
		at += r.Int64N(40_000)
		x := Reading{Device: fmt.Sprintf("d%d", r.IntN(4)), Building: "A", At: at}
		switch r.IntN(20) {
		case 0:
			x.At -= r.Int64N(2 * dayMS) // late
		case 1:
			if len(l) > 0 {
				x = l[r.IntN(len(l))] // again
			}
		}
		if x.Sensors == nil {
			x.Sensors = telemetry.Sensors{number("temperature", math.Round(r.NormFloat64()*100)/10)}
			if r.IntN(3) > 0 {
				x.Sensors = append(x.Sensors, telemetry.Switch("on", r.IntN(2) == 0))
			}
			if r.IntN(5) == 0 {
				x.Sensors = append(x.Sensors, telemetry.Sensor{Name: "mode", Kind: telemetry.Text, Text: []string{"auto", "手动"}[r.IntN(2)]})
			}
		}
		l = append(l, x)
	}
	return l
}

// read feeds the log from the head's position up to but without an offset.
func (l log) read(tb testing.TB, h *Head, upTo int) {
	tb.Helper()
	for i := h.Next(); i < int64(upTo); i++ {
		require.NoError(tb, h.Append(i, &l[i]))
	}
}

// contents exports everything.
func contents(tb testing.TB, a *Archive) map[value]telemetry.Sensor {
	tb.Helper()
	out := make(map[value]telemetry.Sensor)
	q := history.ExportQuery{Format: history.CSV, From: 0, To: telemetry.MaxTimestamp - 1}
	require.NoError(tb, q.Check())
	last := value{}
	err := a.Export(tb.Context(), &q, func(device string, b *samples.Block) error {
		for i, at := range b.Times {
			this := value{device: device, at: at}
			require.Negative(tb, cmp.Or(cmp.Compare(last.device, this.device), cmp.Compare(last.at, this.at)), "ordered, and each time once")
			last = this
			for _, c := range b.Columns {
				s := telemetry.Sensor{Name: c.Name, Kind: c.Kind, Unit: c.Unit}
				if c.Kind == telemetry.Text {
					s.Text = c.Texts[i]
				} else {
					s.Number = c.Numbers[i]
				}
				if s.Text == "" && (c.Kind == telemetry.Text || math.IsNaN(s.Number)) {
					continue
				}
				out[value{device, at, c.Name}] = s
			}
		}
		return nil
	})
	require.NoError(tb, err)
	return out
}

// TestHistoryIsWhatWasSent: whatever a process that ends at any time, repeats, flushes and compacts,
// the archive has every value of the log once.
func TestHistoryIsWhatWasSent(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := &clock{day0 + 3*dayMS}
		o := options(t.TempDir(), c)
		l := makeLog(r, 400+r.IntN(400))
		done := 0
		for done < len(l) {
			a := open(t, o)
			h := head(t, a, 3)
			require.LessOrEqual(t, h.Next(), int64(done))
			for range 1 + r.IntN(6) {
				done = min(len(l), max(done, int(h.Next()))+r.IntN(100))
				l.read(t, h, done)
				switch r.IntN(4) {
				case 0, 1:
					require.NoError(t, h.Flush(t.Context()))
				case 2:
					a.Tidy(t.Context())
				}
				if r.IntN(3) == 0 {
					require.Equal(t, l[:done].model(), contents(t, a), "seed %d, %d records", seed, done)
				}
			}
			require.NoError(t, a.Close())
		}
		a := open(t, o)
		h := head(t, a, 3)
		l.read(t, h, len(l))
		require.NoError(t, h.Flush(t.Context()))
		require.Equal(t, l.model(), contents(t, a), "seed %d", seed)
		c.ms += 3 * dayMS
		a.Tidy(t.Context())
		require.Equal(t, l.model(), contents(t, a), "seed %d, compacted", seed)
		require.NoError(t, a.Close())
	}
}

// TestFlushThatFailsHalfway: the day that was written recognises its readings when they are read
// again.
func TestFlushThatFailsHalfway(t *testing.T) {
	c := &clock{noon + dayMS}
	o := options(t.TempDir(), c)
	a := open(t, o)
	h := head(t, a, 0)
	put(t, h, "d1", noon, number("temperature", 1))
	put(t, h, "d1", noon+dayMS, number("temperature", 2))
	days := h.byDay()
	_, err := h.flushDay(t.Context(), noon/dayMS, days[noon/dayMS])
	require.NoError(t, err)
	require.NoError(t, a.Close()) // the other day and the catalogue were not written

	a = open(t, o)
	h = head(t, a, 0)
	require.Zero(t, h.Next())
	put(t, h, "d1", noon, number("temperature", 1))
	require.Zero(t, h.values, "the file has it")
	put(t, h, "d1", noon+dayMS, number("temperature", 2))
	require.NoError(t, h.Flush(t.Context()))
	require.Len(t, contents(t, a), 2)
}

func TestOneProcessInADirectory(t *testing.T) {
	dir := t.TempDir()
	a := open(t, options(dir, &clock{noon}))
	_, err := Open(options(dir, &clock{noon}))
	require.ErrorIs(t, err, ErrInUse)
	id := a.ID()
	require.NotEmpty(t, id)
	require.NoError(t, a.Close())
	require.Equal(t, id, open(t, options(dir, &clock{noon})).ID())
}

// TestStepsAreThoseOfTheReadings compares every way to an answer, from memory, from chunks and from
// roll-ups, with what the readings say.
func TestStepsAreThoseOfTheReadings(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	c := &clock{noon + 2*dayMS}
	a := open(t, options(t.TempDir(), c))
	h := head(t, a, 0)
	var l log
	for at := day0; at < day0+2*dayMS+dayMS/2; at += 9_000 + r.Int64N(2000) {
		l = append(l, Reading{Device: "d1", At: at, Sensors: telemetry.Sensors{number("temperature", math.Round(r.NormFloat64()*100)/10), telemetry.Switch("on", r.IntN(2) == 0)}})
	}
	check := func(how string) {
		for _, q := range []history.Query{
			{From: day0, To: day0 + 3*dayMS - 1, Points: 1000},
			{From: day0, To: day0 + 3*dayMS - 1, Points: 100},
			{From: day0 + 1_234_567, To: day0 + 2*dayMS + 7_654_321, Points: 50, Parameters: []string{"temperature"}},
			{From: day0 + 1_234_567, To: day0 + 2*dayMS + 7_654_321, Step: 3_600_000},
			{From: day0 + dayMS, To: day0 + 2*dayMS - 1, Step: 60_000},
			{From: noon, To: noon + 3_600_000, Points: 1000},
			{From: noon - 30_000, To: noon + 30_000, Points: 10},
		} {
			q.Devices = []string{"d1", "unknown"}
			require.NoError(t, q.Check())
			got, err := a.Series(t.Context(), &q)
			require.NoError(t, err)
			require.Len(t, got.Series, 2)
			require.Empty(t, got.Series[1].Time)
			want := l.series(&q)
			require.Equal(t, day0, got.Series[0].Begins)
			requireSame(t, &want, &got.Series[0], "%s %+v", how, q)
		}
	}
	l.read(t, h, len(l)/2)
	require.NoError(t, h.Flush(t.Context()))
	l.read(t, h, len(l))
	check("half in memory")
	require.NoError(t, h.Flush(t.Context()))
	check("in files")
	a.Tidy(t.Context())
	require.NotZero(t, courses(t, a), "roll-ups were made")
	check("compacted")
	late := Reading{Device: "d1", At: day0 + dayMS + 1, Sensors: telemetry.Sensors{number("temperature", 1000)}}
	require.NoError(t, h.Append(h.Next(), &late))
	l = append(l, late)
	slices.SortFunc(l, func(x, y Reading) int { return cmp.Compare(x.At, y.At) })
	check("late in memory")
	require.NoError(t, h.Flush(t.Context()))
	check("late in its file")
	c.ms += looseFor.Milliseconds() + 1
	a.Tidy(t.Context())
	check("compacted again")
}

func courses(t *testing.T, a *Archive) (n int) {
	t.Helper()
	for _, d := range a.between(0, math.MaxInt32) {
		require.NoError(t, a.use(t.Context(), d, func() error {
			var k int
			err := d.db.QueryRowContext(t.Context(), `select count(*) from courses`).Scan(&k)
			n += k
			return err
		}))
	}
	return n
}

// series is the answer to a question, step by step from the readings.
func (l log) series(q *history.Query) history.Series {
	step := q.Step
	inside := slices.DeleteFunc(slices.Clone(l), func(r Reading) bool { return r.At < q.From || r.At > q.To })
	if step == 0 && len(inside) > q.Points {
		step = history.StepFor(q.From, q.To, q.Points)
	}
	s := history.Series{DeviceID: "d1", StepMS: step, Values: map[string]history.Column{}}
	at := func(r Reading) int64 {
		if step == 0 {
			return r.At
		}
		return r.At - r.At%step
	}
	groups := make(map[int64]log)
	for _, r := range inside {
		groups[at(r)] = append(groups[at(r)], r)
	}
	s.Time = slices.Sorted(maps.Keys(groups))
	for _, name := range []string{"temperature", "on"} {
		if q.Parameters != nil && !slices.Contains(q.Parameters, name) {
			continue
		}
		col := history.Column{}
		for _, at := range s.Time {
			sum, lo, hi, last, n := 0.0, math.Inf(1), math.Inf(-1), 0.0, int64(0)
			for _, r := range groups[at] {
				if x := r.Sensors.Find(name); x != nil {
					col.Unit = x.Unit
					sum, lo, hi, last, n = sum+x.Number, min(lo, x.Number), max(hi, x.Number), x.Number, n+1
				}
			}
			if n == 0 {
				sum, lo, hi, last = math.NaN(), math.NaN(), math.NaN(), math.NaN()
			}
			col.N, col.Mean = append(col.N, n), append(col.Mean, sum/float64(max(n, 1)))
			col.Min, col.Max, col.Last = append(col.Min, lo), append(col.Max, hi), append(col.Last, last)
		}
		if step == 0 {
			col.N, col.Min, col.Max, col.Last = nil, nil, nil, nil
		}
		s.Values[name] = col
	}
	return s
}

func requireSame(t *testing.T, want, got *history.Series, format string, args ...any) {
	t.Helper()
	about := fmt.Sprintf(format, args...)
	require.Equal(t, want.StepMS, got.StepMS, about)
	require.Equal(t, want.Time, got.Time, about)
	require.Equal(t, slices.Sorted(maps.Keys(want.Values)), slices.Sorted(maps.Keys(got.Values)), about)
	for name, w := range want.Values {
		g := got.Values[name]
		require.Equal(t, w.Unit, g.Unit, about)
		require.Equal(t, w.N, g.N, about)
		for part, pair := range map[string][2]history.Numbers{"mean": {w.Mean, g.Mean}, "min": {w.Min, g.Min}, "max": {w.Max, g.Max}, "last": {w.Last, g.Last}} {
			require.Len(t, pair[1], len(pair[0]), "%s: %s of %s", about, part, name)
			for i := range pair[0] {
				if math.IsNaN(pair[0][i]) {
					require.True(t, math.IsNaN(pair[1][i]), "%s: %s of %s at %d", about, part, name, want.Time[i])
					continue
				}
				require.InDelta(t, pair[0][i], pair[1][i], 1e-9, "%s: %s of %s at %d", about, part, name, want.Time[i])
			}
		}
	}
}

// TestQuestionsBesideWriting is for the race detector.
func TestQuestionsBesideWriting(t *testing.T) {
	c := &clock{noon + 2*dayMS}
	a := open(t, options(t.TempDir(), c))
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := a.Series(t.Context(), &history.Query{Devices: []string{"d0", "d1"}, From: day0, To: day0 + 3*dayMS, Points: 100}); err != nil {
				done <- err
				return
			}
			a.Tidy(t.Context())
		}
	}()
	l := makeLog(rand.New(rand.NewPCG(8, 8)), 2000)
	h := head(t, a, 0)
	for i := 100; i <= len(l); i += 100 {
		l.read(t, h, i)
		require.NoError(t, h.Flush(t.Context()))
	}
	close(stop)
	require.NoError(t, <-done)
	require.Equal(t, l.model(), contents(t, a))
}

// TestFlushWithoutTime: one that cannot even begin in its time changes nothing, and the next one writes all.
func TestFlushWithoutTime(t *testing.T) {
	a := open(t, options(t.TempDir(), &clock{noon}))
	h := head(t, a, 0)
	put(t, h, "d1", noon, number("temperature", 1))
	end, err := a.beginFlush(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, h.Flush(ctx), context.Canceled)
	end()
	require.Zero(t, h.flushed)
	require.NoError(t, h.Flush(t.Context()))
	require.Equal(t, h.Next(), h.flushed)
	require.Len(t, contents(t, a), 1)
}
