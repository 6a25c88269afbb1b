package store

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestSQLite(t *testing.T) {
	suite(t, func(t *testing.T) Options {
		t.Helper()
		return Options{Path: filepath.Join(t.TempDir(), "made", "odd name?#%.db")}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	for _, o := range []Options{
		{Log: log, Registry: reg},
		{Path: "a", URL: "postgres://b/c", Log: log, Registry: reg},
		{Path: "a", Registry: reg},
		{Path: "a", Log: log},
	} {
		_, err := New(o)
		require.ErrorIs(t, err, errOptions)
	}
	for _, url := range []string{"localhost", "mysql://a/b", "postgres://a:secret@b:port/c", "host=a password=secret"} {
		_, err := New(Options{URL: url, Log: log, Registry: reg})
		require.ErrorIs(t, err, errURL)
		require.NotContains(t, err.Error(), "secret")
	}
	s, err := New(Options{URL: "postgres://me:secret@db.example:5433/plant", Log: log, Registry: reg})
	require.NoError(t, err)
	require.Equal(t, "postgres://db.example:5433/plant", s.Where())
}

func TestAFileThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(dir, []byte("a file"), 0o600))
	s, _ := run(t, Options{Path: filepath.Join(dir, "portal.db")})
	_, err := s.Trail(t.Context(), &TrailQuery{}, Page{Limit: 1})
	require.ErrorIs(t, err, ErrUnavailable)
	require.Eventually(t, func() bool { return s.Up() != nil && !errors.Is(s.Up(), errNotYet) }, waitTimeout, time.Millisecond)
	require.NoError(t, os.Remove(dir))
	require.Eventually(t, func() bool { return s.Up() == nil }, waitTimeout, time.Millisecond)
	info, err := os.Stat(s.Where())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = s.Trail(t.Context(), &TrailQuery{}, Page{Limit: 1})
	require.NoError(t, err)
}

// TestADamagedFileIsSetAside overwrites the file before it is opened and while it is open.
func TestADamagedFileIsSetAside(t *testing.T) {
	dir := t.TempDir()
	o := Options{Path: filepath.Join(dir, "portal.db")}
	overwrite := func(from int64) {
		t.Helper()
		f, err := os.OpenFile(o.Path, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteAt(bytes.Repeat([]byte("damage"), 200_000), from)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	fill := func(s *Store) {
		t.Helper()
		var records []Record
		for i := range int64(5000) {
			records = append(records, entry(0, i, i, telemetry.AuditEntry{DeviceID: "d", Note: strings.Repeat("n", 200)}))
		}
		require.NoError(t, s.Write(t.Context(), topic, records))
	}
	aside := func() int {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, "portal.db.damaged-*[0-9]"))
		require.NoError(t, err)
		return len(names)
	}
	s, stop := open(t, o)
	fill(s)
	stop()
	overwrite(0)
	s, stop = open(t, o)
	require.Equal(t, 1, aside())
	require.Empty(t, everyEntry(t, s, &TrailQuery{}))
	positions, err := s.Positions(t.Context(), topic)
	require.NoError(t, err)
	require.Empty(t, positions, "what Kafka has is read again")
	fill(s)
	stop() // so that it is in the file, and not in the journal
	s, _ = open(t, o)
	overwrite(8192)
	require.Eventually(t, func() bool {
		_, err := s.Trail(t.Context(), &TrailQuery{Device: "d"}, Page{Limit: 1000})
		return err != nil
	}, waitTimeout, time.Millisecond)
	require.Eventually(t, func() bool { return aside() == 2 && s.Up() == nil }, waitTimeout, time.Millisecond)
	require.ErrorIs(t, s.Write(t.Context(), topic, []Record{{Offset: 5000}}), ErrStartOver)
	positions, err = s.Positions(t.Context(), topic)
	require.NoError(t, err)
	require.Empty(t, positions)
	fill(s)
	require.Len(t, everyEntry(t, s, &TrailQuery{}), 5000)
}
