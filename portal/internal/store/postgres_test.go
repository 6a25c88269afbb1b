//go:build postgres

package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/test/pgtest"
)

func TestPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	suite(t, func(*testing.T) Options { return Options{URL: server.Database()} })
}

// TestPostgreSQLIsKilledWhileItIsWritten kills the server again and again. In the end each record is
// there once, and each acknowledged one was never missing.
func TestPostgreSQLIsKilledWhileItIsWritten(t *testing.T) {
	server := pgtest.Start(t)
	s, _ := open(t, Options{URL: server.Database()})
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan int, 1)
	go func() {
		n := 0
		defer func() { written <- n }()
		for ctx.Err() == nil {
			var records []Record
			for i := range 20 {
				records = append(records, entry(int32(i%3), int64(n+i), 1_700_000_000_000+int64(n+i)*60_000, telemetry.AuditEntry{DeviceID: "d", Note: fmt.Sprint(n + i)}))
			}
			if s.Write(ctx, topic, records) == nil {
				n += 20
			}
		}
	}()
	for range 10 {
		lifecycle.Pause(t.Context(), 200*time.Millisecond) // the moment of the cut is any
		server.Kill()
		server.Restart()
	}
	cancel()
	n := <-written
	require.Eventually(t, func() bool { return s.Up() == nil }, waitTimeout, time.Millisecond)
	all := everyEntry(t, s, &TrailQuery{})
	require.GreaterOrEqual(t, len(all), n)
	require.LessOrEqual(t, len(all), n+20, "a write without an answer may be there")
	require.Greater(t, n, 1000)
	for i, e := range all {
		require.Equal(t, fmt.Sprint(len(all)-1-i), e.Note)
	}
	positions, err := s.Positions(t.Context(), topic)
	require.NoError(t, err)
	next := int64(0)
	for _, p := range positions {
		next = max(next, p)
	}
	require.EqualValues(t, len(all), next)
}

// TestPostgreSQLThatStandsStill is not asked for ever.
func TestPostgreSQLThatStandsStill(t *testing.T) {
	server := pgtest.Start(t)
	s, _ := open(t, Options{URL: server.Database()})
	server.Pause()
	defer server.Resume()
	_, err := s.Trail(t.Context(), &TrailQuery{}, Page{Limit: 1})
	require.ErrorIs(t, err, ErrSlow)
	require.Eventually(t, func() bool { return s.Up() != nil }, waitTimeout, time.Millisecond)
	server.Resume()
	require.Eventually(t, func() bool { return s.Up() == nil }, waitTimeout, time.Millisecond)
	_, err = s.Trail(t.Context(), &TrailQuery{}, Page{Limit: 1})
	require.NoError(t, err)
}

// TestPostgreSQLAppliesEachChangeOnce has two portals apply the same topic at once.
func TestPostgreSQLAppliesEachChangeOnce(t *testing.T) {
	o := Options{URL: pgtest.Start(t).Database()}
	first, _ := open(t, o)
	second, _ := open(t, o)
	var records []Record
	for i := range int64(200) {
		records = append(records, changed(t, i, fmt.Sprint("c", i), fmt.Sprint("v", i%10), i/10+1, fmt.Sprint("p", i%2), view(fmt.Sprint("v", i%10), "")))
	}
	done := make(chan error, 2)
	for _, s := range []*Store{first, second} {
		_, err := s.Positions(t.Context(), kept)
		require.NoError(t, err)
		go func() {
			for part := range slices.Chunk(records, 7) {
				if err := s.Write(t.Context(), kept, part); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	for i := range records {
		require.Equal(t, []Outcome{"applied"}, second.outcomes(t, fmt.Sprint("c", i)))
	}
	l, err := first.Documents(t.Context(), &DocumentQuery{Kind: metadata.KindView}, Page{Limit: 100})
	require.NoError(t, err)
	require.Len(t, l.Items, 10)
	for _, d := range l.Items {
		require.EqualValues(t, 20, d.Version)
	}
}

func BenchmarkPostgreSQL(b *testing.B) {
	benchQuestions(b, Options{URL: pgtest.Start(b).Database()})
}

func BenchmarkMetadataPostgreSQL(b *testing.B) {
	benchMetadata(b, Options{URL: pgtest.Start(b).Database()})
}

// TestPostgreSQLDropsNoMonthWhileItIsRead has somebody read the trail for long: neither they nor those who
// write wait for the month that is to go.
func TestPostgreSQLDropsNoMonthWhileItIsRead(t *testing.T) {
	s, _ := open(t, Options{URL: pgtest.Start(t).Database()})
	now := time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC)
	old := now.AddDate(-2, 0, 0).UnixMilli()
	require.NoError(t, s.Write(t.Context(), topic, []Record{
		entry(0, 0, old, telemetry.AuditEntry{DeviceID: "d"}), entry(0, 1, now.UnixMilli(), telemetry.AuditEntry{DeviceID: "d"}),
	}))
	s.retention = 365 * 24 * time.Hour
	reading, err := s.opened().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	var n int
	require.NoError(t, reading.QueryRowContext(t.Context(), "select count(*) from audit").Scan(&n))
	require.Equal(t, 2, n)
	require.ErrorContains(t, s.Trim(t.Context(), now), "lock timeout")
	s.retention = 0
	require.NoError(t, s.Write(t.Context(), topic, []Record{entry(0, 2, now.UnixMilli(), telemetry.AuditEntry{DeviceID: "d"})}))
	require.Len(t, everyEntry(t, s, &TrailQuery{}), 3)
	require.NoError(t, reading.Rollback())
	s.retention = 365 * 24 * time.Hour
	require.NoError(t, s.Trim(t.Context(), now))
	require.Len(t, everyEntry(t, s, &TrailQuery{}), 2)
}
