package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/report"
	"industrial-iot-monitor/portal/internal/state"
)

// Marks of an alarm by its newest record.
const (
	markHistorical = 1 << iota
	markSuppressed
	markShelved
	markOutOfService
	markMaintained // it came up while its device was under maintenance
)

func marks(a *state.Alert) (n int64) {
	for mark, is := range map[int64]bool{
		markHistorical: a.Historical, markSuppressed: a.Suppressed != nil, markShelved: a.Shelved != nil, markOutOfService: a.OutOfService != nil,
		markMaintained: a.Shelved != nil && a.Shelved.Maintenance && a.RaisedAt >= a.Shelved.At,
	} {
		if is {
			n |= mark
		}
	}
	return n
}

// acknowledged is when an operator acknowledged an alarm, null if nobody did.
func acknowledged(a *state.Alert) any {
	if a.Ack == nil {
		return nil
	}
	return a.Ack.At
}

// ReportQuery selects what a report is made of: alarms whose condition held in [From, To), in ms.
type ReportQuery struct {
	Building string // empty: all
	From, To int64
}

// The value of an alarm is needed only if it was raised more than once. Without it all columns are in an
// index (alarms_report).
const (
	withoutValue = packed + ", null"
	withValue    = packed + ", case when occurrences > 1 then value end"
	// packed are the columns of an alarm as one text: a row of ten columns takes the driver of SQLite several
	// times as long. The building is last: it may have any character.
	packed = "alert_id || '" + unit + "' || device || '" + unit + "' || coalesce(alert_type, '') || '" + unit + "' || coalesce(rule, '') || '" + unit +
		"' || coalesce(severity, '') || '" + unit + "' || raised_at || '" + unit + "' || coalesce(ended_at, 0) || '" + unit + "' || coalesce(acknowledged_at, 0) || '" + unit +
		"' || marks || '" + unit + "' || coalesce(building, '')"
	packedColumns = 10
	unit          = "\x1f" // the separator of units in ASCII
)

// errPacked is returned for a row that is not as packed has it.
var errPacked = errors.New("a row of alarms cannot be taken apart")

// unpack returns the alarm of a row.
func unpack(row string) (a report.Alarm, err error) {
	part := strings.SplitN(row, unit, packedColumns)
	if len(part) != packedColumns {
		return a, errPacked
	}
	var numbers [4]int64
	for i := range numbers {
		if numbers[i], err = strconv.ParseInt(part[5+i], 10, 64); err != nil {
			return a, fmt.Errorf("%w: %w", errPacked, err)
		}
	}
	marks := numbers[3]
	return report.Alarm{
		ID: part[0], Device: part[1], Type: part[2], Rule: part[3], Severity: telemetry.Severity(part[4]), Building: part[9],
		RaisedAt: numbers[0], EndedAt: numbers[1], AcknowledgedAt: numbers[2], Historical: marks&markHistorical != 0, Suppressed: marks&markSuppressed != 0, Maintained: marks&markMaintained != 0,
	}, nil
}

// questions are for the alarms raised in the range or on the day before it, for the few that took longer
// than a day, and for those that hold; each is a short range of an index.
func (q *ReportQuery) questions() []question {
	before := q.From - dayMS
	near := where{}
	near.between("raised_at", before, q.To)
	near.add("(raised_at >= ? or ended_at is null or ended_at >= ?)", q.From, q.From)
	long, open := where{}, where{}
	long.add("ended_at >= ? and ended_at - raised_at > 86400000", q.From)
	long.add("~raised_at < ?", before)
	open.add("ended_at is null and raised_at < ?", before)
	out := []question{
		{columns: withoutValue, where: near.and("~occurrences = 1")},
		{columns: withValue, where: near.and("occurrences > 1")},
		{columns: withValue, where: long},
		{columns: withValue, where: open},
	}
	for i := range out {
		out[i].table = "alarms"
		if q.Building != "" {
			out[i].where = out[i].where.and("~building = ?", clean(q.Building))
		}
	}
	return out
}

// mostRepeats bounds how many alarms of a report are looked up in the audit trail.
const mostRepeats = 200

// Report adds what is in the database to b. partial: alarms were raised again and again, more of them than
// it looks up, so that some raises are not counted.
func (s *Store) Report(ctx context.Context, q *ReportQuery, b *report.Builder) (partial bool, err error) {
	db, err := s.use()
	if err != nil {
		return false, err
	}
	const what = "reading alarms for a report"
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if err := s.reportDevices(ctx, db, q, b); err != nil {
		return false, s.explain(ctx, db, what, err)
	}
	repeats, err := s.reportAlarms(ctx, db, q, b)
	if err != nil {
		return false, s.explain(ctx, db, what, err)
	}
	for i := range repeats {
		if i < mostRepeats {
			if err := s.lookUp(ctx, &repeats[i]); err != nil {
				return false, err
			}
		}
		b.AddAlarm(&repeats[i])
	}
	s.metrics.asked.Observe(time.Since(start).Seconds())
	return len(repeats) > mostRepeats, nil
}

// reportAlarms adds alarms. It returns those whose record has not all of their raises.
func (s *Store) reportAlarms(ctx context.Context, db *sql.DB, q *ReportQuery, b *report.Builder) (repeats []report.Alarm, err error) {
	questions := q.questions()
	for i := range questions {
		err := s.scan(ctx, db, &questions[i], func(rows *sql.Rows) error {
			a, whole, err := readReportAlarm(rows)
			switch {
			case err != nil:
				return err
			case whole:
				b.AddAlarm(&a)
			default:
				repeats = append(repeats, a)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return repeats, nil
}

// scan calls f with each row of a question, in no order.
func (s *Store) scan(ctx context.Context, db *sql.DB, q *question, f func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, s.dialect.bind("select "+q.columns+" from "+q.table+q.where.String()), q.args()...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what failed
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readReportAlarm reports whether the alarm is whole: its record has every raise.
func readReportAlarm(rows *sql.Rows) (a report.Alarm, whole bool, err error) {
	var row string
	var value []byte
	if err := rows.Scan(&row, &value); err != nil {
		return a, false, err
	}
	if a, err = unpack(row); err != nil {
		return a, false, err
	}
	if value == nil {
		return a, true, nil
	}
	var record struct {
		History         []telemetry.AlarmChange `json:"history"`
		OccurrenceCount int                     `json:"occurrence_count"`
	}
	if err := json.Unmarshal(value, &record); err != nil {
		return a, false, fmt.Errorf("reading an alarm: %w", err)
	}
	raises := 0
	for _, c := range record.History {
		if a.Change(c.Event, c.At) {
			raises++
		}
	}
	return a, raises >= record.OccurrenceCount, nil
}

// lookUp takes the raises of an alarm from the audit trail. If that has fewer than the record, those of the
// record count.
func (s *Store) lookUp(ctx context.Context, a *report.Alarm) error {
	full := *a
	full.Spans = nil
	all := TrailQuery{AlertID: a.ID, OldestFirst: true}
	question := all.question(oldestEntry)
	err := each(ctx, s, "reading the audit trail", question, func(last place) where {
		return question.where.and("("+oldestEntry+") > (?, ?, ?, ?)", last.at, last.topic, last.partition, last.record)
	}, readEntry, func(e *audit.Entry) error {
		full.Change(e.Event, e.Time)
		return nil
	})
	if err != nil {
		return err
	}
	if len(full.Spans) >= len(a.Spans) {
		a.Spans = full.Spans
	}
	return nil
}

func (s *Store) reportDevices(ctx context.Context, db *sql.DB, q *ReportQuery, b *report.Builder) error {
	devices := question{columns: "building, first_seen, removed_at", table: "devices"}
	devices.where.is("building", q.Building)
	devices.where.add("first_seen < ?", q.To)
	devices.where.add("(removed_at is null or removed_at > ?)", q.From)
	return s.scan(ctx, db, &devices, func(rows *sql.Rows) error {
		var building sql.NullString
		var there report.Span
		var removed sql.NullInt64
		if err := rows.Scan(&building, &there.From, &removed); err != nil {
			return err
		}
		there.To = removed.Int64
		b.AddDevice(building.String, there)
		return nil
	})
}

// PutAside calls f with every alarm that is shelved or out of service by its newest record and was raised
// before a time, in ms.
func (s *Store) PutAside(ctx context.Context, building string, before int64, f func(*state.Alert) error) error {
	db, err := s.use()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	q := question{columns: alarmValues, table: "alarms"}
	q.where.add("marks >= ?", markShelved)
	q.where.add("raised_at < ?", before)
	q.where.is("building", building)
	err = s.scan(ctx, db, &q, func(rows *sql.Rows) error {
		a, _, err := readAlarm(rows.Scan)
		if err != nil {
			return err
		}
		return f(a)
	})
	return s.explain(ctx, db, "reading the alarms that are put aside", err)
}

// Reach is how far the database has a partition of a topic.
type Reach struct {
	Topic     string
	Partition int32
	First     int64 // offset of the first entry of the range, of the audit trail; -1: none is known
	Next      int64 // offset of the first record that is not here
}

// Extent is what a report can be made of.
type Extent struct {
	Since   int64 // ms, when the oldest entry of the audit trail was recorded; 0: there is none
	Reaches []Reach
}

// headOf is among how many entries of a range the first ones of the partitions are looked for.
const headOf = 1000

// Extent returns what is in the database, and where the range begins in Kafka.
func (s *Store) Extent(ctx context.Context, from, to int64) (Extent, error) {
	db, err := s.use()
	if err != nil {
		return Extent{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	out, err := s.extent(ctx, db, from, to)
	return out, s.explain(ctx, db, "reading what is in the database", err)
}

func (s *Store) extent(ctx context.Context, db *sql.DB, from, to int64) (out Extent, err error) {
	var since sql.NullInt64
	if err := db.QueryRowContext(ctx, "select min(recorded_at) from audit").Scan(&since); err != nil {
		return out, err
	}
	out.Since = since.Int64
	first, err := s.firstEntries(ctx, db, from, to)
	if err != nil {
		return out, err
	}
	q := question{
		columns: "topics.name, positions.topic, positions.partition, positions.next",
		table:   "positions join topics on topics.number = positions.topic", order: "positions.topic, positions.partition",
	}
	err = s.rows(ctx, db, &q, Page{Limit: 1000}, func(scan func(...any) error) error {
		r := Reach{First: -1}
		var topic int64
		if err := scan(&r.Topic, &topic, &r.Partition, &r.Next); err != nil {
			return err
		}
		if offset, known := first[[2]int64{topic, int64(r.Partition)}]; known {
			r.First = offset
		}
		out.Reaches = append(out.Reaches, r)
		return nil
	})
	return out, err
}

// firstEntries returns the first offsets in a range, by topic and partition.
func (s *Store) firstEntries(ctx context.Context, db *sql.DB, from, to int64) (map[[2]int64]int64, error) {
	first := make(map[[2]int64]int64)
	q := question{columns: oldestEntry, table: "audit", order: oldestEntry}
	q.where.between("recorded_at", from, to)
	err := s.rows(ctx, db, &q, Page{Limit: headOf}, func(scan func(...any) error) error {
		var p place
		if err := scan(&p.at, &p.topic, &p.partition, &p.record); err != nil {
			return err
		}
		key := [2]int64{p.topic, p.partition}
		if old, known := first[key]; !known || p.record < old {
			first[key] = p.record
		}
		return nil
	})
	return first, err
}
