package resend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func msg(sender, n int) Message {
	return Of(Device(fmt.Sprintf("device_%d", sender)), fmt.Appendf(nil, "reading %d", n))
}

func TestTheNewestMessagesOfASenderAreKnown(t *testing.T) {
	for name, perPack := range map[string]int{"a pack each": 1, "several in a pack": 7, "all in one pack": 1000} {
		t.Run(name, func(t *testing.T) {
			m := New()
			const sent = 60
			for n := range sent {
				_, ok := m.Find(msg(1, n))
				require.False(t, ok)
				m.Put(msg(1, n), uint64(100+n/perPack))
			}
			for n := range sent {
				seq, ok := m.Find(msg(1, n))
				require.Equal(t, n >= sent-Ring, ok, n)
				if ok {
					require.EqualValues(t, 100+n/perPack, seq)
				}
				_, ok = m.Find(msg(2, n))
				require.False(t, ok, "another sender's")
			}
			require.Equal(t, 1, m.Len())
		})
	}
}

// A message that is refused again and again must not push stored ones out.
func TestRemovedMessagesLeaveTheirPlace(t *testing.T) {
	m := New()
	for n := range Ring {
		m.Put(msg(1, n), uint64(n))
	}
	for n := range 100 {
		m.Put(msg(1, 1000+n), 50)
		m.Remove(msg(1, 1000+n), 50)
	}
	known := 0
	for n := range Ring {
		if _, ok := m.Find(msg(1, n)); ok {
			known++
		}
	}
	require.Equal(t, Ring-1, known)
	m.Put(msg(1, 5000), 60)
	m.Remove(msg(1, 5000), 59)
	_, ok := m.Find(msg(1, 5000))
	require.True(t, ok, "it was put for another pack since")
	m.Remove(msg(9, 1), 1)
}

func TestSequencesAreRestoredFromTheirLowBits(t *testing.T) {
	for _, seq := range []uint64{0, 1, 255, 256, 1<<24 - 1, 1 << 24, 1<<24 + 1, 1 << 40, 1<<40 + 12345} {
		m := New()
		m.Put(msg(1, 1), seq)
		low, ok := m.Find(msg(1, 1))
		require.True(t, ok)
		for _, ahead := range []uint64{0, 1, 1000, 1<<24 - 1} {
			require.Equal(t, seq, Restore(low, seq+ahead))
		}
	}
}

func TestIdentities(t *testing.T) {
	s := Device("a")
	all := []Message{
		Of(s, []byte("x")), Of(s, []byte("y")), OfID(s, "x"), Of(s, []byte("x")).Refused(),
		Of(Concentrator("a"), []byte("x")), Of(Topic("a"), []byte("x")), Of(Device("b"), []byte("x")),
	}
	seen := map[Message]bool{}
	for _, m := range all {
		require.False(t, seen[m])
		seen[m] = true
		require.NotZero(t, m.Hash&hashMask)
	}
	require.Equal(t, uint64(1<<63|7), whole(7), "not the mark of an empty place")
}

// model is the memory as a map.
type model map[Message]uint64

func TestMemoryIsAMapWithLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m, want := New(), model{}
	seq := uint64(1<<24 - 2000)
	perSender := map[uint64]int{}
	for range 10_000 {
		seq++
		id := msg(r.IntN(3000), r.IntN(4))
		switch _, known := want[id]; {
		case !known && perSender[id.Sender] < Ring:
			m.Put(id, seq)
			want[id] = seq
		case known && r.IntN(3) == 0:
			m.Remove(id, want[id])
			delete(want, id)
		}
		if r.IntN(1000) == 0 {
			old := seq - uint64(r.IntN(4000))
			for chunk, more := 0, true; more; chunk++ {
				more = m.Expire(chunk, old, seq)
			}
			for id, at := range want {
				if at <= old {
					delete(want, id)
				}
			}
			requireSame(t, want, m, seq)
		}
	}
	m.RemoveFrom(seq-500, seq)
	for id, at := range want {
		if at >= seq-500 {
			delete(want, id)
		}
	}
	requireSame(t, want, m, seq)
	m.RemoveFrom(0, seq)
	require.Zero(t, m.Len())
	require.Len(t, m.free, len(m.chunks)*chunkRecords-(chunkRecords-len(m.chunks[len(m.chunks)-1])))
}

func requireSame(t *testing.T, want model, m *Memory, ref uint64) {
	t.Helper()
	senders := map[uint64]bool{}
	for id, at := range want {
		low, ok := m.Find(id)
		require.True(t, ok)
		require.Equal(t, at, Restore(low, ref))
		senders[id.Sender] = true
	}
	require.GreaterOrEqual(t, m.Len(), len(senders))
	have := 0
	for _, c := range m.chunks {
		for i := range c {
			for p := range c[i].words {
				if c[i].sender != 0 && c[i].words[p] != 0 {
					have++
				}
			}
		}
	}
	require.Equal(t, len(want), have)
}

func TestNewSendersTakeThePlaceOfOthersAtTheLimit(t *testing.T) {
	m := New()
	m.max = 100
	for n := range 1000 {
		m.Put(msg(n, 0), uint64(n))
		_, ok := m.Find(msg(n, 0))
		require.True(t, ok)
		require.LessOrEqual(t, m.Len(), 100)
	}
	require.Equal(t, 100, m.Len())
	require.Len(t, m.chunks, 1)
}

// TestADeviceCostsAtMost200Bytes counts everything that is allocated, at sizes of the index
// just after it grew and before.
func TestADeviceCostsAtMost200Bytes(t *testing.T) {
	for _, devices := range []int{8_000, 10_000, 14_400, 40_000} {
		senders := make([]uint64, devices)
		for i := range senders {
			senders[i] = Device(fmt.Sprintf("device_%06d", i))
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := New()
		for n := range Ring {
			for _, s := range senders {
				m.Put(Message{s, whole(s + uint64(n))}, uint64(n))
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := float64(after.HeapAlloc-before.HeapAlloc) / float64(devices)
		require.LessOrEqual(t, each, 200.0, "%d devices", devices)
		t.Logf("%d devices: %.0f bytes each", devices, each)
		runtime.KeepAlive(m)
	}
}

func snapshotOf(m *Memory, seq uint64, now time.Time, eras []Era) []byte {
	data := Begin(nil, seq, now, eras)
	for chunk, more := 0, true; more; chunk++ {
		data, more = m.AppendChunk(data, chunk)
	}
	return End(data)
}

func TestSnapshotKeepsWhatIsStored(t *testing.T) {
	m := New()
	for n := range 5000 {
		m.Put(msg(n%700, n), uint64(1<<24+n))
	}
	const stored = 1<<24 + 4990
	then := time.UnixMilli(123) // the clock was wrong
	data := snapshotOf(m, stored, then, []Era{{then.Add(-time.Minute), 7}, {then.Add(-time.Second), 9}, {then.Add(time.Hour), 10}})
	for _, last := range []uint64{stored, stored + 100, stored - 1000, 0} {
		got, seq, eras, err := Read(data, last)
		now := time.Now()
		require.NoError(t, err)
		require.Equal(t, min(stored, last), seq)
		require.Len(t, eras, 3)
		for i, want := range []Era{{now.Add(-time.Minute), 7}, {now.Add(-time.Second), 9}, {now, 10}} {
			require.WithinDuration(t, want.At, eras[i].At, 10*time.Second, "ages go on")
			require.False(t, eras[i].At.After(want.At))
			require.Equal(t, want.Seq, eras[i].Seq)
		}
		for n := range 5000 {
			_, want := m.Find(msg(n%700, n))
			_, ok := got.Find(msg(n%700, n))
			require.Equal(t, want && uint64(1<<24+n) <= min(stored, last), ok, n)
		}
	}
	for n := range Ring { // the oldest is forgotten first, as before
		got, _, _, err := Read(data, stored)
		require.NoError(t, err)
		got.Put(msg(3, 100_000+n), stored+1)
		_, ok := got.Find(msg(3, 100_000+n))
		require.True(t, ok)
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	m := New()
	m.Put(msg(1, 1), 5)
	data := snapshotOf(m, 5, time.UnixMilli(9), []Era{{time.UnixMilli(5), 7}})
	for i := range data {
		_, _, _, err := Read(data[:i], 9)
		require.ErrorIs(t, err, ErrDamaged)
		bad := append([]byte{}, data...)
		bad[i] ^= 1
		_, _, _, err = Read(bad, 9)
		require.ErrorIs(t, err, ErrDamaged)
	}
	// The checksum is right, and what it covers is not.
	m = New()
	m.Put(Message{Sender: Device("device_1")}, 5)
	for name, data := range map[string][]byte{
		"a message without a hash": snapshotOf(m, 5, time.UnixMilli(9), nil),
		"more packs than can be":   snapshotOf(New(), math.MaxUint64, time.UnixMilli(9), nil),
	} {
		_, _, _, err := Read(data, 5)
		require.ErrorIs(t, err, ErrDamaged, name)
	}
}

func TestFileIsReplacedAsAWhole(t *testing.T) {
	name := t.TempDir() + "/resends"
	m, seq, eras, err := Load(name, 9)
	require.NoError(t, err)
	require.Zero(t, m.Len()+int(seq)+len(eras))
	for n := range 3 {
		m.Put(msg(n, 1), 5)
		require.NoError(t, Write(name, snapshotOf(m, 5, time.Now(), nil)))
		got, seq, _, err := Load(name, 9)
		require.NoError(t, err)
		require.EqualValues(t, 5, seq)
		require.Equal(t, n+1, got.Len())
	}
	require.NoError(t, Write(name, []byte("no snapshot")))
	m, seq, _, err = Load(name, 9)
	require.ErrorIs(t, err, ErrDamaged)
	require.Zero(t, m.Len()+int(seq), "an empty memory can be used")
	require.Error(t, Write(t.TempDir()+"/gone/resends", nil))
	_, _, _, err = Load(t.TempDir(), 9)
	require.Error(t, err)
}

func FuzzRead(f *testing.F) {
	m := New()
	m.Put(msg(1, 1), 5)
	f.Add(snapshotOf(m, 5, time.UnixMilli(9), []Era{{time.UnixMilli(5), 7}}), uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, last uint64) {
		if len(data) >= 4 { // let the fuzzer past the checksum
			data = End(data[:len(data)-4])
		}
		m, seq, _, err := Read(data, last)
		if err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		require.LessOrEqual(t, seq, last)
		again, _, _, err := Read(snapshotOf(m, seq, time.Now(), nil), last)
		require.NoError(t, err)
		require.Equal(t, m.Len(), again.Len())
	})
}

func BenchmarkHash(b *testing.B) {
	payload := make([]byte, 593)
	for i := range b.N {
		payload[i%8] = byte(i)
		if Of(Device("device_00001"), payload).Hash == 0 {
			b.Fatal()
		}
	}
}

// BenchmarkKnow measures what recognising resends adds to a reading: hashing it, looking for
// it and remembering it, of 1,000 devices as in BenchmarkTake of package ingest.
func BenchmarkKnow(b *testing.B) {
	for _, devices := range []int{1000, 50_000} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			ids := make([]string, devices)
			for i := range ids {
				ids[i] = fmt.Sprintf("device_%05d", i)
			}
			payload := make([]byte, 593)
			m := New()
			b.ReportAllocs()
			for i := range b.N {
				payload[i%8], payload[8] = byte(i), byte(i>>8)
				payload[9], payload[10] = byte(i>>16), byte(i>>24)
				id := Of(Device(ids[i%devices]), payload)
				if _, ok := m.Find(id); !ok {
					m.Put(id, uint64(i)>>8)
				}
			}
		})
	}
}
