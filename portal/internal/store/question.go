package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	// Counted is up to how many a total is exact: to count what more there is takes too long.
	Counted = 1000
	// MaxOffset is the highest offset of a page: the database walks through all that is before it.
	MaxOffset = 10_000
	// askWithin bounds a question.
	askWithin = 5 * time.Second
)

// Page is a part of a list.
type Page struct{ Limit, Offset int }

// List is a part of what was found.
type List[T any] struct {
	Items []T
	Total int  // of all, up to Counted
	More  bool // than Total
}

// where is a condition: parts that all hold.
type where struct {
	parts []string
	args  []any
}

func (w *where) add(part string, args ...any) {
	w.parts = append(w.parts, part)
	w.args = append(w.args, args...)
}

// is adds that a column has one of the values, if there are any. Columns are to be added with those
// first of which a value has the fewest rows: the index of the first one is used, and the others, marked
// with ~, are compared (see dialect.bind). With several values of a column the rows of an index are not
// in the order of time, so it is never used.
func (w *where) is(column string, values ...string) {
	values = present(values)
	if len(w.parts) > 0 || len(values) > 1 {
		column = "~" + column
	}
	switch len(values) {
	case 0:
	case 1:
		w.add(column+" = ?", values[0])
	default:
		args := make([]any, len(values))
		for i, v := range values {
			args[i] = v
		}
		w.add(column+" in (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
	}
}

// present returns the values that are not empty, as columns have them.
func present(values []string) (out []string) {
	for _, v := range values {
		if v != "" {
			out = append(out, clean(v))
		}
	}
	return out
}

// between adds that a column of times is in [from, to), where 0 is no bound.
func (w *where) between(column string, from, to int64) {
	if from != 0 {
		w.add(column+" >= ?", from)
	}
	if to != 0 {
		w.add(column+" < ?", to)
	}
}

// and returns the condition with a further part.
func (w where) and(part string, args ...any) where {
	return where{slices.Concat(w.parts, []string{part}), slices.Concat(w.args, args)}
}

func (w *where) String() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " where " + strings.Join(w.parts, " and ")
}

// question is a part of a table in an order. A table that is a select of its own has from's args.
type question struct {
	columns, table string
	from           []any
	where          where
	order          string
}

func (q *question) args(more ...any) []any { return slices.Concat(q.from, q.where.args, more) }

// count returns how many rows there are, at most limit.
func (s *Store) count(ctx context.Context, db *sql.DB, q *question, limit int) (n int, err error) {
	if limit <= 0 {
		return 0, nil
	}
	statement := s.dialect.bind("select count(*) from (select 1 from " + q.table + q.where.String() + " limit ?) as part")
	err = db.QueryRowContext(ctx, statement, q.args(limit)...).Scan(&n)
	return n, err
}

// rows calls f with each row of a page.
func (s *Store) rows(ctx context.Context, db *sql.DB, q *question, p Page, f func(scan func(...any) error) error) error {
	statement := s.dialect.bind("select " + q.columns + " from " + q.table + q.where.String() + " order by " + q.order + " limit ? offset ?")
	rows, err := db.QueryContext(ctx, statement, q.args(p.Limit, p.Offset)...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what failed
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// reader reads a row and its place among all.
type reader[T, P any] func(scan func(...any) error) (T, P, error)

// one returns the row that a statement selects. It fails with unknown if there is none.
func one[T, P any](ctx context.Context, s *Store, what string, read reader[T, P], unknown error, statement string, args ...any) (none T, err error) {
	db, err := s.use()
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	item, _, err := read(db.QueryRowContext(ctx, s.dialect.bind(statement), args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return none, unknown
	}
	return item, s.explain(ctx, db, what, err)
}

// list returns a page of the rows of several questions, those of the first one in front. An answer
// is complete, or there is an error.
func list[T, P any](ctx context.Context, s *Store, what string, p Page, questions []question, read reader[T, P]) (List[T], error) {
	out := List[T]{Items: []T{}}
	db, err := s.use()
	if err != nil {
		return out, err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for i := range questions {
		q := &questions[i]
		n, err := s.count(ctx, db, q, max(Counted, p.Offset+p.Limit)+1-out.Total)
		if err != nil {
			return out, s.explain(ctx, db, what, err)
		}
		part := Page{Offset: max(0, p.Offset-out.Total), Limit: p.Limit - len(out.Items)}
		out.Total += n
		if n <= part.Offset || part.Limit <= 0 {
			continue
		}
		err = s.rows(ctx, db, q, part, func(scan func(...any) error) error {
			item, _, err := read(scan)
			out.Items = append(out.Items, item)
			return err
		})
		if err != nil {
			return out, s.explain(ctx, db, what, err)
		}
	}
	if out.Total > Counted {
		out.Total, out.More = Counted, true
	}
	s.metrics.asked.Observe(time.Since(start).Seconds())
	return out, nil
}
