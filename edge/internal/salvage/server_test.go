package salvage

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// This package depends on the format of the server's files. This test fails if a new
// version of the server changes it.
func TestServerReadsAndWritesThisForm(t *testing.T) {
	s, c := newStore(t), newCodec(stream, subject, 1)
	s.serve(t, func(js jetstream.JetStream, str jetstream.Stream) {
		s.put(t, js, 7, 1, 20, 1000)
		require.NoError(t, str.Purge(t.Context(), jetstream.WithPurgeSequence(5)))
	})
	data, err := os.ReadFile(s.msgs("1.blk"))
	require.NoError(t, err)
	b := c.examine(data)
	require.True(t, b.intact())
	require.Len(t, b.pieces, 1)
	require.EqualValues(t, 20, b.pieces[0].last.seq)
	require.Equal(t, pack(7, 20, 1000), b.pieces[0].last.pack)

	data, err = os.ReadFile(s.msgs("index.db"))
	require.NoError(t, err)
	x, err := readIndex(stream, data)
	require.NoError(t, err)
	require.EqualValues(t, 20, x.lastSeq)
	require.Equal(t, []indexed{{number: 1, bytes: x.blocks[0].bytes, first: 5, lastInFile: 20}}, x.blocks)
	r := s.salvage(t)
	require.False(t, r.Damaged())

	var file []byte
	c = newCodec(stream, subject, 2)
	for seq := uint64(21); seq <= 25; seq++ {
		file = c.appendMessage(file, seq, 1, pack(7, seq, 10))
	}
	require.NoError(t, os.WriteFile(s.msgs("2.blk"), c.appendTombstone(file, 3, 1), 0o600))
	s.serve(t, func(_ jetstream.JetStream, str jetstream.Stream) {
		all := held(t, str)
		require.Len(t, all, 21)
		for seq := uint64(5); seq <= 25; seq++ {
			require.Equal(t, "7:"+strconv.FormatUint(seq, 10), all[seq])
		}
	})
}

// damage modifies the files of a stopped server.
type damage func(t *testing.T, s *store)

func flip(name string, at func(data []byte) int) damage {
	return func(t *testing.T, s *store) {
		t.Helper()
		data, err := os.ReadFile(s.msgs(name))
		require.NoError(t, err)
		data[at(data)] ^= 0x10
		require.NoError(t, os.WriteFile(s.msgs(name), data, 0o600))
	}
}

// within returns the offset of a byte of the n-th record of a block.
func within(n, offset int) func([]byte) int {
	return func(data []byte) int {
		at := 0
		for range n - 1 {
			l, _, _ := length(data[at:])
			at += l
		}
		if offset < 0 {
			l, _, _ := length(data[at:])
			return at + l + offset
		}
		return at + offset
	}
}

func cut(name string, keep float64) damage {
	return func(t *testing.T, s *store) {
		t.Helper()
		info, err := os.Stat(s.msgs(name))
		require.NoError(t, err)
		require.NoError(t, os.Truncate(s.msgs(name), int64(keep*float64(info.Size()))))
	}
}

func zero(names ...string) damage {
	return func(t *testing.T, s *store) {
		t.Helper()
		for _, name := range names {
			name = filepath.Join(s.streamDir(), name)
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(name, make([]byte, info.Size()), 0o600))
		}
	}
}

func empty(name string) damage {
	return func(t *testing.T, s *store) {
		t.Helper()
		require.NoError(t, os.Truncate(filepath.Join(s.streamDir(), name), 0))
	}
}

func remove(name string) damage {
	return func(t *testing.T, s *store) {
		t.Helper()
		require.NoError(t, os.RemoveAll(filepath.Join(s.streamDir(), name)))
	}
}

// TestLossIsExactlyTheDamagedPacks damages the files of 40 packs in four blocks and two
// epochs, and starts the server on the salvaged files.
func TestLossIsExactlyTheDamagedPacks(t *testing.T) {
	const inMessage = headLen + len(subject) + 200
	tests := []struct {
		name    string
		damages []damage
		lost    []uint64 // sequences
		tail    bool     // the lost packs are acknowledged ones at the end
		clean   bool     // nothing is reported
	}{
		{name: "nothing", clean: true},
		{name: "flip in the newest block", damages: []damage{flip("4.blk", within(3, inMessage))}, lost: []uint64{37}},
		{name: "flip in the newest pack", damages: []damage{flip("4.blk", within(7, inMessage))}, lost: []uint64{41}, tail: true},
		{name: "flip in an old block", damages: []damage{flip("1.blk", within(4, inMessage))}, lost: []uint64{4}},
		{name: "flip in an old block, no index", damages: []damage{flip("1.blk", within(4, inMessage)), remove("msgs/index.db")}, lost: []uint64{4}},
		{name: "flip in a length", damages: []damage{flip("1.blk", within(4, 0))}},
		{name: "flip in the high byte of a length", damages: []damage{flip("1.blk", within(4, 2))}},
		{name: "flip in a sequence", damages: []damage{flip("1.blk", within(4, 5))}},
		{name: "flip in the first sequence", damages: []damage{flip("1.blk", within(1, 5))}},
		{name: "flip in the last sequence", damages: []damage{flip("4.blk", within(7, 5))}},
		{name: "flip in a subject", damages: []damage{flip("1.blk", within(4, headLen+2))}},
		{name: "flip in the length of a subject", damages: []damage{flip("1.blk", within(4, 20))}},
		{name: "flip in the length of a header", damages: []damage{flip("1.blk", within(4, headLen+len(subject)))}},
		{name: "flip in a header", damages: []damage{flip("1.blk", within(4, headLen+len(subject)+10))}},
		{name: "flip in a hash", damages: []damage{flip("1.blk", within(4, -3))}},
		{
			name:    "flips in several places",
			damages: []damage{flip("1.blk", within(7, inMessage)), flip("3.blk", within(5, 3)), flip("1.blk", within(5, 1)), flip("1.blk", within(4, inMessage))},
			lost:    []uint64{4, 7},
		},
		{name: "flip where two epochs meet", damages: []damage{flip("2.blk", within(9, 5)), flip("2.blk", within(10, 5))}},
		{name: "index zeroed", damages: []damage{zero("msgs/index.db")}},
		{name: "index empty", damages: []damage{empty("msgs/index.db")}},
		{name: "index gone", damages: []damage{remove("msgs/index.db")}, clean: true},
		{name: "meta zeroed", damages: []damage{zero("meta.inf", "meta.sum")}},
		{name: "meta empty", damages: []damage{empty("meta.inf"), empty("meta.sum")}},
		{name: "sum gone", damages: []damage{remove("meta.sum")}},
		{name: "all but the blocks zeroed", damages: []damage{zero("meta.inf", "meta.sum", "msgs/index.db")}},
		{name: "old block emptied", damages: []damage{empty("msgs/3.blk")}, lost: seqs(24, 34)},
		{name: "old block cut off", damages: []damage{cut("3.blk", 0.5)}, lost: seqs(29, 34)},
		{name: "old block zeroed", damages: []damage{zero("msgs/3.blk")}, lost: seqs(24, 34)},
		{name: "tail cut off", damages: []damage{cut("4.blk", 0.5)}, lost: seqs(38, 41), tail: true},
		{name: "tail cut off, no index", damages: []damage{cut("4.blk", 0.5), remove("msgs/index.db")}, lost: seqs(38, 41), tail: true},
		{name: "tail zeroed, no index", damages: []damage{zero("msgs/4.blk"), remove("msgs/index.db")}, lost: seqs(35, 41), tail: true},
		{name: "newest block gone", damages: []damage{remove("msgs/4.blk")}, lost: seqs(35, 41), tail: true},
		{name: "newest block gone, no index", damages: []damage{remove("msgs/4.blk"), remove("msgs/index.db")}, lost: seqs(35, 41), tail: true},
		{name: "all blocks gone", damages: []damage{remove("msgs")}, lost: seqs(1, 41), tail: true},
		{name: "everything gone", damages: []damage{remove("")}, lost: seqs(1, 41), tail: true},
	}
	full := newStore(t)
	var want map[uint64]string
	full.serve(t, func(js jetstream.JetStream, _ jetstream.Stream) { full.put(t, js, 0xa, 1, 20, 120_000) })
	full.serve(t, func(js jetstream.JetStream, str jetstream.Stream) {
		full.end(t, js)
		full.put(t, js, 0xb, 1, 20, 120_000)
		want = held(t, str)
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := full.copy(t)
			for _, d := range tt.damages {
				d(t, s)
			}
			r := s.salvage(t)
			require.Equal(t, tt.clean, !r.Damaged(), "%+v", r)
			expect := maps.Clone(want)
			for _, seq := range tt.lost {
				delete(expect, seq)
			}
			if tt.tail {
				expect[41] = "b:20" // empty, with the totals
				require.EqualValues(t, len(tt.lost), r.MissingPacks)
				require.EqualValues(t, perPack*min(20, len(tt.lost)), r.MissingReadings, "of the last epoch")
			}
			s.serve(t, func(js jetstream.JetStream, str jetstream.Stream) {
				require.Equal(t, expect, held(t, str))
				requireTotals(t, str, expect)
				s.put(t, js, 0xc, 1, 2, 10)
				expect[42], expect[43] = "c:1", "c:2"
				require.Equal(t, expect, held(t, str))
			})
			r = s.salvage(t)
			require.False(t, r.Damaged(), "a second run finds no damage")
			s.serve(t, func(_ jetstream.JetStream, str jetstream.Stream) { require.Equal(t, expect, held(t, str)) })
		})
	}
}

// requireTotals checks that the totals in the packs account for every reading missing
// before the newest pack of its epoch.
func requireTotals(t *testing.T, str jetstream.Stream, packs map[uint64]string) {
	t.Helper()
	have := map[uint64]uint64{}
	for _, seq := range slices.Sorted(maps.Keys(packs)) {
		msg, err := str.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		p, err := wire.OpenPack(msg.Data)
		require.NoError(t, err)
		have[p.Header.Epoch] = p.Header.Before.Readings
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			if e.Refusal == nil {
				have[p.Header.Epoch]++
			}
		}
	}
	for epoch, n := range have {
		require.EqualValues(t, 20*perPack, n, "epoch %x", epoch)
	}
}

func seqs(from, to uint64) []uint64 {
	var all []uint64
	for seq := from; seq <= to; seq++ {
		all = append(all, seq)
	}
	return all
}

// Silent damage to an old block is found if every block is examined.
func TestEveryBlockCanBeExamined(t *testing.T) {
	s := newStore(t)
	s.serve(t, func(js jetstream.JetStream, _ jetstream.Stream) { s.put(t, js, 0xa, 1, 20, 120_000) })
	info, err := os.Stat(s.msgs("1.blk"))
	require.NoError(t, err)
	flip("1.blk", within(4, 500))(t, s)
	require.NoError(t, os.Chtimes(s.msgs("1.blk"), info.ModTime(), info.ModTime().Add(-time.Minute)))
	r := s.salvage(t)
	require.False(t, r.Damaged())
	require.LessOrEqual(t, r.Examined, 1, "of an intact store at most the newest block is read")
	r, err = Run(Options{
		Dir: s.streamDir(), Stream: stream, Subject: subject, Aside: filepath.Join(s.dir, "damaged"), Mark: s.markFile(), Log: discard(), All: true,
	})
	require.NoError(t, err)
	require.NotZero(t, r.DamagedBytes)
	s.serve(t, func(_ jetstream.JetStream, str jetstream.Stream) { require.Len(t, held(t, str), 19) })
}

// A write cut off by a power failure was never acknowledged.
func TestTornWriteIsNoDamage(t *testing.T) {
	s := newStore(t)
	s.serve(t, func(js jetstream.JetStream, _ jetstream.Stream) { s.put(t, js, 0xa, 1, 5, 1000) })
	f, err := os.OpenFile(s.msgs("1.blk"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(newCodec(stream, subject, 1).appendMessage(nil, 6, 1, pack(0xa, 6, 1000))[:700])
	require.NoError(t, err)
	require.NoError(t, f.Close())
	r := s.salvage(t)
	require.False(t, r.Damaged(), "%+v", r)
	s.serve(t, func(_ jetstream.JetStream, str jetstream.Stream) { require.Len(t, held(t, str), 5) })
}

func TestBrokenConsumerIsSetAside(t *testing.T) {
	for name, content := range map[string]string{"zeroed": "\x00\x00\x00", "empty": "", "no JSON": "{"} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			s.serve(t, func(js jetstream.JetStream, str jetstream.Stream) {
				s.put(t, js, 0xa, 1, 5, 1000)
				_, err := str.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "d", AckPolicy: jetstream.AckExplicitPolicy})
				require.NoError(t, err)
			})
			require.False(t, new(s.salvage(t)).Damaged())
			for _, file := range []string{"meta.inf", "meta.sum", "o.dat"} {
				require.NoError(t, os.WriteFile(filepath.Join(s.streamDir(), "obs", "d", file), []byte(content), 0o600))
			}
			require.Len(t, s.salvage(t).SetAside, 1)
			s.serve(t, func(_ jetstream.JetStream, str jetstream.Stream) { require.Len(t, held(t, str), 5) })
		})
	}
}

// A crash during a replacement leaves the old file or the new one.
func TestInterruptedReplacementIsFinished(t *testing.T) {
	s := newStore(t)
	s.serve(t, func(js jetstream.JetStream, _ jetstream.Stream) { s.put(t, js, 0xa, 1, 5, 1000) })
	for _, gone := range []bool{false, true} {
		whole, err := os.ReadFile(s.msgs("1.blk"))
		require.NoError(t, err)
		unfinished := whole[:100]
		if gone {
			unfinished = whole
			require.NoError(t, os.Remove(s.msgs("1.blk")))
		}
		require.NoError(t, os.WriteFile(s.msgs("1.blk.mended"), unfinished, 0o600))
		s.salvage(t)
		require.NoFileExists(t, s.msgs("1.blk.mended"))
		s.serve(t, func(_ jetstream.JetStream, str jetstream.Stream) { require.Len(t, held(t, str), 5) })
	}
}
