package recent

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = 1_700_000_000_000

// bench is a plant whose clock a test sets, with a store.
type bench struct {
	tb    testing.TB
	plant *state.Model
	store *Store
	now   int64
}

func newBench(tb testing.TB, limit int64) *bench {
	tb.Helper()
	b := &bench{tb: tb, now: start, store: New(limit, start)}
	b.plant = state.New(state.Options{Now: func() time.Time { return time.UnixMilli(b.now) }})
	b.plant.SetRecorder(b.store)
	return b
}

func (b *bench) push(entries ...wire.FrameEntry) {
	b.tb.Helper()
	var fb wire.FrameBuilder
	fb.Reset("gw-a")
	for _, e := range entries {
		fb.Add(e)
	}
	f, err := wire.OpenFrame(fb.Finish())
	require.NoError(b.tb, err)
	_, err = b.plant.ApplyFrame(f)
	require.NoError(b.tb, err)
}

// reading returns a reading like those of a real device.
func reading(r *rand.Rand, id string, ts int64) wire.FrameEntry {
	return wire.FrameEntry{Device: id, Timestamp: ts, Received: ts, Payload: fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":%.2f,"unit":"°C","status":"normal"},"humidity":{"value":%.2f,"unit":"%%","status":"normal"},`+
		`"pressure":{"value":%.2f,"unit":"hPa","status":"normal"},"switch_status":{"value":%t,"status":"on"},"current":{"value":%.3f,"unit":"A","status":"normal"}},`+
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":%d,"signal_strength":%d}}`,
		id, ts, 20+10*r.Float64(), 40+20*r.Float64(), 1000+20*r.Float64(), r.IntN(50) > 0, 2+r.Float64(), 80+r.IntN(3), -50+r.IntN(20))}
}

// since returns what the store holds of a device after a time.
func (b *bench) since(index int, after, before int64) (times []int64, texts [][]byte) {
	b.plant.View(func() {
		b.store.Each(index, after, before, func(ts int64, text []byte) bool {
			times = append(times, ts)
			texts = append(texts, bytes.Clone(text))
			return true
		})
	})
	return times, texts
}

func TestTheLastMinuteIsHeldByteForByte(t *testing.T) {
	b, r := newBench(t, 1<<30), rand.New(rand.NewPCG(1, 2))
	sent := map[int64][]byte{}
	for range 200 {
		b.now += 1000
		e := reading(r, "d1", b.now)
		e2 := reading(r, "d1", b.now+500) // two in one frame
		b.push(e, e2)
		sent[b.now], sent[b.now+500] = e.Payload, e2.Payload
	}
	times, texts := b.since(0, b.now-60_000, b.now+500)
	require.Len(t, times, 120)
	require.IsIncreasing(t, times)
	for i, ts := range times {
		require.Equal(t, string(sent[ts]), string(texts[i]))
	}
	b.plant.View(func() {
		require.True(t, b.store.Complete(0, b.now-60_000))
		require.False(t, b.store.Complete(0, b.now-100_000))
		require.False(t, b.store.Complete(0, start-1), "before we started")
		require.True(t, b.store.Complete(5, start), "nobody has heard of it")
	})
	times, _ = b.since(0, b.now-1, b.now+1)
	require.Equal(t, []int64{b.now}, times)
	times, _ = b.since(7, 0, b.now)
	require.Empty(t, times)
}

func TestBytesAreBoundedAndWhatIsLostIsKnown(t *testing.T) {
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
	b.plant.View(func() {
		for d := range 20 {
			if !b.store.Complete(d, b.now-60_000) {
				incomplete++
			}
		}
	})
	require.Positive(t, incomplete)
	none := newBench(t, 0)
	none.push(reading(r, "d", start+1))
	require.Zero(t, none.store.Bytes())
	none.plant.View(func() { require.False(t, none.store.Complete(0, start)) })
}

func TestStopsWhenAsked(t *testing.T) {
	b, r := newBench(t, 1<<20), rand.New(rand.NewPCG(1, 2))
	for range 100 {
		b.now += 1000
		b.push(reading(r, "d", b.now))
	}
	n := 0
	require.False(t, b.store.Each(0, 0, b.now, func(int64, []byte) bool { n++; return n < 45 }))
	require.Equal(t, 45, n)
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
