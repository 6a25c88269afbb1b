package store

import (
	"context"
	"fmt"

	"industrial-iot-monitor/internal/securityaudit"
)

// SecurityRecord is a record of the security audit, with its place in the topic.
type SecurityRecord struct {
	securityaudit.Record

	// Offset is the one that portal audit verify names.
	Offset int64 `json:"offset"`
}

// SecurityQuery selects records of the security audit; the zero value selects all. Several values of a field are
// alternatives, an empty one is none.
type SecurityQuery struct {
	Who, About, Program string
	Whats, Outcomes     []string
	From, To            int64 // ms, happened in [From, To); 0: no bound
	OldestFirst         bool
}

const (
	oldestSecurity = "at, topic, partition, record"
	newestSecurity = "at desc, topic desc, partition desc, record desc"
)

func (q *SecurityQuery) question(order string) question {
	var w where
	w.is("who", q.Who)
	w.is("about", q.About)
	w.is("what", q.Whats...)
	w.is("outcome", q.Outcomes...)
	w.is("program", q.Program)
	w.between("at", q.From, q.To)
	return question{columns: oldestSecurity + ", value", table: "security", where: w, order: order}
}

func readSecurity(scan func(...any) error) (*SecurityRecord, place, error) {
	var p place
	var value []byte
	if err := scan(&p.at, &p.topic, &p.partition, &p.record, &value); err != nil {
		return nil, p, err
	}
	r, err := securityaudit.Decode(value)
	if err != nil {
		return nil, p, fmt.Errorf("reading the security audit: %w", err)
	}
	return &SecurityRecord{Record: *r, Offset: p.record}, p, nil
}

const readingSecurity = "reading the security audit"

// Security returns a part of the security audit, the newest record first or as q has it.
func (s *Store) Security(ctx context.Context, q *SecurityQuery, p Page) (List[*SecurityRecord], error) {
	order := newestSecurity
	if q.OldestFirst {
		order = oldestSecurity
	}
	return list(ctx, s, readingSecurity, p, []question{q.question(order)}, readSecurity)
}

// EachSecurity calls f with every record of the security audit that q selects, the newest first, until f fails.
func (s *Store) EachSecurity(ctx context.Context, q *SecurityQuery, f func(*SecurityRecord) error) error {
	all := q.question(newestSecurity)
	return each(ctx, s, readingSecurity, all, func(last place) where {
		return all.where.and("("+oldestSecurity+") < (?, ?, ?, ?)", last.at, last.topic, last.partition, last.record)
	}, readSecurity, f)
}

var securityColumns = []string{"at", "topic", "partition", "record", "who", "what", "outcome", "about", "program", "value"}

func securityRow(topic int64, r *Record) []any {
	e := r.Security
	return []any{
		e.Time, topic, r.Partition, r.Offset, text(e.Who), clean(string(e.What)), text(string(e.Outcome)), text(e.About), text(e.Program), string(r.Value),
	}
}
