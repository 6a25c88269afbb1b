package store

import (
	"context"
	"errors"

	"industrial-iot-monitor/portal/internal/state"
)

// JournalQuery selects alarms; the zero value selects all. Several values of a field are alternatives,
// an empty one is none.
type JournalQuery struct {
	Device, Building, Rule                  string
	Floor                                   *int
	AlertTypes, Severities, States, Sources []string
	Text                                    string // lower case, in one of the alarm's texts
	// From and To, in ms, are a range: alarms whose condition held at some time in [From, To). 0: no
	// bound.
	From, To int64
}

func (q *JournalQuery) where() where {
	var w where
	w.is("device", q.Device)
	w.is("rule", q.Rule)
	w.is("building", q.Building)
	w.is("alert_type", q.AlertTypes...)
	w.is("severity", q.Severities...)
	w.is("state", q.States...)
	w.is("source", q.Sources...)
	if q.Floor != nil {
		w.add("floor = ?", *q.Floor)
	}
	if q.Text != "" {
		w.add("words like ? escape '!'", contains(q.Text))
	}
	return w
}

const newestRaised = "raised_at desc, alert_id desc"

const alarmValues = "raised_at, alert_id, value"

// older selects alarms that were raised before a range and held at its start. Each of its parts is a
// short range of an index: alarms of the day before the range, the few that took longer than a day,
// and those that hold. The limit keeps both databases from joining further conditions to a part and
// then choosing a worse index.
const older = `(
	select * from alarms where raised_at >= ? and raised_at < ? and ended_at >= ?
	union all
	select * from alarms where raised_at < ? and ended_at >= ? and ended_at - raised_at > 86400000
	union all
	select * from alarms where raised_at < ? and ended_at is null
	limit 9223372036854775807
) as older`

const dayMS = 86_400_000

// questions are for the alarms raised in the range, and for older ones: all of the first are newer
// than the others.
func (q *JournalQuery) questions() []question {
	w := q.where()
	raised := w
	raised.between("raised_at", q.From, q.To)
	out := []question{{columns: alarmValues, table: "alarms", where: raised, order: newestRaised}}
	if q.From != 0 {
		before := q.From - dayMS
		out = append(out, question{
			columns: alarmValues, table: older, where: w, order: newestRaised,
			from: []any{before, q.From, q.From, before, q.From, q.From},
		})
	}
	return out
}

// alarmPlace is where an alarm is among all.
type alarmPlace struct {
	raised int64
	id     string
}

func readAlarm(scan func(...any) error) (*state.Alert, alarmPlace, error) {
	var p alarmPlace
	var value []byte
	if err := scan(&p.raised, &p.id, &value); err != nil {
		return nil, p, err
	}
	a, err := state.ParseAlert(value)
	return a, p, err
}

// Journal returns a part of the alarms, the newest raised first.
func (s *Store) Journal(ctx context.Context, q *JournalQuery, p Page) (List[*state.Alert], error) {
	return list(ctx, s, "reading the journal of alarms", p, q.questions(), readAlarm)
}

// EachAlarm calls f with every alarm that q selects, the newest raised first, until f fails.
func (s *Store) EachAlarm(ctx context.Context, q *JournalQuery, f func(*state.Alert) error) error {
	for _, part := range q.questions() {
		err := each(ctx, s, "reading the journal of alarms", part, func(last alarmPlace) where {
			return part.where.and("(raised_at, alert_id) < (?, ?)", last.raised, last.id)
		}, readAlarm, f)
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrUnknown is returned for an alarm that is not in the store.
var ErrUnknown = errors.New("no such alarm")

// Alarm returns an alarm by its newest record. It fails with ErrUnknown.
func (s *Store) Alarm(ctx context.Context, id string) (*state.Alert, error) {
	return one(ctx, s, "reading an alarm", readAlarm, ErrUnknown, "select "+alarmValues+" from alarms where alert_id = ?", clean(id))
}
