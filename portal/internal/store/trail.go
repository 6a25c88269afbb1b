package store

import (
	"context"
	"encoding/json"
	"fmt"

	"industrial-iot-monitor/portal/internal/audit"
)

// TrailQuery selects entries of the audit trail; the zero value selects all. Several values of a field
// are alternatives, an empty one is none.
type TrailQuery struct {
	Device, Building, AlertType, AlertID, Rule, By, CommandID string
	Actions, Outcomes                                         []string
	From, To                                                  int64 // ms, recorded in [From, To); 0: no bound
	OldestFirst                                               bool
}

func (q *TrailQuery) where() where {
	var w where
	w.is("alert_id", q.AlertID)
	w.is("command_id", q.CommandID)
	w.is("device", q.Device)
	w.is("operator", q.By)
	w.is("rule", q.Rule)
	w.is("building", q.Building)
	w.is("alert_type", q.AlertType)
	w.is("outcome", q.Outcomes...)
	w.is("action", q.Actions...)
	w.between("recorded_at", q.From, q.To)
	return w
}

const (
	oldestEntry = "recorded_at, topic, partition, record"
	newestEntry = "recorded_at desc, topic desc, partition desc, record desc"
	entryValues = oldestEntry + ", value"
)

func (q *TrailQuery) question(order string) question {
	return question{columns: entryValues, table: "audit", where: q.where(), order: order}
}

// place is where an entry is among all.
type place struct{ at, topic, partition, record int64 }

func readEntry(scan func(...any) error) (*audit.Entry, place, error) {
	var p place
	var value []byte
	if err := scan(&p.at, &p.topic, &p.partition, &p.record, &value); err != nil {
		return nil, p, err
	}
	e := &audit.Entry{RecordedAt: p.at}
	if err := json.Unmarshal(value, &e.AuditEntry); err != nil {
		return nil, p, fmt.Errorf("reading an entry of the audit trail: %w", err)
	}
	return e, p, nil
}

// Trail returns a part of the audit trail, the newest entry first or as q has it.
func (s *Store) Trail(ctx context.Context, q *TrailQuery, p Page) (List[*audit.Entry], error) {
	order := newestEntry
	if q.OldestFirst {
		order = oldestEntry
	}
	return list(ctx, s, "reading the audit trail", p, []question{q.question(order)}, readEntry)
}

// exportStep is how many rows an export reads at once: no transaction stays open while a slow client
// takes them.
const exportStep = 1000

// EachEntry calls f with every entry that q selects, the newest first, until f fails.
func (s *Store) EachEntry(ctx context.Context, q *TrailQuery, f func(*audit.Entry) error) error {
	all := q.question(newestEntry)
	return each(ctx, s, "reading the audit trail", all, func(last place) where {
		return all.where.and("("+oldestEntry+") < (?, ?, ?, ?)", last.at, last.topic, last.partition, last.record)
	}, readEntry, f)
}

// each reads rows in steps: behind selects those behind the last one.
func each[T, P any](ctx context.Context, s *Store, what string, q question, behind func(last P) where, read reader[T, P], f func(T) error) error {
	for {
		items, last, err := step(ctx, s, what, q, read)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := f(item); err != nil {
				return err
			}
		}
		if len(items) < exportStep {
			return nil
		}
		q.where = behind(last)
	}
}

func step[T, P any](ctx context.Context, s *Store, what string, q question, read reader[T, P]) (items []T, last P, err error) {
	db, err := s.use()
	if err != nil {
		return nil, last, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	err = s.rows(ctx, db, &q, Page{Limit: exportStep}, func(scan func(...any) error) error {
		item, at, err := read(scan)
		items, last = append(items, item), at
		return err
	})
	return items, last, s.explain(ctx, db, what, err)
}
