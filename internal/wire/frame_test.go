package wire_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// framesV2 are the entries of testdata/frame_v2.golden.
func framesV2() []wire.FrameEntry {
	return []wire.FrameEntry{
		{Device: "device_001", Timestamp: 1640995200000, Received: 1640995200010, Payload: []byte(`{"device_id":"device_001"}`)},
		{Device: "device_002", Timestamp: -1, Received: 0, Backfill: true, Payload: []byte{}},
		{Device: "device_003", Timestamp: 1640995200000, Received: 1640995200010, ClockOffset: -946684800000, Payload: []byte(`{}`)},
	}
}

// goldenFrameEntries are the entries of testdata/frame.golden.
func goldenFrameEntries() []wire.FrameEntry {
	es := framesV2()
	es[0].Reading = &telemetry.Reading{
		DeviceID: "device_001", Location: telemetry.Location{Building: "A栋", Floor: -2, Room: "301"},
		Info: telemetry.DeviceInfo{Model: "m", Firmware: "1.0", Battery: telemetry.Some(0), IntervalS: 5},
		Sensors: telemetry.Sensors{
			{Name: "temperature", Number: 25.37, Unit: "°C"},
			{Name: "level", Number: 7, Unit: "furlong", Status: telemetry.StatusUnitUnknown},
			telemetry.Switch("on", true),
			{Name: "state", Kind: telemetry.Text, Text: "open"},
		},
		Flaws: []string{"device_info.signal_strength"},
	}
	es[2].Reading = &telemetry.Reading{
		DeviceID: "device_003", Location: telemetry.Location{Building: "A栋"}, Info: telemetry.DeviceInfo{SignalStrength: telemetry.Some(-50)},
		Sensors: telemetry.Sensors{{Name: "temperature", Number: -1e300, Unit: "°C"}, telemetry.Switch("on", false)},
	}
	return es
}

func buildFrame(b *wire.FrameBuilder, gateway string, entries []wire.FrameEntry) []byte {
	b.Reset(gateway)
	for _, e := range entries {
		b.Add(e)
	}
	return b.Finish()
}

func readFrame(t *testing.T, data []byte) (string, []wire.FrameEntry) {
	t.Helper()
	f, err := wire.OpenFrame(data)
	require.NoError(t, err)
	var got []wire.FrameEntry
	for e, ok := f.Next(); ok; e, ok = f.Next() {
		got = append(got, e)
	}
	require.NoError(t, f.Err())
	require.Len(t, got, f.Count)
	return f.Gateway, got
}

func TestFrameGolden(t *testing.T) {
	var b wire.FrameBuilder
	data := buildFrame(&b, "gw-a", goldenFrameEntries())
	golden(t, "frame.golden", data)
	gateway, got := readFrame(t, data)
	require.Equal(t, "gw-a", gateway)
	require.Equal(t, goldenFrameEntries(), got)
}

// TestFrameOfVersion2IsRead: core may be older than the portal.
func TestFrameOfVersion2IsRead(t *testing.T) {
	data, err := os.ReadFile("testdata/frame_v2.golden")
	require.NoError(t, err)
	gateway, got := readFrame(t, data)
	require.Equal(t, "gw-a", gateway)
	require.Equal(t, framesV2(), got)
	for i := range data {
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << bit
			f, err := wire.OpenFrame(changed)
			if err != nil || changed[4] != 2 {
				continue
			}
			for e, ok := f.Next(); ok; e, ok = f.Next() {
				require.Nil(t, e.Reading)
			}
		}
	}
}

func TestFrameRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var b wire.FrameBuilder
	for range 300 {
		entries := make([]wire.FrameEntry, r.IntN(20))
		for i := range entries {
			entries[i] = wire.FrameEntry{
				Device: randomText(r, 20), Timestamp: int64(r.Uint64()), Received: int64(r.Uint64() >> r.IntN(64)),
				Backfill: r.IntN(2) == 0, Payload: []byte(randomText(r, 300)), ClockOffset: int64(r.Uint64()) * r.Int64N(2),
			}
			if r.IntN(4) > 0 {
				entries[i].Reading = randomValues(r, entries[i].Device)
			}
		}
		gateway := randomText(r, 9)
		data := buildFrame(&b, gateway, entries)
		require.Equal(t, len(entries), b.Count())
		require.Len(t, data, b.Size())
		gotGateway, got := readFrame(t, data)
		require.Equal(t, gateway, gotGateway)
		require.Len(t, got, len(entries))
		for i := range got {
			require.Equal(t, entries[i], got[i])
		}
	}
}

func TestFrameDamage(t *testing.T) {
	var b wire.FrameBuilder
	whole := buildFrame(&b, "gw-a", goldenFrameEntries())
	check := func(data []byte, want string) {
		t.Helper()
		f, err := wire.OpenFrame(data)
		if err == nil {
			for range 10 {
				f.Next()
			}
			err = f.Err()
		}
		require.ErrorIs(t, err, wire.ErrDamagedFrame)
		require.ErrorContains(t, err, want)
	}
	for i := range whole {
		check(whole[:i], "")
	}
	check([]byte("IOTP\x01"), "does not start with IOTF")
	check([]byte("IOTF\x01"), "version 1 is unknown")
	check([]byte("IOTF\x04"), "version 4 is unknown")
	check([]byte("IOTF\x02\x05gw"), "head is truncated")
	check([]byte("IOTF\x02\x00\xff\xff\xff\xff"), "4294967295 entries do not fit")
	check([]byte("IOTF\x02\x00\x00\x00\x00\x00!"), "1 bytes after the last entry")
	check([]byte("IOTF\x02\x00\x00\x00\x00\x01\x00\x00\x00\x09a"), "entry 0 is unreadable")
}

func TestFrameIsBuiltAndReadWithoutAllocating(t *testing.T) {
	var b wire.FrameBuilder
	var f wire.Frame
	var r telemetry.Reading
	entries := goldenFrameEntries()
	pass := func() {
		if f.Open(buildFrame(&b, "gw-a", entries)) != nil {
			t.Error("damaged")
		}
		for ok := true; ok; {
			_, ok = f.NextInto(&r)
		}
	}
	pass()
	require.Zero(t, testing.AllocsPerRun(100, pass))
	require.NoError(t, f.Err())
}

func FuzzOpenFrame(f *testing.F) {
	var b wire.FrameBuilder
	f.Add(bytes.Clone(buildFrame(&b, "gw-a", goldenFrameEntries())))
	f.Add(bytes.Clone(buildFrame(&b, "", nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		fr, err := wire.OpenFrame(data)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrDamagedFrame)
			return
		}
		var entries []wire.FrameEntry
		for e, ok := fr.Next(); ok; e, ok = fr.Next() {
			entries = append(entries, e)
		}
		if fr.Err() != nil {
			require.ErrorIs(t, fr.Err(), wire.ErrDamagedFrame)
			return
		}
		_, again := readFrame(t, buildFrame(&b, fr.Gateway, entries))
		require.Equal(t, entries, again)
	})
}

// TestFrameOfANewerVersionIsRefused: a portal that is older than core shows nothing live, and says why.
func TestFrameOfANewerVersionIsRefused(t *testing.T) {
	data, err := os.ReadFile("testdata/frame_v2.golden")
	require.NoError(t, err)
	data[4] = 4
	_, err = wire.OpenFrame(data)
	require.ErrorIs(t, err, wire.ErrDamagedFrame)
	require.ErrorContains(t, err, "version 4 is unknown")
}
