package wire_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// goldenPackEntries are the entries of testdata/pack.golden.
func goldenPackEntries() []wire.PackEntry {
	return []wire.PackEntry{
		{Device: "device_001", Received: 1640995200010, Payload: []byte(`{"device_id":"device_001"}`)},
		{Device: "device_002", Received: 1640995200013, Payload: []byte("{\n}")},
		{Device: "device_003", Received: 1640995200009, Payload: []byte{}, Refusal: &telemetry.Refusal{
			Reason: telemetry.ReasonEmpty, Message: "the message is empty",
		}},
		{Device: "", Received: 1640995200014, Payload: []byte{0xff, 0x00}, Refusal: &telemetry.Refusal{
			Reason: telemetry.ReasonInvalidReading, Field: "sensors.temperature.value", Message: "want a number",
		}},
	}
}

func buildPack(b *wire.PackBuilder, epoch, counter uint64, entries []wire.PackEntry) []byte {
	b.Reset(epoch, counter)
	for _, e := range entries {
		b.Add(e)
	}
	return b.Finish()
}

func readPack(t *testing.T, data []byte) (wire.PackHeader, []wire.PackEntry) {
	t.Helper()
	p, err := wire.OpenPack(data)
	require.NoError(t, err)
	var got []wire.PackEntry
	for e, ok := p.Next(); ok; e, ok = p.Next() {
		got = append(got, e)
	}
	require.NoError(t, p.Err())
	return p.Header, got
}

func TestPackGolden(t *testing.T) {
	var b wire.PackBuilder
	buildPack(&b, 0x0123456789abcdef, 7, goldenPackEntries())
	before := wire.PackTotals{Readings: 600, Refused: 3}
	b.Follow(before)
	require.Equal(t, wire.PackTotals{Readings: 602, Refused: 5}, b.Totals())
	data := b.Finish()
	golden(t, "pack.golden", data)
	h, got := readPack(t, data)
	require.Equal(t, wire.PackHeader{Epoch: 0x0123456789abcdef, Counter: 7, Before: before, Base: 1640995200010, Count: 4}, h)
	require.Equal(t, goldenPackEntries(), got)
}

// flaggedPackEntries are the entries of testdata/pack_v3.golden: a batch of a concentrator
// and a mapped reading.
func flaggedPackEntries() []wire.PackEntry {
	return []wire.PackEntry{
		{Device: "device_001", Received: 1640995200010, Payload: []byte(`{"device_id":"device_001"}`), Sender: 0x1122334455667788, ID: 0x99aabbccddeeff00},
		{Device: "device_002", Received: 1640995200010, Payload: []byte("7"), Part: true, Refusal: &telemetry.Refusal{
			Reason: telemetry.ReasonInvalidJSON, Message: "no object",
		}},
		{Device: "plug_7", Received: 1640995200011, Payload: []byte(`{"device_id":"plug_7"}`), Mapping: "tasmota"},
	}
}

func TestPackWithIDsAndMappingsGolden(t *testing.T) {
	var b wire.PackBuilder
	data := buildPack(&b, 0x0123456789abcdef, 8, flaggedPackEntries())
	golden(t, "pack_v3.golden", data)
	require.EqualValues(t, 3, data[4])
	_, got := readPack(t, data)
	require.Equal(t, flaggedPackEntries(), got)
	sum, _, err := wire.TotalsAfter(data)
	require.NoError(t, err)
	require.Equal(t, wire.PackTotals{Readings: 2, Refused: 1}, sum)
	start, end, ok := wire.FindPack(append([]byte("rubbish"), data...))
	require.True(t, ok)
	require.Equal(t, []int{7, 7 + len(data)}, []int{start, end})
}

// A bridge of the release before reads packs without ids and mappings.
func TestPackWithoutNewFlagsIsVersion2(t *testing.T) {
	var b wire.PackBuilder
	require.EqualValues(t, 2, buildPack(&b, 1, 1, goldenPackEntries())[4])
	require.EqualValues(t, 3, buildPack(&b, 1, 1, flaggedPackEntries())[4])
	require.EqualValues(t, 2, buildPack(&b, 1, 2, goldenPackEntries())[4], "Reset clears the version")
}

func TestPackEmpty(t *testing.T) {
	var b wire.PackBuilder
	h, got := readPack(t, buildPack(&b, 1, 2, nil))
	require.Equal(t, wire.PackHeader{Epoch: 1, Counter: 2}, h)
	require.Empty(t, got)
}

func randomText(r *rand.Rand, n int) string {
	b := make([]byte, r.IntN(n))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func TestPackRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var b wire.PackBuilder
	for range 300 {
		entries := make([]wire.PackEntry, r.IntN(20))
		for i := range entries {
			e := wire.PackEntry{
				Device: randomText(r, 20), Received: int64(r.Uint64() >> r.IntN(64)), Payload: []byte(randomText(r, 300)),
			}
			if r.IntN(3) == 0 {
				e.Refusal = &telemetry.Refusal{
					Reason: telemetry.Reason(randomText(r, 9)), Field: randomText(r, 9), Message: randomText(r, 200),
				}
			}
			if r.IntN(3) == 0 {
				e.Sender, e.ID = r.Uint64(), r.Uint64()
			}
			if r.IntN(3) == 0 {
				e.Mapping = randomText(r, 9)
			}
			e.Part = r.IntN(3) == 0
			entries[i] = e
		}
		epoch, counter := r.Uint64(), r.Uint64()
		data := buildPack(&b, epoch, counter, entries)
		require.Len(t, data, b.Size())
		require.Equal(t, len(entries), b.Count())
		h, got := readPack(t, data)
		require.Equal(t, epoch, h.Epoch)
		require.Equal(t, counter, h.Counter)
		require.Equal(t, len(entries), h.Count)
		require.Len(t, got, len(entries))
		for i := range got {
			require.Equal(t, entries[i], got[i])
		}
	}
}

func TestPackFinishTwiceAndAddAfter(t *testing.T) {
	var b wire.PackBuilder
	entries := goldenPackEntries()
	first := bytes.Clone(buildPack(&b, 1, 1, entries[:1]))
	require.Equal(t, first, b.Finish())
	b.Add(entries[1])
	_, got := readPack(t, b.Finish())
	require.Equal(t, entries[:2], got)
}

func TestPackExtremeTimes(t *testing.T) {
	var b wire.PackBuilder
	entries := []wire.PackEntry{
		{Received: math.MaxInt64, Payload: []byte{}}, {Received: math.MinInt64, Payload: []byte{}}, {Payload: []byte{}},
	}
	_, got := readPack(t, buildPack(&b, 1, 1, entries))
	require.Equal(t, entries, got)
}

// TestPackDamageIsNoticed flips every bit and cuts at every length.
func TestPackDamageIsNoticed(t *testing.T) {
	var b wire.PackBuilder
	whole := buildPack(&b, 1, 1, slices.Concat(goldenPackEntries(), flaggedPackEntries()))
	for i := range whole {
		for bit := range 8 {
			data := bytes.Clone(whole)
			data[i] ^= 1 << bit
			_, err := wire.OpenPack(data)
			require.ErrorIs(t, err, wire.ErrDamagedPack)
		}
		_, err := wire.OpenPack(whole[:i])
		require.ErrorIs(t, err, wire.ErrDamagedPack)
	}
}

// seal gives a pack body a right checksum, as a hostile or faulty writer would.
func seal(body []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

func TestPackBadContentWithGoodChecksum(t *testing.T) {
	head := func(count uint32) []byte {
		return binary.BigEndian.AppendUint32(append([]byte("IOTP\x02"), make([]byte, 40)...), count)
	}
	newHead := func(count uint32) []byte {
		return binary.BigEndian.AppendUint32(append([]byte("IOTP\x03"), make([]byte, 40)...), count)
	}
	tests := map[string]struct {
		body []byte
		want string
	}{
		"count too large":   {head(math.MaxUint32), "4294967295 entries do not fit"},
		"entry cut short":   {append(head(1), 0, 0, 9, 'a'), "entry 0 is unreadable"},
		"length overflows":  {append(head(1), 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "entry 0 is unreadable"},
		"varint overflows":  {append(head(1), []byte("\x00"+strings.Repeat("\xff", 12))...), "entry 0 is unreadable"},
		"flag of version 3": {append(head(1), 8, 0, 0, 0), "entry 0 is unreadable"},
		"unknown flag":      {append(newHead(1), 16, 0, 0, 0), "entry 0 is unreadable"},
		"id cut short":      {append(newHead(1), 2, 0, 0, 0, 1, 2, 3), "entry 0 is unreadable"},
		"unknown version":   {append(append([]byte("IOTP\x01"), make([]byte, 40)...), 0, 0, 0, 0), "version 1 is unknown"},
		"bytes at the end":  {append(head(1), 0, 0, 0, 0, 7), "1 bytes after the last entry"},
		"second entry gone": {append(head(2), 0, 0, 0, 4, 'a', 'b', 'c', 'd'), "entry 1 is unreadable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := wire.OpenPack(seal(tt.body))
			if err == nil {
				for range 10 {
					p.Next()
				}
				err = p.Err()
			}
			require.ErrorIs(t, err, wire.ErrDamagedPack)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestPackBuilderDoesNotAllocate(t *testing.T) {
	var b wire.PackBuilder
	entries := slices.Concat(goldenPackEntries(), flaggedPackEntries())
	buildPack(&b, 1, 1, entries)
	require.Zero(t, testing.AllocsPerRun(100, func() { buildPack(&b, 1, 1, entries) }))
}

func FuzzOpenPack(f *testing.F) {
	var b wire.PackBuilder
	f.Add(bytes.Clone(buildPack(&b, 1, 1, goldenPackEntries())))
	f.Add(bytes.Clone(buildPack(&b, 1, 1, flaggedPackEntries())))
	f.Add(bytes.Clone(buildPack(&b, 1, 1, nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= 4 { // let the fuzzer past the checksum
			data = seal(data[:len(data)-4])
		}
		p, err := wire.OpenPack(data)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrDamagedPack)
			return
		}
		var entries []wire.PackEntry
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			entries = append(entries, e)
		}
		if p.Err() != nil {
			require.ErrorIs(t, p.Err(), wire.ErrDamagedPack)
			return
		}
		require.Len(t, entries, p.Header.Count)
		_, again := readPack(t, buildPack(&b, p.Header.Epoch, p.Header.Counter, entries))
		require.Equal(t, entries, again)
	})
}

func BenchmarkPackBuild(b *testing.B) {
	var pb wire.PackBuilder
	e := wire.PackEntry{Device: "device_001", Received: 1640995200010, Payload: make([]byte, 593)}
	b.ReportAllocs()
	for b.Loop() {
		pb.Reset(1, 1)
		for range 100 {
			pb.Add(e)
		}
		pb.Finish()
	}
}

func BenchmarkPackRead(b *testing.B) {
	var pb wire.PackBuilder
	pb.Reset(1, 1)
	for range 100 {
		pb.Add(wire.PackEntry{Device: "device_001", Received: 1640995200010, Payload: make([]byte, 593)})
	}
	data := pb.Finish()
	b.ReportAllocs()
	for b.Loop() {
		p, err := wire.OpenPack(data)
		if err != nil {
			b.Fatal(err)
		}
		for range p.Header.Count {
			if _, ok := p.Next(); !ok {
				b.Fatal(p.Err())
			}
		}
	}
}

// TestPackOfANewerVersionIsNoDamage: a bridge leaves it at the gateway until it is upgraded. A version that is
// unknown because a bit changed is damage.
func TestPackOfANewerVersionIsNoDamage(t *testing.T) {
	var b wire.PackBuilder
	data := bytes.Clone(buildPack(&b, 1, 1, flaggedPackEntries()))
	data[4] = 4
	_, err := wire.OpenPack(data)
	require.ErrorIs(t, err, wire.ErrDamagedPack)
	require.NotErrorIs(t, err, wire.ErrNewerPack)
	end := len(data) - 4
	binary.BigEndian.PutUint32(data[end:], crc32.Checksum(data[:end], crc32.MakeTable(crc32.Castagnoli)))
	_, err = wire.OpenPack(data)
	require.ErrorIs(t, err, wire.ErrNewerPack)
	require.NotErrorIs(t, err, wire.ErrDamagedPack)
	require.ErrorContains(t, err, "it has version 4, this program reads up to 3: upgrade it")
}
