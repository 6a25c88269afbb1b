package archive

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

func TestRetentionByAge(t *testing.T) {
	c := &clock{noon}
	o := options(t.TempDir(), c)
	o.Retention = 2 * 24 * time.Hour
	a := open(t, o)
	h := head(t, a, 0)
	put(t, h, "d1", noon-dayMS, number("temperature", 1))
	put(t, h, "d1", noon, number("temperature", 2))
	put(t, h, "d1", noon-5*dayMS, number("temperature", 3)) // too old to be kept at all
	put(t, h, "d1", noon+5*dayMS, number("temperature", 4)) // in the future
	require.EqualValues(t, 4, h.Next())
	require.NoError(t, h.Flush(t.Context()))
	require.Len(t, contents(t, a), 2)
	c.ms += 2 * dayMS
	a.Tidy(t.Context())
	require.Len(t, contents(t, a), 1)
	require.NoFileExists(t, dayPath(o.Dir, noon/dayMS-1))
	begins, err := a.Begins(t.Context(), "d1")
	require.NoError(t, err)
	require.Equal(t, day0, begins, "of the oldest file")
	c.ms += 4 * dayMS
	put(t, h, "d1", noon+5*dayMS, number("temperature", 5)) // this day has come
	require.Equal(t, 2, h.values)
}

func TestRetentionByBytes(t *testing.T) {
	c := &clock{noon + 2*dayMS}
	o := options(t.TempDir(), c)
	o.MaxBytes = 1
	a := open(t, o)
	h := head(t, a, 0)
	for i := range int64(3) {
		put(t, h, "d1", noon+i*dayMS, number("temperature", 1))
	}
	require.NoError(t, h.Flush(t.Context()))
	a.Tidy(t.Context())
	want := map[value]telemetry.Sensor{{"d1", noon + 2*dayMS, "temperature"}: number("temperature", 1)}
	require.Equal(t, want, contents(t, a), "today stays")
	for range 2 { // here, and after the next start
		put(t, h, "d1", noon+dayMS+1, number("temperature", 2))
		require.NoError(t, h.Flush(t.Context()))
		require.Equal(t, want, contents(t, a), "a late reading brings no day back")
		require.NoError(t, a.Close())
		a = open(t, o)
		h = head(t, a, 0)
	}
}

// TestDamagedDayIsRebuilt: a day whose file is damaged comes back from the log, and no other is
// doubled.
func TestDamagedDayIsRebuilt(t *testing.T) {
	for _, damage := range []struct {
		name string
		do   func(t *testing.T, path string)
	}{
		{"overwritten", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte("no database at all, but long enough to look at"), 0o600))
		}},
		{"gone", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
		}},
		{"empty", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}},
		{"a page", func(t *testing.T, path string) {
			t.Helper()
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			for i := 8192; i < len(b); i++ {
				b[i] ^= 0x5a
			}
			require.NoError(t, os.WriteFile(path, b, 0o600))
		}},
	} {
		t.Run(damage.name, func(t *testing.T) {
			c := &clock{noon + dayMS}
			o := options(t.TempDir(), c)
			l := makeLog(rand.New(rand.NewPCG(5, 5)), 300)
			a := open(t, o)
			h := head(t, a, 0)
			l.read(t, h, len(l))
			require.NoError(t, h.Flush(t.Context()))
			require.NoError(t, a.Close())
			damage.do(t, dayPath(o.Dir, day0/dayMS))

			a = open(t, o)
			if damage.name != "gone" { // that is seen at once
				_, err := a.Series(t.Context(), &history.Query{Devices: []string{"d0"}, From: day0, To: day0 + dayMS, Points: 1000})
				require.ErrorIs(t, err, ErrRebuild)
				<-a.Rebuild()
				aside, err := filepath.Glob(filepath.Join(o.Dir, "*.damaged-*"))
				require.NoError(t, err)
				require.NotEmpty(t, aside)
				require.EqualValues(t, 1, a.Status().Damaged)
			}
			at, some, err := a.Lost(t.Context())
			require.NoError(t, err)
			require.True(t, some)
			require.Equal(t, day0, at)
			require.NoError(t, a.Rewind(t.Context(), map[int32]int64{0: 0}))
			_, some, err = a.Lost(t.Context())
			require.NoError(t, err)
			require.False(t, some)
			h = head(t, a, 0)
			require.Zero(t, h.Next())
			l.read(t, h, len(l))
			require.NoError(t, h.Flush(t.Context()))
			require.Equal(t, l.model(), contents(t, a))
		})
	}
}

// TestHeadFromBeforeTheDamageWritesNothing: what it has read is behind what must be read again.
func TestHeadFromBeforeTheDamageWritesNothing(t *testing.T) {
	c := &clock{noon}
	o := options(t.TempDir(), c)
	l := log{
		{Device: "d1", At: noon, Sensors: telemetry.Sensors{number("temperature", 1)}},
		{Device: "d1", At: noon + 1, Sensors: telemetry.Sensors{number("temperature", 2)}},
	}
	a := open(t, o)
	h, other := head(t, a, 0), head(t, a, 1)
	l.read(t, h, 1)
	require.NoError(t, h.Flush(t.Context()))
	l.read(t, h, 2)
	put(t, other, "d2", noon, number("temperature", 3))
	d, err := a.dayFor(noon / dayMS)
	require.NoError(t, err)
	require.ErrorIs(t, a.failed(d, samples.ErrDamaged), ErrRebuild)
	require.ErrorIs(t, h.Flush(t.Context()), ErrRebuild)
	require.ErrorIs(t, other.Flush(t.Context()), ErrRebuild)
	fresh := Reading{Device: "d2", At: noon - dayMS, Sensors: l[0].Sensors}
	require.ErrorIs(t, other.Append(1, &fresh), ErrRebuild, "of a day that it has not written to")
	a.Drop(other)
	_, err = a.Head(t.Context(), 0)
	require.ErrorIs(t, err, ErrRebuild, "its position is not yet moved back")
	require.NoError(t, a.Rewind(t.Context(), map[int32]int64{0: 0, 1: 0}))
	h = head(t, a, 0)
	l.read(t, h, 2)
	require.NoError(t, h.Flush(t.Context()))
	require.Equal(t, l.model(), contents(t, a))
}

func TestDamagedCatalogueIsMadeAgain(t *testing.T) {
	c := &clock{noon + dayMS}
	o := options(t.TempDir(), c)
	l := makeLog(rand.New(rand.NewPCG(6, 6)), 300)
	a := open(t, o)
	id := a.ID()
	h := head(t, a, 0)
	l.read(t, h, len(l))
	require.NoError(t, h.Flush(t.Context()))
	require.NoError(t, a.Close())
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, catalogueName), []byte("rubbish, and enough of it to be read as a header"), 0o600))
	a = open(t, o)
	require.Equal(t, id, a.ID(), "the plant's history is still this one")
	h = head(t, a, 0)
	require.Zero(t, h.Next())
	l.read(t, h, len(l))
	require.Zero(t, h.values, "the files have everything")
	require.NoError(t, h.Flush(t.Context()))
	require.Equal(t, l.model(), contents(t, a))
}
