package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/store"
)

// answerWithin is how long a change waits until the database has applied it.
const answerWithin = 2 * time.Second

// What became of a change that was not refused.
const (
	changeSaved   = "saved"
	changePending = "pending"
)

// kept is what all documents of operators have.
type kept struct {
	ID string `json:"id"`
	// Version counts the changes; a change names the one that it is made to in If-Match.
	Version   int64  `json:"version"`
	CreatedAt int64  `json:"created_at"` // ms since 1970
	CreatedBy string `json:"created_by"`
	ChangedAt int64  `json:"changed_at"` // ms since 1970
	ChangedBy string `json:"changed_by"`
	Deleted   bool   `json:"deleted"`
}

func keptOf(d *store.Document) kept {
	return kept{d.ID, d.Version, d.CreatedAt, d.CreatedBy, d.ChangedAt, d.ChangedBy, d.Deleted}
}

// pages is a list from the database: total counts to 1,000.
type pages[T any] struct {
	list[T]

	More bool `json:"more"` // there are more than total
}

// listDocuments answers with a part of the documents that q selects.
func listDocuments[T any](p *Portal, c *fiber.Ctx, q *store.DocumentQuery, show func(*store.Document) T) error {
	return listPage(p, c, func(ctx context.Context, at store.Page) (store.List[*store.Document], error) {
		return p.store.Documents(ctx, q, at)
	}, show)
}

// listPage answers with a page of a list of the database.
func listPage[S, T any](p *Portal, c *fiber.Ctx, read func(context.Context, store.Page) (store.List[S], error), show func(S) T) error {
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	if p.store == nil {
		return errNoStore
	}
	if at.Offset > store.MaxOffset {
		return badParameter("offset", fmt.Sprintf("at most %d; narrow the question", store.MaxOffset))
	}
	l, err := read(c.UserContext(), store.Page(at))
	if err != nil {
		return p.noStore(err)
	}
	out := pages[T]{list: list[T]{Total: l.Total, Offset: at.Offset, Time: p.model.Now(), Items: make([]T, 0, len(l.Items))}, More: l.More}
	for _, item := range l.Items {
		out.Items = append(out.Items, show(item))
	}
	out.Count = len(out.Items)
	return c.JSON(out)
}

// document returns a document that was not deleted.
func (p *Portal) document(c *fiber.Ctx, kind metadata.Kind, id string) (*store.Document, error) {
	if p.store == nil {
		return nil, errNoStore
	}
	d, err := p.store.Document(c.UserContext(), kind, id)
	if errors.Is(err, store.ErrNoDocument) || err == nil && d.Deleted {
		return nil, errNoDocument
	}
	if err != nil {
		return nil, p.noStore(err)
	}
	return d, nil
}

var errNoDocument = refuse(fiber.StatusNotFound, "document_not_found", "there is none with this id, or it was deleted")

// theDocument returns the document that a request changes, if it has the version of If-Match.
func (p *Portal) theDocument(c *fiber.Ctx, kind metadata.Kind, id string) (*store.Document, error) {
	version, err := ifMatch(c)
	if err != nil {
		return nil, err
	}
	d, err := p.document(c, kind, id)
	if err != nil {
		return nil, err
	}
	if d.Version != version {
		return nil, errChanged(d)
	}
	return d, nil
}

// ifMatch reads the version to which a change is made.
func ifMatch(c *fiber.Ctx) (int64, error) {
	text := c.Get(fiber.HeaderIfMatch)
	if text == "" {
		return 0, refuse(fiber.StatusPreconditionRequired, "version_missing",
			`want the header If-Match with the version that you have seen, as in "3": somebody else may have changed it since`).at(fiber.HeaderIfMatch)
	}
	version, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	if err != nil || version < 0 {
		return 0, badParameter(fiber.HeaderIfMatch, `a version, as in "3"`)
	}
	return version, nil
}

func errChanged(d *store.Document) error {
	return refuse(fiber.StatusConflict, "conflict", fmt.Sprintf("%s changed it in between, to version %d; nothing was done", d.ChangedBy, d.Version)).at(fiber.HeaderIfMatch)
}

// notKept returns what a client is told of a document that cannot be kept.
func notKept(err error) error {
	if !errors.Is(err, metadata.ErrInvalid) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), metadata.ErrInvalid.Error()+": ")
	field, _, _ := strings.Cut(text, ": ")
	field, _, _ = strings.Cut(field, "/")
	return refuse(fiber.StatusBadRequest, "bad_field", text).at(field)
}

// author returns the name under which a request changes something.
func author(c *fiber.Ctx, claimed string) (string, error) {
	name, err := who(c).actor(claimed)
	if err != nil {
		return "", err
	}
	if err := metadata.CheckAuthor(name); err != nil {
		return "", notKept(err)
	}
	return name, nil
}

// decodeBy reads the body of a request that changes something into body, and returns the name under which it
// does; by is where the body has it.
func decodeBy(c *fiber.Ctx, body any, by *string) (string, error) {
	if err := decode(c.Request().Body(), body); err != nil {
		return "", err
	}
	return author(c, *by)
}

// create keeps a new document. A client that chose its id may send it again.
func (p *Portal) create(c *fiber.Ctx, id, by string, doc metadata.Document) (*store.Document, string, error) {
	if id == "" {
		id = "p-" + rand.Text()
	}
	if err := metadata.CheckID(id); err != nil {
		return nil, "", notKept(err)
	}
	change, err := metadata.New(id, doc)
	if err != nil {
		return nil, "", notKept(err)
	}
	change.Version, change.By = 1, by
	d, outcome, err := p.change(change, nil)
	if conflict(err) {
		return p.again(c, change)
	}
	return d, outcome, err
}

// again answers a document that is sent again.
func (p *Portal) again(c *fiber.Ctx, change *metadata.Change) (*store.Document, string, error) {
	l, err := p.store.Changes(c.UserContext(), change.Kind, change.Document, store.Page{Limit: store.Counted})
	if err != nil {
		return nil, "", p.noStore(err)
	}
	if n := len(l.Items); n > 0 && l.Items[n-1].By == change.By && same(l.Items[n-1].Doc, change.Doc()) {
		d, err := p.document(c, change.Kind, change.Document)
		return d, changeSaved, err
	}
	return nil, "", errUsed
}

var errUsed = refuse(fiber.StatusConflict, "id_used", "this id was used for something else").at("id")

func same(a, b metadata.Document) bool {
	left, err := json.Marshal(a)
	right, other := json.Marshal(b)
	return err == nil && other == nil && string(left) == string(right)
}

// update changes or deletes a document.
func (p *Portal) update(before *store.Document, by string, doc metadata.Document, deleted bool) (*store.Document, string, error) {
	change, err := metadata.New(before.ID, doc)
	if err != nil {
		return nil, "", notKept(err)
	}
	change.Version, change.By, change.Deleted = before.Version+1, by, deleted
	return p.change(change, before)
}

// change writes a change into Kafka and waits until the database has applied it. From there on it cannot
// be lost: the database is filled again from Kafka if it has to be.
func (p *Portal) change(change *metadata.Change, before *store.Document) (*store.Document, string, error) {
	if p.store == nil {
		return nil, "", errNoStore
	}
	change.ID, change.At = "p-"+rand.Text(), p.model.Now()
	raw, err := json.Marshal(change)
	if err != nil {
		return nil, "", fmt.Errorf("encoding a change: %w", err)
	}
	if err := p.commands.Put(context.Background(), p.cfg.Topics.Metadata, change.Document, raw); err != nil {
		return nil, "", refuse(fiber.StatusServiceUnavailable, "kafka_unavailable", "not saved, or not for certain; send it again with the same id")
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.answerWithin)
	defer cancel()
	switch p.applied(ctx, change.ID) {
	case store.OutcomeApplied:
		d, err := p.store.Document(ctx, change.Kind, change.Document)
		if err == nil {
			return d, changeSaved, nil
		}
		return sent(change, before), changeSaved, nil
	case store.OutcomeConflict:
		d, err := p.store.Document(ctx, change.Kind, change.Document)
		if errors.Is(err, store.ErrNoDocument) { // it is of another kind
			return nil, "", errUsed
		}
		if err != nil {
			return nil, "", p.noStore(err)
		}
		return nil, "", errChanged(d)
	case store.OutcomeNamed:
		return nil, "", refuse(fiber.StatusConflict, "name_taken", "there is one with this name: choose another, or change that one").at("name")
	case store.OutcomeReplaced:
		return nil, "", refuse(fiber.StatusConflict, "replaced", "the note was corrected before: correct the newer one").at("replaces")
	}
	return sent(change, before), changePending, nil
}

// applied waits for what became of a change, "" if that is not known in time.
func (p *Portal) applied(ctx context.Context, change string) store.Outcome {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		if outcome, err := p.store.Outcome(ctx, change); err == nil && outcome != "" {
			return outcome
		}
		select {
		case <-ctx.Done():
			return ""
		case <-tick.C:
		}
	}
}

// sent is the document that a change makes.
func sent(c *metadata.Change, before *store.Document) *store.Document {
	d := &store.Document{
		ID: c.Document, Kind: c.Kind, Version: c.Version, CreatedAt: c.At, CreatedBy: c.By, ChangedAt: c.At, ChangedBy: c.By, Deleted: c.Deleted, Doc: c.Doc(),
	}
	if before != nil {
		d.CreatedAt, d.CreatedBy = before.CreatedAt, before.CreatedBy
	}
	return d
}

// changed is what the answers to a change have in common.
type changed struct {
	Time int64 `json:"time"`
	// Outcome is saved, or pending: it is in Kafka and cannot be lost, the database has not applied it yet.
	Outcome string `json:"outcome"`
}

// answerChange answers a request that changed something: 200, or 202 while the database has not applied it.
func (p *Portal) answerChange(c *fiber.Ctx, d *store.Document, outcome string, err error, answer func(changed, *store.Document) any) error {
	if err != nil {
		return err
	}
	setVersion(c, d.Version)
	if outcome == changePending {
		c.Status(fiber.StatusAccepted)
	}
	return c.JSON(answer(changed{p.model.Now(), outcome}, d))
}

func setVersion(c *fiber.Ctx, version int64) {
	c.Set(fiber.HeaderETag, strconv.Quote(strconv.FormatInt(version, 10)))
}

// changeItem is an entry of the history of a document.
type changeItem struct {
	Version int64  `json:"version"`
	At      int64  `json:"at"` // ms since 1970
	By      string `json:"by"`
	Deleted bool   `json:"deleted"`
	Text    string `json:"text"` // of the note after it
}

// conflict reports whether an error is that of a document that somebody else changed.
func conflict(err error) bool {
	known, ok := errors.AsType[*apiError](err)
	return ok && known.body.Code == "conflict"
}
