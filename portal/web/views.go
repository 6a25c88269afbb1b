package web

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/store"
)

// viewItem is a saved view: a page with its settings.
type viewItem struct {
	kept
	metadata.View
}

func viewOf(d *store.Document) viewItem {
	v, _ := d.Doc.(*metadata.View)
	return viewItem{keptOf(d), *v}
}

// dashboardItem is a dashboard.
type dashboardItem struct {
	kept
	metadata.Dashboard
}

func dashboardOf(d *store.Document) dashboardItem {
	v, _ := d.Doc.(*metadata.Dashboard)
	return dashboardItem{keptOf(d), *v}
}

// viewAnswer answers a change of a view.
type viewAnswer struct {
	changed

	View viewItem `json:"view"`
}

// dashboardAnswer answers a change of a dashboard.
type dashboardAnswer struct {
	changed

	Dashboard dashboardItem `json:"dashboard"`
}

// sharing is what the bodies of views and dashboards have in common.
type sharing struct {
	By    string `json:"by"`    // operator; see access.go
	Scope string `json:"scope"` // of a new one shared by default, else as it was
	Name  string `json:"name"`
	ID    string `json:"id"` // of a new one; chosen by the sender, it makes a retry safe
}

// viewBody is a view to save.
type viewBody struct {
	sharing

	Page    string `json:"page"`    // the first part of the page's address
	Subject string `json:"subject"` // the second one: a device
	Query   string `json:"query"`   // behind the ?, percent-encoded
}

// dashboardBody is a dashboard to save.
type dashboardBody struct {
	sharing

	Description string          `json:"description"`
	Tiles       json.RawMessage `json:"tiles"`
}

// authorBody says who does something.
type authorBody struct {
	By string `json:"by"` // operator; see access.go
}

func (s *sharing) shared() *sharing { return s }

// scope returns whose a view or dashboard is to be.
func (s *sharing) scope(by string) metadata.Scope {
	out := metadata.Scope{Scope: s.Scope, Name: s.Name}
	switch out.Scope {
	case "":
		out.Scope = metadata.ScopeShared
	case metadata.ScopeOwn:
		out.Owner = by
	}
	return out
}

func (b *viewBody) document(by string) (metadata.Document, error) {
	return &metadata.View{Scope: b.scope(by), Page: b.Page, Subject: b.Subject, Query: b.Query}, nil
}

func (b *dashboardBody) document(by string) (metadata.Document, error) {
	if len(b.Tiles) == 0 {
		return nil, badField("tiles", "the list of tiles; [] for none")
	}
	tiles, err := metadata.ParseTiles(b.Tiles)
	if err != nil {
		return nil, notKept(err)
	}
	return &metadata.Dashboard{Scope: b.scope(by), Description: b.Description, Tiles: tiles}, nil
}

// nobody owns nothing: no operator has the name.
const nobody = "\n"

// owned reads the parameters that select views or dashboards: those of everybody, and the operator's own.
func owned(c *fiber.Ctx, kind metadata.Kind) (*store.DocumentQuery, error) {
	scope, err := oneOf(c, "scope", metadata.Scopes...)
	if err != nil {
		return nil, err
	}
	name := who(c).Name
	if name == "" {
		name = strings.Clone(c.Query("by"))
	}
	q := &store.DocumentQuery{Kind: kind, ByName: true, Text: strings.ToLower(strings.Clone(c.Query("q"))), Owners: []string{""}}
	switch {
	case scope == metadata.ScopeOwn && name == "":
		q.Owners = []string{nobody}
	case scope == metadata.ScopeOwn:
		q.Owners = []string{name}
	case scope == "" && name != "":
		q.Owners = append(q.Owners, name)
	}
	return q, nil
}

func (p *Portal) listViews(c *fiber.Ctx) error {
	q, err := owned(c, metadata.KindView)
	if err != nil {
		return err
	}
	if q.Subject, err = oneOf(c, "page", metadata.Pages...); err != nil {
		return err
	}
	return listDocuments(p, c, q, viewOf)
}

func (p *Portal) listDashboards(c *fiber.Ctx) error {
	q, err := owned(c, metadata.KindDashboard)
	if err != nil {
		return err
	}
	return listDocuments(p, c, q, dashboardOf)
}

func (p *Portal) getView(c *fiber.Ctx) error { return one(p, c, metadata.KindView, viewOf) }

func (p *Portal) getDashboard(c *fiber.Ctx) error {
	return one(p, c, metadata.KindDashboard, dashboardOf)
}

// one answers with a document.
func one[T any](p *Portal, c *fiber.Ctx, kind metadata.Kind, show func(*store.Document) T) error {
	d, err := p.document(c, kind, strings.Clone(c.Params("id")))
	if err != nil {
		return err
	}
	setVersion(c, d.Version)
	return c.JSON(show(d))
}

// ownedBody is the body of a view or dashboard.
type ownedBody interface {
	shared() *sharing
	document(by string) (metadata.Document, error)
}

// ownedKind is what views and dashboards do differently; its methods are handlers.
type ownedKind struct {
	kind   metadata.Kind
	body   func() ownedBody
	answer func(changed, *store.Document) any
}

var (
	views = &ownedKind{
		kind:   metadata.KindView,
		body:   func() ownedBody { return new(viewBody) },
		answer: func(c changed, d *store.Document) any { return viewAnswer{c, viewOf(d)} },
	}
	dashboards = &ownedKind{
		kind:   metadata.KindDashboard,
		body:   func() ownedBody { return new(dashboardBody) },
		answer: func(c changed, d *store.Document) any { return dashboardAnswer{c, dashboardOf(d)} },
	}
)

func (k *ownedKind) create(p *Portal, c *fiber.Ctx) error {
	b := k.body()
	by, err := decodeBy(c, b, &b.shared().By)
	if err != nil {
		return err
	}
	doc, err := b.document(by)
	if err != nil {
		return err
	}
	d, outcome, err := p.create(c, b.shared().ID, by, doc)
	return p.answerChange(c, d, outcome, err, k.answer)
}

func (k *ownedKind) update(p *Portal, c *fiber.Ctx) error {
	b := k.body()
	s := b.shared()
	by, err := decodeBy(c, b, &s.By)
	if err != nil {
		return err
	}
	if s.ID != "" && s.ID != c.Params("id") {
		return badField("id", "none: it is in the path")
	}
	before, err := k.before(p, c, by)
	if err != nil {
		return err
	}
	if s.Scope == "" && before.Doc.Index().Owner != "" {
		s.Scope = metadata.ScopeOwn
	}
	doc, err := b.document(by)
	if err != nil {
		return err
	}
	d, outcome, err := p.update(before, by, doc, false)
	return p.answerChange(c, d, outcome, err, k.answer)
}

func (k *ownedKind) delete(p *Portal, c *fiber.Ctx) error {
	var b authorBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	before, err := k.before(p, c, by)
	if err != nil {
		return err
	}
	d, outcome, err := p.update(before, by, before.Doc, true)
	return p.answerChange(c, d, outcome, err, k.answer)
}

// before returns the view or dashboard that a request changes, if it is not another operator's own.
func (k *ownedKind) before(p *Portal, c *fiber.Ctx, by string) (*store.Document, error) {
	d, err := p.theDocument(c, k.kind, strings.Clone(c.Params("id")))
	if err != nil {
		return nil, err
	}
	if owner := d.Doc.Index().Owner; owner != "" && owner != by {
		return nil, refuse(fiber.StatusForbidden, "not_owner", fmt.Sprintf("it is %s's own", owner))
	}
	return d, nil
}
