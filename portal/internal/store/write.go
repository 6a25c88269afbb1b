package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/state"
)

// writeWithin bounds a write: a line that is cut without a word would hold it for a quarter of an hour.
const writeWithin = 30 * time.Second

// Topic is a topic of Kafka by its name and the id that Kafka gave it.
type Topic struct{ Name, ID string }

// Record is one record of a topic: an entry of the audit trail, an alarm, a change of what operators
// keep, a record of the security audit, or none of them if it could not be read, and then only its position counts.
type Record struct {
	Partition int32
	Offset    int64
	Entry     *audit.Entry
	Value     []byte // of Entry and Security, as it was
	Alarm     *state.Alert
	Change    *metadata.Change
	Security  *securityaudit.Record
}

// Unread reports whether only the position counts.
func (r *Record) Unread() bool {
	return r.Entry == nil && r.Alarm == nil && r.Change == nil && r.Security == nil
}

// ErrStartOver is wrapped by errors of a database that took the place of a damaged one since Positions
// was called: what was written before has to be written again.
var ErrStartOver = errors.New("the database was replaced: read on from its positions")

// Positions returns the offset from which each partition of a topic is to be read, before the first
// Write. Partitions that were never read are not in it.
func (s *Store) Positions(ctx context.Context, t Topic) (positions map[int32]int64, err error) {
	db, err := s.use()
	if err != nil {
		return nil, err
	}
	const what = "reading positions"
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if _, err := db.ExecContext(ctx, s.dialect.bind("insert into topics (name, id) values (?, ?) on conflict do nothing"), t.Name, t.ID); err != nil {
		return nil, s.explain(ctx, db, what, err)
	}
	rows, err := db.QueryContext(ctx, s.dialect.bind(
		"select p.partition, p.next from positions p join topics t on t.number = p.topic where t.name = ? and t.id = ?"), t.Name, t.ID)
	if err != nil {
		return nil, s.explain(ctx, db, what, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what failed
	positions = make(map[int32]int64)
	for rows.Next() {
		var partition int32
		var next int64
		if err := rows.Scan(&partition, &next); err != nil {
			return nil, s.explain(ctx, db, what, err)
		}
		positions[partition] = next
	}
	return positions, s.explain(ctx, db, what, rows.Err())
}

// Write stores records of a topic and how far it was read, all or nothing. Records that are there
// already stay as they are; an alarm stays if its record is not newer. It fails with ErrUnavailable,
// ErrSlow, ErrRefused or ErrStartOver.
func (s *Store) Write(ctx context.Context, t Topic, records []Record) error {
	db, err := s.use()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if err := s.prepare(ctx, db, records); err != nil {
		return s.explain(ctx, db, "preparing for records", err)
	}
	if err := s.write(ctx, db, t, records); err != nil {
		return s.explain(ctx, db, fmt.Sprintf("writing %d records of %s", len(records), t.Name), err)
	}
	for i := range records {
		switch r := &records[i]; {
		case r.Entry != nil:
			s.metrics.written.WithLabelValues("audit").Inc()
		case r.Alarm != nil:
			s.metrics.written.WithLabelValues("alarm").Inc()
		case r.Change != nil:
			s.metrics.written.WithLabelValues("metadata").Inc()
		case r.Security != nil:
			s.metrics.written.WithLabelValues("security").Inc()
		}
	}
	s.forgetPrints(records)
	return nil
}

// Months that get a partition of the audit trail. A record outside of them has a wrong clock.
const firstYear, lastYear = 2000, 2100

// prepare makes room for the months of the records.
func (s *Store) prepare(ctx context.Context, db *sql.DB, records []Record) error {
	from := s.keptSince(time.Now())
	for i := range records {
		if records[i].Entry == nil || records[i].Entry.RecordedAt < from {
			continue
		}
		at := time.UnixMilli(records[i].Entry.RecordedAt).UTC()
		month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
		s.mu.RLock()
		known := s.months[month.Unix()]
		s.mu.RUnlock()
		if known || at.Year() < firstYear || at.Year() >= lastYear {
			continue
		}
		if err := s.dialect.prepare(ctx, db, month); err != nil {
			return err
		}
		s.mu.Lock()
		s.months[month.Unix()] = true
		s.mu.Unlock()
	}
	return nil
}

func (s *Store) write(ctx context.Context, db *sql.DB, t Topic, records []Record) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once it is committed
	number, err := s.number(ctx, tx, t)
	if err != nil {
		return err
	}
	if err := s.change(ctx, tx, number, records); err != nil {
		return err
	}
	if err := s.recordLives(ctx, tx, records); err != nil {
		return err
	}
	from := s.keptSince(time.Now())
	var entries, security, alarms, positions []any
	next := make(map[int32]int64)
	newest := make(map[string]*state.Alert)
	for i := range records {
		r := &records[i]
		next[r.Partition] = max(next[r.Partition], r.Offset+1)
		if r.Entry != nil && r.Entry.RecordedAt >= from {
			entries = append(entries, entryRow(number, r)...)
		}
		if r.Security != nil && r.Security.Time >= from {
			security = append(security, securityRow(number, r)...)
		}
		if a := r.Alarm; a != nil && !outdated(a, from) && (newest[a.AlertID] == nil || revision(a) > revision(newest[a.AlertID])) {
			newest[a.AlertID] = a
		}
	}
	for _, a := range newest {
		alarms = append(alarms, alarmRow(a)...)
	}
	for partition, offset := range next {
		positions = append(positions, number, partition, offset)
	}
	for _, rows := range []struct {
		table   string
		columns []string
		values  []any
		clash   string
	}{
		{"audit", entryColumns, entries, "do nothing"},
		{"security", securityColumns, security, "do nothing"},
		{"alarms", alarmColumns, alarms, "(alert_id) do update set " + updates(alarmColumns[1:]) + " where excluded.revision > alarms.revision"},
		{"positions", []string{"topic", "partition", "next"}, positions, "(topic, partition) do update set next = excluded.next where excluded.next > positions.next"},
	} {
		if err := s.insert(ctx, tx, rows.table, rows.columns, rows.values, rows.clash); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// number returns the number of a topic.
func (s *Store) number(ctx context.Context, tx *sql.Tx, t Topic) (n int64, err error) {
	err = tx.QueryRowContext(ctx, s.dialect.bind("select number from topics where name = ? and id = ?"), t.Name, t.ID).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrStartOver
	}
	return n, err
}

// mostRows is how many rows a statement inserts: the databases take 32,766 values in one.
const mostRows = 500

// insert adds rows; values has those of one row after another.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, table string, columns []string, values []any, clash string) error {
	row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	for len(values) > 0 {
		n := min(mostRows, len(values)/len(columns))
		statement := "insert into " + table + " (" + strings.Join(columns, ", ") + ") values " + row + strings.Repeat(", "+row, n-1) + " on conflict " + clash
		if _, err := tx.ExecContext(ctx, s.dialect.bind(statement), values[:n*len(columns)]...); err != nil {
			return err
		}
		values = values[n*len(columns):]
	}
	return nil
}

func updates(columns []string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c + " = excluded." + c
	}
	return strings.Join(set, ", ")
}

var entryColumns = []string{
	"recorded_at", "topic", "partition", "record", "device", "building", "alert_type", "alert_id", "rule", "operator", "action", "outcome", "command_id", "value",
}

func entryRow(topic int64, r *Record) []any {
	e := r.Entry
	return []any{
		e.RecordedAt, topic, r.Partition, r.Offset, text(e.DeviceID), text(e.Building), text(e.AlertType), text(e.AlertID), text(e.Rule), text(e.By),
		text(string(e.Action)), text(string(e.Outcome)), text(e.CommandID), string(r.Value),
	}
}

var alarmColumns = []string{
	"alert_id", "revision", "raised_at", "ended_at", "device", "building", "floor", "alert_type", "severity", "rule", "source", "state", "words", "value",
	"acknowledged_at", "occurrences", "marks",
}

func alarmRow(a *state.Alert) []any {
	return []any{
		clean(a.AlertID), revision(a), a.RaisedAt, ended(a), clean(a.DeviceID), text(a.Location.Building), a.Location.Floor, text(a.AlertType), text(string(a.Severity)),
		text(a.Rule), text(string(a.Source)), clean(string(a.State)), words(a), string(a.Raw),
		acknowledged(a), max(a.OccurrenceCount, 1), marks(a),
	}
}

// ended is when the condition of an alarm ended, null while it holds.
func ended(a *state.Alert) any {
	if at, over := a.Over(); over {
		return at
	}
	return nil
}

// revision orders the records of an alarm. Those of the first version have none: one says that it is
// raised, one that it is over.
func revision(a *state.Alert) int64 {
	if a.Revision == 0 && !a.Active() {
		return 1
	}
	return a.Revision
}

// words are the texts in which a search looks.
func words(a *state.Alert) string {
	return clean(strings.ToLower(strings.Join([]string{
		a.DeviceID, a.AlertType, a.Message, a.Location.Building, a.Location.Room, a.Gateway, a.Assignee, a.Rule, a.AlertID,
	}, "\n")))
}

// text is a value of a column, null for none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return clean(s)
}

// clean replaces the one character that PostgreSQL does not store.
func clean(s string) string { return strings.ReplaceAll(s, "\x00", "\ufffd") }
