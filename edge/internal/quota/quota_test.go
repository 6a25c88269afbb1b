package quota

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// take offers a message of readings and reports whether it was taken.
func take(tb testing.TB, t *Table, at time.Duration, uses ...Use) bool {
	tb.Helper()
	r := t.Take(t.start.Add(at), uses)
	if r != nil {
		require.Equal(tb, telemetry.ReasonRateLimited, r.Reason)
		require.True(tb, r.Temporary())
		require.Contains(tb, r.Message, "retry later")
	}
	return r == nil
}

// TestOneLoudDeviceIsHeldBackAlone: 10,000 readings a second of one, one a second of its neighbour.
func TestOneLoudDeviceIsHeldBackAlone(t *testing.T) {
	table := New(Options{Limits: Limits{Readings: 50, Bytes: 1 << 20}})
	taken := 0
	const seconds = 10
	for i := range seconds * 10_000 {
		at := time.Duration(i) * time.Second / 10_000
		if take(t, table, at, Use{Device: "loud", Bytes: 600}) {
			taken++
		}
		if i%10_000 == 0 {
			require.True(t, take(t, table, at, Use{Device: "quiet", Bytes: 600}))
		}
	}
	require.InDelta(t, 50*10+50*seconds, taken, 2, "the burst and the rate")
}

func TestBytesAreBoundedToo(t *testing.T) {
	table := New(Options{Limits: Limits{Readings: 1000, Bytes: 1000}})
	for range 10 {
		require.True(t, take(t, table, 0, Use{Device: "a", Bytes: 1000}))
	}
	require.False(t, take(t, table, 0, Use{Device: "a", Bytes: 1}))
	require.False(t, take(t, table, 0, Use{Device: "b", Bytes: 1}, Use{Device: "a", Bytes: 1}), "whole or not")
	require.Equal(t, 1, table.Len(), "nothing was charged to b")
	require.True(t, take(t, table, 2*time.Millisecond, Use{Device: "a", Bytes: 1}))
}

// TestALargeBatchIsTaken: a device that was away sends what it kept, in one message larger than its burst.
func TestALargeBatchIsTaken(t *testing.T) {
	table := New(Options{Limits: Limits{Readings: 50}})
	batch := slices.Repeat([]Use{{Device: "a", Bytes: 1}}, 1000)
	require.True(t, take(t, table, 0, batch...))
	require.False(t, take(t, table, 9*time.Second, batch...), "it owes 500 readings, which take 10 s")
	require.True(t, take(t, table, 11*time.Second, batch...))
}

// TestInventedDevices: 100,000 ids in a minute, of which a gateway takes 60, while known ones go on.
func TestInventedDevices(t *testing.T) {
	table := New(Options{Limits: Limits{Readings: 50, NewDevices: 60, Devices: 1000}, Known: func(d string) bool { return d == "of the engineer" }})
	require.True(t, take(t, table, 0, Use{Device: "real"}))
	taken := 1
	for i := range 100_000 {
		at := time.Duration(i) * time.Minute / 100_000
		if take(t, table, at, Use{Device: fmt.Sprint("invented_", i)}) {
			taken++
		}
	}
	require.InDelta(t, 60+60, taken, 1, "those of a burst, and of this minute")
	require.True(t, take(t, table, time.Minute, Use{Device: "real"}))
	require.True(t, take(t, table, time.Minute, Use{Device: "of the engineer"}))
	require.Equal(t, taken+1, table.Len())
}

// TestTheLongestSilentMakesRoom, and the memory of the table is bounded.
func TestTheLongestSilentMakesRoom(t *testing.T) {
	table := New(Options{Limits: Limits{Devices: 1000}})
	var before, after runtime.MemStats
	for i := range 1000 {
		require.True(t, take(t, table, 0, Use{Device: fmt.Sprint("d", i)}))
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100_000 {
		require.True(t, take(t, table, time.Second, Use{Device: fmt.Sprint("e", i)}))
		require.True(t, take(t, table, time.Second, Use{Device: "d7"}))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Equal(t, 1000, table.Len())
	require.EqualValues(t, 100_000, table.Forgotten())
	require.NotNil(t, table.devices["d7"])
	require.NotNil(t, table.devices["e99999"])
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(1<<20))
}

// TestJunkIsBounded: one device has an eighth of what a gateway keeps in an hour.
func TestJunkIsBounded(t *testing.T) {
	table := New(Options{Limits: Limits{DeadBytes: 64 << 20}})
	flood := func(device string, at time.Duration) (kept int) {
		for range 10_000 {
			if take(t, table, at, Use{Device: device, Bytes: 64 << 10, Dead: true}) {
				kept += 64 << 10
			}
		}
		return kept
	}
	require.Equal(t, 8<<20, flood("bad", 0))
	require.True(t, take(t, table, 0, Use{Device: "bad", Bytes: 600}), "its good readings go on")
	require.True(t, take(t, table, 0, Use{Device: "other", Bytes: 600, Dead: true}))
	all := 8<<20 + 600
	for i := range 20 {
		all += flood(fmt.Sprint("bad", i), 0)
	}
	require.InDelta(t, 64<<20, all, 64<<10)
	require.Equal(t, 8<<20, flood("bad", time.Hour))
}

func TestNoLimits(t *testing.T) {
	table := New(Options{})
	for i := range 10_000 {
		require.True(t, take(t, table, 0, Use{Device: fmt.Sprint("d", i), Bytes: 1 << 20, Dead: true}, Use{Device: "a"}))
	}
}

func TestKnownDevicesSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known")
	limits := Limits{NewDevices: 3, Devices: 10}
	table := New(Options{Limits: limits})
	require.NoError(t, table.Load(path), "there is none yet")
	require.True(t, take(t, table, 0, Use{Device: "a"}, Use{Device: "b"}, Use{Device: ""}))
	require.NoError(t, table.Save(path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(data, "nonsense\n../x 1\n\na 5\nc"...), 0o600))
	table = New(Options{Limits: limits})
	require.NoError(t, table.Load(path))
	require.Equal(t, 2, table.Len())
	require.True(t, take(t, table, 0, Use{Device: "x"}, Use{Device: "y"}, Use{Device: "z"}))
	require.True(t, take(t, table, 0, Use{Device: "a"}))
	require.False(t, take(t, table, 0, Use{Device: "c"}))
	require.NotZero(t, table.devices["b"].heard)
}

func BenchmarkTake(b *testing.B) {
	table := New(Options{Limits: Limits{Readings: 1e9, Bytes: 1e12, Devices: 50_000, NewDevices: 1e9, DeadBytes: 1e9}})
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("device_%05d", i)
	}
	use := make([]Use, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		use[0] = Use{Device: names[i%len(names)], Bytes: 600}
		if r := table.Take(table.start.Add(time.Duration(i)*time.Microsecond), use); r != nil {
			b.Fatal(r)
		}
	}
}
