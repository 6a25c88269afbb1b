package store

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	benchStart = 1_735_689_600_000 // 2025-01-01
	benchYear  = 365 * dayMS
)

// benchRows is how many entries and alarms together a benchmark asks about.
var benchRows = flag.Int64("rows", 200_000, "entries and alarms in the database of a benchmark")

// fillYear writes a year of rows: three entries an alarm, of 1,000 devices, 10 buildings, 30 rules
// and 20 people. It returns how long a row took.
func fillYear(b *testing.B, s *Store, rows int64) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	start := time.Now()
	const step = 2000
	for from := int64(0); from < rows/4; from += step / 4 {
		var records []Record
		for i := from; i < min(from+step/4, rows/4); i++ {
			at := benchStart + benchYear*i/(rows/4)
			device := r.IntN(1000)
			a := telemetry.Alert{
				AlertID: fmt.Sprintf("%032x", i), DeviceID: fmt.Sprintf("device_%05d", device), AlertType: types[r.IntN(2)], Severity: telemetry.SeverityLow,
				Location: telemetry.Location{Building: fmt.Sprint("B", device%10), Floor: device % 7, Room: fmt.Sprint(device % 70)}, Rule: fmt.Sprint("rule", r.IntN(30)),
				Source: telemetry.SourceRule, Revision: 3, RaisedAt: at, ClearedAt: at + r.Int64N(7_200_000), Message: "temperature 91.3 °C is above 80 °C",
				Status: telemetry.AlertCleared, State: telemetry.AlarmNormal, OccurrenceCount: 1,
			}
			if r.IntN(100) == 0 {
				a.ClearedAt = at + r.Int64N(5*dayMS)
			}
			if r.IntN(20) == 0 {
				a.Severity = telemetry.SeverityCritical
			}
			records = append(records, alarmRecord(0, 4*i, a))
			e := telemetry.AuditEntry{Time: at, DeviceID: a.DeviceID, Building: a.Location.Building, AlertType: a.AlertType, AlertID: a.AlertID, Rule: a.Rule, Revision: 1, Event: telemetry.EventRaised}
			records = append(records, entry(0, 4*i+1, at, e))
			e.Event, e.Revision = telemetry.EventCleared, 3
			records = append(records, entry(0, 4*i+3, a.ClearedAt, e))
			e.Event, e.By, e.CommandID, e.Action, e.Outcome = telemetry.EventAcknowledged, fmt.Sprint("operator ", r.IntN(20)), fmt.Sprint("c", i), telemetry.ActionAcknowledge, telemetry.OutcomeApplied
			if r.IntN(1000) == 0 {
				e.Outcome = telemetry.OutcomeRefused
			}
			records = append(records, entry(0, 4*i+2, at+60_000, e))
		}
		require.NoError(b, s.Write(b.Context(), topic, records))
	}
	b.Logf("%d rows written in %s", rows, time.Since(start).Round(time.Second))
}

// benchQuestions measures questions about a year and about a day, the first page of 100.
func benchQuestions(b *testing.B, o Options) {
	b.Helper()
	s, _ := open(b, o)
	fillYear(b, s, *benchRows)
	r := rand.New(rand.NewPCG(2, 2))
	first := Page{Limit: 100}
	device := func() string { return fmt.Sprintf("device_%05d", r.IntN(1000)) }
	building := func() string { return fmt.Sprint("B", r.IntN(10)) }
	rule := func() string { return fmt.Sprint("rule", r.IntN(30)) }
	person := func() string { return fmt.Sprint("operator ", r.IntN(20)) }
	day := func() (from, to int64) {
		from = benchStart + r.Int64N(benchYear-dayMS)
		return from, from + dayMS
	}
	trail := func(change func(q *TrailQuery)) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			q := TrailQuery{From: benchStart, To: benchStart + benchYear}
			change(&q)
			l, err := s.Trail(ctx, &q, first)
			return len(l.Items), err
		}
	}
	alarms := func(change func(q *JournalQuery)) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			q := JournalQuery{From: benchStart, To: benchStart + benchYear}
			change(&q)
			l, err := s.Journal(ctx, &q, first)
			return len(l.Items), err
		}
	}
	for _, x := range []struct {
		name string
		ask  func(context.Context) (int, error)
	}{
		{"trail/newest", trail(func(*TrailQuery) {})},
		{"trail/device", trail(func(q *TrailQuery) { q.Device = device() })},
		{"trail/building", trail(func(q *TrailQuery) { q.Building = building() })},
		{"trail/rule", trail(func(q *TrailQuery) { q.Rule = rule() })},
		{"trail/person", trail(func(q *TrailQuery) { q.By = person() })},
		{"trail/refused", trail(func(q *TrailQuery) { q.Outcomes = []string{"refused"} })},
		{"trail/person+building", trail(func(q *TrailQuery) { q.By, q.Building = person(), building() })},
		{"trail/person+device", trail(func(q *TrailQuery) { q.By, q.Device = person(), device() })},
		{"trail/day", trail(func(q *TrailQuery) { q.From, q.To = day() })},
		{"journal/newest", alarms(func(*JournalQuery) {})},
		{"journal/device", alarms(func(q *JournalQuery) { q.Device = device() })},
		{"journal/building+critical", alarms(func(q *JournalQuery) { q.Building, q.Severities = building(), []string{"critical"} })},
		{"journal/rule", alarms(func(q *JournalQuery) { q.Rule = rule() })},
		{"journal/rule+device", alarms(func(q *JournalQuery) { q.Rule, q.Device = rule(), device() })},
		{"journal/day", alarms(func(q *JournalQuery) { q.From, q.To = day() })},
		{"journal/day+critical", alarms(func(q *JournalQuery) {
			q.From, q.To = day()
			q.Severities = []string{"critical"}
		})},
		{"journal/day+text", alarms(func(q *JournalQuery) {
			q.From, q.To = day()
			q.Text = device()
		})},
	} {
		b.Run(x.name, func(b *testing.B) {
			found, worst := 0, time.Duration(0)
			for b.Loop() {
				start := time.Now()
				n, err := x.ask(b.Context())
				require.NoError(b, err)
				found += n
				worst = max(worst, time.Since(start))
			}
			b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
			b.ReportMetric(float64(found)/float64(b.N), "rows/op")
		})
	}
}

func BenchmarkSQLite(b *testing.B) {
	benchQuestions(b, Options{Path: filepath.Join(b.TempDir(), "portal.db")})
}
