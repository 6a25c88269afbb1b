package recent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = 1_700_000_000_000

// bench is a model with a store and a clock that the test sets.
type bench struct {
	tb    testing.TB
	model *state.Model
	store *Store
	now   int64
}

func newBench(tb testing.TB, limit int64) *bench {
	tb.Helper()
	b := &bench{tb: tb, now: start, store: New(limit, start)}
	b.model = state.New(state.Options{Now: func() time.Time { return time.UnixMilli(b.now) }})
	b.model.SetRecorder(b.store)
	return b
}

func (b *bench) push(entries ...wire.FrameEntry) {
	b.tb.Helper()
	statetest.Apply(b.tb, b.model, "gw-a", entries...)
}

// reading returns a reading like those of a real device.
func reading(r *rand.Rand, id string, ts int64) wire.FrameEntry {
	return wire.FrameEntry{Device: id, Timestamp: ts, Received: ts, Payload: fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":%.2f,"unit":"°C","status":"normal"},"humidity":{"value":%.2f,"unit":"%%","status":"normal"},`+
		`"pressure":{"value":%.2f,"unit":"hPa","status":"normal"},"switch_status":{"value":%t,"status":"on"},"current":{"value":%.3f,"unit":"A","status":"normal"}},`+
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":%d,"signal_strength":%d}}`,
		id, ts, 20+10*r.Float64(), 40+20*r.Float64(), 1000+20*r.Float64(), r.IntN(50) > 0, 2+r.Float64(), 80+r.IntN(3), -50+r.IntN(20))}
}

// since returns what the store holds of a device after a position.
func (b *bench) since(index int, after Position, before uint64) (numbers []uint64, texts [][]byte) {
	b.model.View(func() {
		b.store.Each(index, after, before, func(seq uint64, text []byte) bool {
			numbers = append(numbers, seq)
			texts = append(texts, bytes.Clone(text))
			return true
		})
	})
	return numbers, texts
}

func TestTheLastMinuteIsKeptByteForByte(t *testing.T) {
	b, r := newBench(t, 1<<30), rand.New(rand.NewPCG(1, 2))
	sent := map[uint64][]byte{}
	for n := range uint64(200) {
		b.now += 1000
		e := reading(r, "d1", b.now)
		e2 := reading(r, "d1", b.now+500) // two in one frame
		b.push(e, e2)
		sent[2*n+1], sent[2*n+2] = e.Payload, e2.Payload
	}
	const last = 400
	for name, after := range map[string]Position{"by time": AfterTime(b.now - 60_000), "by number": AfterSeq(last - 121)} {
		numbers, texts := b.since(0, after, last)
		require.Len(t, numbers, 120, name)
		require.IsIncreasing(t, numbers)
		require.Equal(t, uint64(last-1), numbers[119])
		for i, n := range numbers {
			require.Equal(t, string(sent[n]), string(texts[i]))
		}
	}
	b.model.View(func() {
		require.True(t, b.store.Complete(0, AfterTime(b.now-60_000)))
		require.False(t, b.store.Complete(0, AfterTime(b.now-100_000)))
		require.False(t, b.store.Complete(0, AfterTime(start-1)), "before we started")
		require.True(t, b.store.Complete(5, AfterTime(start)), "an unknown device")
		require.True(t, b.store.Complete(0, AfterSeq(last-121)))
		require.False(t, b.store.Complete(0, AfterSeq(last-201)))
		require.True(t, b.store.Complete(5, AfterSeq(0)), "an unknown device")
	})
	numbers, _ := b.since(0, AfterTime(b.now-1), last)
	require.Equal(t, []uint64{last - 1}, numbers)
	numbers, _ = b.since(0, AfterSeq(last-3).Advance(last-2), last)
	require.Equal(t, []uint64{last - 1}, numbers)
	numbers, _ = b.since(7, AfterSeq(0), last)
	require.Empty(t, numbers)
}

// TestRemovedDeviceIsForgotten: another device may have its index.
func TestRemovedDeviceIsForgotten(t *testing.T) {
	b, r := newBench(t, 1<<30), rand.New(rand.NewPCG(1, 2))
	b.push(reading(r, "d1", start), reading(r, "d2", start))
	one := b.store.Bytes() / 2
	b.model.Remove("d1", 0)
	require.Equal(t, one, b.store.Bytes())
	b.push(reading(r, "d3", start))
	numbers, _ := b.since(0, AfterSeq(0), 10)
	require.Equal(t, []uint64{3}, numbers)
	b.model.Remove("d3", 0)
	b.model.Remove("d2", 0)
	require.Zero(t, b.store.Bytes())
	b.store.Forget(9)
}

func TestMemoryIsBoundedAndDroppedReadingsAreKnown(t *testing.T) {
	const limit = 40_000
	b, r := newBench(t, limit), rand.New(rand.NewPCG(1, 2))
	for range 100 {
		b.now += 1000
		for d := range 20 {
			b.push(reading(r, fmt.Sprint("d", d), b.now))
		}
		require.LessOrEqual(t, b.store.Bytes(), int64(limit))
	}
	incomplete := 0
	b.model.View(func() {
		for d := range 20 {
			if !b.store.Complete(d, AfterTime(b.now-60_000)) {
				incomplete++
			}
		}
	})
	require.Positive(t, incomplete)
	none := newBench(t, 0)
	none.push(reading(r, "d", start+1))
	require.Zero(t, none.store.Bytes())
	none.model.View(func() { require.False(t, none.store.Complete(0, AfterSeq(0))) })
}

func TestStopsWhenAsked(t *testing.T) {
	b, r := newBench(t, 1<<20), rand.New(rand.NewPCG(1, 2))
	for range 100 {
		b.now += 1000
		b.push(reading(r, "d", b.now))
	}
	n := 0
	require.False(t, b.store.Each(0, AfterSeq(0), 100, func(uint64, []byte) bool { n++; return n < 45 }))
	require.Equal(t, 45, n)
}

func TestEachTellsWhetherItWasStopped(t *testing.T) {
	b, r := newBench(t, 1<<20), rand.New(rand.NewPCG(1, 2))
	for range 40 { // two segments
		b.now += 1000
		b.push(reading(r, "d", b.now))
	}
	const all = 40
	for stopAt := 1; stopAt <= all+1; stopAt++ {
		n := 0
		stopped := !b.store.Each(0, AfterSeq(0), all+1, func(uint64, []byte) bool { n++; return n < stopAt })
		require.Equal(t, stopAt <= all, stopped, "stopped at %d", stopAt)
		require.Equal(t, min(stopAt, all), n)
	}
	for _, unknown := range []int{-1, 1, 2} {
		require.True(t, b.store.Each(unknown, AfterSeq(0), all, func(uint64, []byte) bool { return false }))
	}
}

// TestLimitIsUsedUpToItsLastByte fills one segment.
func TestLimitIsUsedUpToItsLastByte(t *testing.T) {
	fill := func(limit int64) *bench {
		b, r := newBench(t, limit), rand.New(rand.NewPCG(1, 2))
		for range 20 {
			b.now += 1000
			b.push(reading(r, "d1", b.now), reading(r, "d2", b.now))
		}
		return b
	}
	need := fill(1 << 30).store.Bytes()
	for _, c := range []struct {
		limit int64
		all   bool
	}{{need, true}, {need - 1, false}} {
		b := fill(c.limit)
		complete := b.store.Complete(0, AfterTime(start)) && b.store.Complete(1, AfterTime(start))
		require.Equal(t, c.all, complete)
		require.Equal(t, c.all, b.store.Bytes() == need)
	}
}

func TestCommonCountsToTheByte(t *testing.T) {
	const text = "abcdefghijklmnopqrstuvwxyz"
	for n := range len(text) {
		other := []byte(text)
		other[n] = '!'
		require.Equal(t, n, common([]byte(text), other))
		require.Equal(t, n, common([]byte(text), []byte(text)[:n]))
		require.Equal(t, n, common([]byte(text)[:n], other))
	}
}

func TestValueEnds(t *testing.T) {
	for text, want := range map[string]int{"": 0, "12": 2, "12,3": 2, "12}": 2, `on","x"`: 2, `,`: 0, `}`: 0, `"`: 0} {
		require.Equal(t, want, valueEnd([]byte(text)), text)
	}
}

func TestDifferencesStepByStep(t *testing.T) {
	const tail = `,"x":"........................"}`
	for _, c := range []struct{ name, base, text, diff string }{
		{"nothing", "{}", "{}", "\x02\x00\x00"},
		{"one value", `{"v":12` + tail, `{"v":345` + tail, "\x05\x02\x03345\x20\x00\x00"},
		{"a value less", `{"v":1,2` + tail, `{"v":1}2` + tail, "\x06\x01\x01}\x21\x00\x00"},
		{"a value that became empty", `{"v":"on"` + tail, `{"v":""` + tail, "\x06\x02\x00\x21\x00\x00"},
		{"little in common", `{"a":1,"b":2,"c":3}`, `[9,9,9,9,9,9,9,9,9]`, "\x00\x00\x13[9,9,9,9,9,9,9,9,9]"},
		{"no end in sight", `{"v":1}`, `{"v":2222222`, "\x05\x00\x072222222"},
	} {
		diff := appendDiff([]byte("before"), []byte(c.base), []byte(c.text))
		require.Equal(t, "before"+c.diff, string(diff), c.name)
		got, ok := appendText([]byte("before"), []byte(c.base), diff[len("before"):])
		require.True(t, ok, c.name)
		require.Equal(t, "before"+c.text, string(got), c.name)
	}
}

func TestDamagedDifferenceIsNoticed(t *testing.T) {
	step := func(n, skip, insert uint64, text string) []byte {
		b := binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(nil, n), skip), insert)
		return append(b, text...)
	}
	base := []byte("0123456789")
	for name, c := range map[string]struct {
		diff []byte
		ok   bool
	}{
		"all of it":                  {step(10, 0, 0, ""), true},
		"all of it is left out":      {step(0, 10, 0, ""), true},
		"some of each":               {step(4, 6, 1, "x"), true},
		"copies too much":            {step(11, 0, 0, ""), false},
		"leaves out too much":        {step(0, 11, 0, ""), false},
		"both together":              {step(5, 6, 0, ""), false},
		"the second step":            {append(step(3, 3, 0, ""), step(3, 2, 0, "")...), false},
		"inserts more than there is": {step(0, 0, 2, "x"), false},
		"inserts too much":           {step(0, 0, 1<<31, "x"), false},
		"the largest number":         {step(1<<30, 0, 0, ""), false},
		"beyond all numbers":         {bytes.Repeat([]byte{0xff}, 11), false},
		"ends in a number":           {[]byte{1, 0}, false},
		"ends at once":               {[]byte{0x80}, false},
	} {
		_, ok := appendText(nil, base, c.diff)
		require.Equal(t, c.ok, ok, name)
	}
}

func TestDifferencesAreShort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	total, whole := 0, 0
	base := reading(r, "device_00001", start).Payload
	for i := range int64(1000) {
		text := reading(r, "device_00001", start+i*1000).Payload
		diff := appendDiff(nil, base, text)
		got, ok := appendText(nil, base, diff)
		require.True(t, ok)
		require.Equal(t, string(text), string(got))
		total += len(diff)
		whole += len(text)
	}
	require.Less(t, total*5, whole)
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte("hello world"), []byte("hello, world!"))
	f.Add([]byte(""), []byte("x"))
	f.Add([]byte("aaaaaaaaaaaa"), []byte(""))
	f.Add([]byte("aaaa0000bbbb"), []byte("aaaa00000bbb"))
	f.Fuzz(func(t *testing.T, base, text []byte) {
		got, ok := appendText(nil, base, appendDiff(nil, base, text))
		require.True(t, ok)
		require.Equal(t, string(text), string(got))
		_, _ = appendText(nil, base, text) // any bytes as a difference: no panic
	})
}

// TestMemoryOfTenThousandDevices shows what the store costs at 10,000 readings a second.
func TestMemoryOfTenThousandDevices(t *testing.T) {
	b, r := newBench(t, 1<<30), rand.New(rand.NewPCG(1, 2))
	const devices, seconds = 100, 100
	for range seconds {
		b.now += 1000
		for d := range devices {
			b.push(reading(r, fmt.Sprintf("device_%05d", d), b.now))
		}
	}
	runtime.GC()
	perDevice := b.store.Bytes() / devices
	t.Logf("%d bytes a device, %.0f MB for 10,000 devices", perDevice, float64(perDevice)*10_000/1e6)
	require.Less(t, perDevice, int64(20_000))
}

func BenchmarkDiff(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var entries []wire.FrameEntry
	for i := range int64(64) {
		entries = append(entries, reading(r, "device_00001", start+i*1000))
	}
	b.ReportAllocs()
	var buf []byte
	for i := 0; b.Loop(); i++ {
		buf = appendDiff(buf[:0], entries[0].Payload, entries[i%64].Payload)
	}
}
