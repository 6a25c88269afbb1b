package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"industrial-iot-monitor/portal/internal/metadata"
)

// Outcome is what became of a change of a document.
type Outcome string

// Outcomes.
const (
	OutcomeApplied  Outcome = "applied"
	OutcomeConflict Outcome = "conflict"   // somebody else changed the document in between
	OutcomeNamed    Outcome = "name_taken" // another one has the name
	OutcomeReplaced Outcome = "replaced"   // the note was corrected before
)

// change applies the changes among the records, in the order of the topic. Portals that share a database
// apply each once: the position tells what another one has applied.
func (s *Store) change(ctx context.Context, tx *sql.Tx, topic int64, records []Record) error {
	next := make(map[int32]int64)
	for i := range records {
		r := &records[i]
		if r.Change == nil {
			continue
		}
		if _, known := next[r.Partition]; !known {
			n, err := s.lockPosition(ctx, tx, topic, r.Partition)
			if err != nil {
				return err
			}
			next[r.Partition] = n
		}
		if r.Offset < next[r.Partition] {
			continue
		}
		if err := s.applyChange(ctx, tx, r.Change); err != nil {
			return err
		}
	}
	return nil
}

// lockPosition returns how far a partition was applied; until tx ends, nobody else applies it.
func (s *Store) lockPosition(ctx context.Context, tx *sql.Tx, topic int64, partition int32) (next int64, err error) {
	_, err = tx.ExecContext(ctx, s.dialect.bind("insert into positions (topic, partition, next) values (?, ?, 0) on conflict do nothing"), topic, partition)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, s.dialect.bind("select next from positions where topic = ? and partition = ?"+s.dialect.forUpdate()), topic, partition).Scan(&next)
	return next, err
}

func (s *Store) applyChange(ctx context.Context, tx *sql.Tx, c *metadata.Change) error {
	if known, err := s.exists(ctx, tx, "changes where change = ?", clean(c.ID)); err != nil || known {
		return err
	}
	outcome, err := s.judge(ctx, tx, c)
	if err != nil {
		return err
	}
	err = s.insert(ctx, tx, "changes", []string{"change", "document", "version", "outcome", "at", "author", "deleted", "value"},
		[]any{clean(c.ID), c.Document, c.Version, string(outcome), c.At, clean(c.By), bit(c.Deleted), clean(string(c.Value))}, "do nothing")
	if err != nil || outcome != OutcomeApplied {
		return err
	}
	if err := s.insert(ctx, tx, "documents", documentColumns, documentRow(c), "(id) do update set "+updates(changedColumns)); err != nil {
		return err
	}
	if f, ok := c.Doc().(*metadata.Facts); ok {
		return s.keepFacts(ctx, tx, c, f)
	}
	return nil
}

// judge says whether a change applies.
func (s *Store) judge(ctx context.Context, tx *sql.Tx, c *metadata.Change) (Outcome, error) {
	var version int64
	kind := c.Kind
	err := tx.QueryRowContext(ctx, s.dialect.bind("select version, kind from documents where id = ?"), c.Document).Scan(&version, &kind)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if c.Version <= version || kind != c.Kind {
		return OutcomeConflict, nil
	}
	at := c.Doc().Index()
	if at.Name != "" && !c.Deleted {
		taken, err := s.exists(ctx, tx, "documents where kind = ? and owner = ? and name = ? and deleted = 0 and id <> ?", string(c.Kind), clean(at.Owner), clean(at.Name), c.Document)
		if err != nil || taken {
			return OutcomeNamed, err
		}
	}
	if at.Replaces != "" {
		replaced, err := s.exists(ctx, tx, "documents where replaces = ? and id <> ?", at.Replaces, c.Document)
		if err != nil || replaced {
			return OutcomeReplaced, err
		}
	}
	return OutcomeApplied, nil
}

func (s *Store) exists(ctx context.Context, tx *sql.Tx, rest string, args ...any) (bool, error) {
	var one int
	err := tx.QueryRowContext(ctx, s.dialect.bind("select 1 from "+rest+" limit 1"), args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// keepFacts writes what operators know of a device into the registry.
func (s *Store) keepFacts(ctx context.Context, tx *sql.Tx, c *metadata.Change, f *metadata.Facts) error {
	d := Device{ID: f.DeviceID, FirstSeen: c.At}
	return s.insert(ctx, tx, "devices", deviceColumns, append(d.row(0), clean(f.Place), f.ExpectedIntervalS), "(id) do update set "+updates([]string{"place", "expected_interval_s"}))
}

// changedColumns are those that a later change of a document sets, documentColumns all.
var (
	changedColumns = []string{
		"version", "owner", "name", "subject", "at", "priority", "replaces", "changed_at", "changed_by", "deleted", "words", "value",
	}
	documentColumns = append([]string{"id", "kind", "created_at", "created_by"}, changedColumns...)
)

func documentRow(c *metadata.Change) []any {
	x := c.Doc().Index()
	at := x.At
	if at == 0 {
		at = c.At
	}
	words := strings.ToLower(strings.Join(append(x.Texts, c.By), "\n"))
	return []any{
		c.Document, string(c.Kind), c.At, clean(c.By), c.Version, clean(x.Owner), text(x.Name), text(x.Subject), at, bit(x.Priority), text(x.Replaces),
		c.At, clean(c.By), bit(c.Deleted), clean(words), clean(string(c.Value)),
	}
}

// bit is a value of a column for true or false.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Outcome returns what became of a change, "" while it is not applied yet.
func (s *Store) Outcome(ctx context.Context, change string) (outcome Outcome, err error) {
	db, err := s.use()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	err = db.QueryRowContext(ctx, s.dialect.bind("select outcome from changes where change = ?"), clean(change)).Scan(&outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return outcome, s.explain(ctx, db, fmt.Sprintf("reading the outcome of change %s", change), err)
}
