package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

const (
	// trimEvery is how often records past their retention are looked for.
	trimEvery = time.Hour
	// trimSoon is the first time, and the next one after an error.
	trimSoon = time.Minute
	// trimBatch is how many rows a transaction deletes. Those that write wait for it, in SQLite all of them.
	trimBatch = 500
	// trimRest is the pause between two, for those that wait.
	trimRest = 50 * time.Millisecond
)

// keptSince is the time, in ms, from which records are kept.
func (s *Store) keptSince(now time.Time) int64 {
	if s.retention == 0 {
		return math.MinInt64
	}
	return now.Add(-s.retention).UnixMilli()
}

// outdated reports whether an alarm is deleted when everything up to before is: it is over, and no
// operator has to look at it any more.
func outdated(a *state.Alert, before int64) bool {
	at, over := a.Over()
	return over && at < before && a.RaisedAt < before && a.State == telemetry.AlarmNormal
}

// trimEver deletes records past their retention until ctx ends.
func (s *Store) trimEver(ctx context.Context) {
	if s.retention == 0 {
		return
	}
	for wait := trimSoon; lifecycle.Pause(ctx, wait); {
		wait = trimEvery
		if err := s.Trim(ctx, time.Now()); err != nil && ctx.Err() == nil {
			wait = trimSoon
			if !errors.Is(err, ErrUnavailable) { // that is logged
				s.log.Warn("deleting records past their retention failed, retrying", "database", s.Where(), "err", err)
			}
		}
	}
}

// Trim deletes what is past its retention at now: whole months where the database has them, else a few
// rows at a time. Alarms that hold or that an operator has to look at stay, however old.
func (s *Store) Trim(ctx context.Context, now time.Time) error {
	db, err := s.use()
	if err != nil {
		return err
	}
	before := s.keptSince(now)
	entries, err := s.dialect.dropMonths(ctx, db, before)
	if err == nil {
		var more int64
		more, err = s.deleteRows(ctx, db, "delete from "+s.dialect.loose()+" where (recorded_at, topic, partition, record) in "+
			"(select recorded_at, topic, partition, record from "+s.dialect.loose()+" where recorded_at < ? order by recorded_at limit ?)", before, trimBatch)
		entries += more
	}
	s.metrics.trimmed.WithLabelValues("audit").Add(float64(entries))
	var security, alarms int64
	if err == nil {
		security, err = s.deleteRows(ctx, db, "delete from security where (at, topic, partition, record) in "+
			"(select at, topic, partition, record from security where at < ? order by at limit ?)", before, trimBatch)
	}
	s.metrics.trimmed.WithLabelValues("security").Add(float64(security))
	if err == nil {
		alarms, err = s.deleteRows(ctx, db, "delete from alarms where alert_id in "+
			"(select alert_id from alarms where raised_at < ? and ended_at < ? and state = ? order by raised_at limit ?)", before, before, string(telemetry.AlarmNormal), trimBatch)
	}
	s.metrics.trimmed.WithLabelValues("alarm").Add(float64(alarms))
	if entries+security+alarms > 0 {
		s.log.Info("records past their retention were deleted", "database", s.Where(), "entries", entries, "security", security, "alarms", alarms)
	}
	return s.explain(ctx, db, "deleting records past their retention", err)
}

// deleteRows deletes until nothing is left, each time as many rows as the statement's limit.
func (s *Store) deleteRows(ctx context.Context, db *sql.DB, statement string, args ...any) (n int64, err error) {
	for {
		some, err := s.deleteSome(ctx, db, statement, args...)
		n += some
		if err != nil || some < trimBatch {
			return n, err
		}
		if !lifecycle.Pause(ctx, trimRest) {
			return n, ctx.Err()
		}
	}
}

func (s *Store) deleteSome(ctx context.Context, db *sql.DB, statement string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	done, err := db.ExecContext(ctx, s.dialect.bind(statement), args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}
