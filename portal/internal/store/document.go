package store

import (
	"context"
	"errors"
	"strings"

	"industrial-iot-monitor/portal/internal/metadata"
)

// Document is what operators keep, by its newest change.
type Document struct {
	ID                   string
	Kind                 metadata.Kind
	Version              int64
	CreatedAt, ChangedAt int64 // ms
	CreatedBy, ChangedBy string
	Deleted              bool
	ReplacedBy           string // the note that corrects it
	Doc                  metadata.Document
}

// Change is a change of a document that applied.
type Change struct {
	Version, At int64
	By          string
	Deleted     bool
	Doc         metadata.Document
}

// DocumentQuery selects documents of a kind. Empty fields select all.
type DocumentQuery struct {
	Kind     metadata.Kind
	Owners   []string // of one of them; those of everybody have the owner ""
	Subject  string
	Author   string // who made it
	Text     string // lower case, in one of its texts or its author
	From, To int64  // ms, its time is in [From, To); 0: no bound
	Priority bool   // those alone
	Current  bool   // without notes that were corrected
	Deleted  bool   // also those that were deleted
	ByName   bool   // sorted by name, else the newest first
}

func (q *DocumentQuery) where() where {
	var w where
	w.is("kind", string(q.Kind))
	w.is("subject", q.Subject)
	w.is("created_by", q.Author)
	if len(q.Owners) > 0 {
		args := make([]any, len(q.Owners))
		for i, o := range q.Owners {
			args[i] = clean(o)
		}
		w.add("owner in (?"+strings.Repeat(", ?", len(args)-1)+")", args...)
	}
	if q.Text != "" {
		w.add("words like ? escape '!'", contains(q.Text))
	}
	w.between("at", q.From, q.To)
	if q.Priority {
		w.add("priority = 1")
	}
	if q.Current {
		w.add("not exists (select 1 from documents later where later.replaces = documents.id)")
	}
	if !q.Deleted {
		w.add("deleted = 0")
	}
	return w
}

// contains is the pattern of texts that contain s.
func contains(s string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(clean(s)) + "%"
}

const (
	documentValues = "at, id, kind, version, created_at, created_by, changed_at, changed_by, deleted, value, " +
		"coalesce((select later.id from documents later where later.replaces = documents.id), '')"
	newestDocument = "at desc, created_at desc, id desc"
)

func (q *DocumentQuery) question() question {
	order := newestDocument
	if q.ByName {
		order = "name, owner, id"
	}
	return question{columns: documentValues, table: "documents", where: q.where(), order: order}
}

// documentPlace is where a document is among all.
type documentPlace struct {
	at, created int64
	id          string
}

func readDocument(scan func(...any) error) (*Document, documentPlace, error) {
	var p documentPlace
	var d Document
	var value []byte
	err := scan(&p.at, &d.ID, &d.Kind, &d.Version, &d.CreatedAt, &d.CreatedBy, &d.ChangedAt, &d.ChangedBy, &d.Deleted, &value, &d.ReplacedBy)
	if err != nil {
		return nil, p, err
	}
	p.created, p.id = d.CreatedAt, d.ID
	d.Doc, err = metadata.Read(d.Kind, value)
	return &d, p, err
}

// Documents returns a part of the documents.
func (s *Store) Documents(ctx context.Context, q *DocumentQuery, p Page) (List[*Document], error) {
	return list(ctx, s, "reading documents", p, []question{q.question()}, readDocument)
}

// EachDocument calls f with every document that q selects, the newest first, until f fails.
func (s *Store) EachDocument(ctx context.Context, q *DocumentQuery, f func(*Document) error) error {
	all := q.question()
	all.order = newestDocument
	return each(ctx, s, "reading documents", all, func(last documentPlace) where {
		return all.where.and("(at, created_at, id) < (?, ?, ?)", last.at, last.created, last.id)
	}, readDocument, f)
}

// ErrNoDocument is returned for a document that is not in the store.
var ErrNoDocument = errors.New("no such document")

// Document returns a document, also one that was deleted. It fails with ErrNoDocument.
func (s *Store) Document(ctx context.Context, kind metadata.Kind, id string) (*Document, error) {
	return one(ctx, s, "reading a document", readDocument, ErrNoDocument, "select "+documentValues+" from documents where id = ? and kind = ?", clean(id), string(kind))
}

// Changes returns a part of the changes of a document that applied, the newest first.
func (s *Store) Changes(ctx context.Context, kind metadata.Kind, id string, p Page) (List[*Change], error) {
	var w where
	w.is("document", id)
	w.is("outcome", string(OutcomeApplied))
	q := question{columns: "version, at, author, deleted, value", table: "changes", where: w, order: "version desc"}
	return list(ctx, s, "reading changes", p, []question{q}, func(scan func(...any) error) (*Change, int64, error) {
		var c Change
		var value []byte
		err := scan(&c.Version, &c.At, &c.By, &c.Deleted, &value)
		if err == nil {
			c.Doc, err = metadata.Read(kind, value)
		}
		return &c, c.Version, err
	})
}
