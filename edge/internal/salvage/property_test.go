package salvage

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// stored is one record of a test block.
type stored struct {
	seq, epoch, counter uint64
	start, end          int // of the record
	pack, packEnd       int // of the pack in it
}

// randomBlock returns a block of packs of a few epochs with some tombstones.
func randomBlock(rnd *rand.Rand, c *codec) (file []byte, all []stored) {
	seq, epoch, counter := rnd.Uint64N(1000), uint64(1), rnd.Uint64N(50)
	for range 5 + rnd.IntN(30) {
		seq++
		counter++
		if rnd.IntN(10) == 0 {
			epoch, counter = epoch+1, 1
		}
		if rnd.IntN(8) == 0 {
			file = c.appendTombstone(file, rnd.Uint64N(seq), 1)
		}
		p := pack(epoch, counter, rnd.IntN(300))
		s := stored{seq: seq, epoch: epoch, counter: counter, start: len(file)}
		file = c.appendMessage(file, seq, 1, p)
		s.end = len(file)
		s.pack, s.packEnd = s.end-hashLen-len(p), s.end-hashLen
		all = append(all, s)
	}
	return file, all
}

// packsOf reads a repaired block, which must be intact, with rising sequences.
func packsOf(t *testing.T, c *codec, file []byte) map[uint64]wire.PackHeader {
	t.Helper()
	out := map[uint64]wire.PackHeader{}
	last := uint64(0)
	for at := 0; at < len(file); {
		r, ok := c.read(file[at:])
		require.True(t, ok, "a repaired block is intact")
		at += len(r.raw)
		if r.message == nil {
			continue
		}
		require.Greater(t, r.seq, last)
		last = r.seq
		h, ok := header(r.message)
		require.True(t, ok)
		out[r.seq] = h
	}
	return out
}

// Flipped bits cost only the packs they are in, and every other pack keeps its sequence.
func TestFlippedBitsCostOnlyTheirPacks(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		c := newCodec(stream, subject, 1)
		file, all := randomBlock(rnd, c)
		before := place{all[0].seq - 1, nil}
		hit := map[int]bool{}
		for range 1 + rnd.IntN(3) {
			at := rnd.IntN(len(file))
			file[at] ^= 1 << rnd.IntN(8)
			hit[at] = true
		}
		b := c.examine(file)
		repaired, dropped := c.repair(b, before)
		require.Zero(t, dropped, "seed %d", seed)
		got := packsOf(t, c, repaired)
		for _, s := range all {
			broken := false
			for at := range hit {
				broken = broken || (at >= s.pack && at < s.packEnd)
			}
			h, ok := got[s.seq]
			if broken {
				continue // two flips may cancel out
			}
			require.True(t, ok, "seed %d: sequence %d is lost", seed, s.seq)
			require.Equal(t, []uint64{s.epoch, s.counter}, []uint64{h.Epoch, h.Counter}, "seed %d", seed)
		}
		require.LessOrEqual(t, len(got), len(all))
	}
}

// A truncated block keeps every pack before the cut.
func TestTruncatedBlockKeepsThePacksBefore(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		c := newCodec(stream, subject, 1)
		file, all := randomBlock(rnd, c)
		cut := rnd.IntN(len(file))
		b := c.examine(file[:cut])
		repaired, _ := c.repair(b, place{all[0].seq - 1, nil})
		got := packsOf(t, c, repaired)
		for _, s := range all {
			_, ok := got[s.seq]
			require.Equal(t, s.packEnd <= cut, ok, "seed %d", seed)
		}
		require.True(t, b.intact() || b.torn || b.saved > 0)
	}
}

func TestIntactBlockIsUnchanged(t *testing.T) {
	for seed := range uint64(50) {
		c := newCodec(stream, subject, 1)
		file, _ := randomBlock(rand.New(rand.NewPCG(seed, 9)), c)
		b := c.examine(file)
		require.True(t, b.intact())
		repaired, _ := c.repair(b, place{})
		require.Equal(t, file, repaired)
	}
}

// FuzzExamine examines arbitrary bytes: the repaired block must be intact and contain every
// pack in them that has a free sequence.
func FuzzExamine(f *testing.F) {
	c := newCodec(stream, subject, 1)
	for seed := range uint64(5) {
		file, _ := randomBlock(rand.New(rand.NewPCG(seed, 10)), c)
		f.Add(file)
		f.Add(file[20:])
		file[len(file)/2] ^= 4
		f.Add(file)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newCodec(stream, subject, 1)
		b := c.examine(data)
		repaired, dropped := c.repair(b, place{})
		again := c.examine(repaired)
		require.True(t, again.intact())
		packs := 0
		for _, p := range again.pieces {
			packs += p.packs
		}
		found := 0
		for _, p := range b.pieces {
			found += p.packs
			if p.pack != nil {
				found++
			}
		}
		require.Equal(t, found-dropped, packs)
	})
}

// FuzzReadIndex decodes arbitrary bytes.
func FuzzReadIndex(f *testing.F) {
	f.Add([]byte{indexMagic, 4, 1, 1, 1, 1, 1, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := newHasher(stream).sum(data)
		x, err := readIndex(stream, slices.Concat(data, sum))
		if err != nil {
			require.ErrorIs(t, err, errIndex)
			return
		}
		x.covers([]uint32{1}, x.sum[:])
	})
}

func TestMarkIsReadBackUnlessDamaged(t *testing.T) {
	m := Mark{Epoch: 1 << 63, Counter: 2, Seq: 3, Totals: wire.PackTotals{Readings: 4, Refused: 5}}
	b := m.encode()
	got, ok := decodeMark(b[:])
	require.True(t, ok)
	require.Equal(t, m, got)
	for i := range b {
		broken := b
		broken[i] ^= 1
		_, ok := decodeMark(broken[:])
		require.False(t, ok)
	}
	_, ok = decodeMark(nil)
	require.False(t, ok)
	totals, h, err := wire.TotalsAfter(m.pack())
	require.NoError(t, err)
	require.Equal(t, wire.PackHeader{Epoch: 1 << 63, Counter: 2, Before: m.Totals}, h)
	require.Equal(t, m.Totals, totals)
	_, ok = ReadMark(t.TempDir() + "/none")
	require.False(t, ok)
}
