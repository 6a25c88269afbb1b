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
	Time int64 `json:"time"`
	// Outcome is saved, or pending: it is in Kafka and cannot be lost, the database has not applied it yet.
	Outcome string   `json:"outcome"`
	View    viewItem `json:"view"`
}

// dashboardAnswer answers a change of a dashboard.
type dashboardAnswer struct {
	Time      int64         `json:"time"`
	Outcome   string        `json:"outcome"` // as of a view
	Dashboard dashboardItem `json:"dashboard"`
}

// sharing says whose a view or dashboard is.
type sharing struct {
	By    string `json:"by"`    // operator; see access.go
	Scope string `json:"scope"` // of a new one shared by default, else as it was
	Name  string `json:"name"`
}

// viewBody is a view to save.
type viewBody struct {
	sharing

	ID      string `json:"id"`      // of a new one; chosen by the sender, it makes a retry safe
	Page    string `json:"page"`    // the first part of the page's address
	Subject string `json:"subject"` // the second one: a device
	Query   string `json:"query"`   // behind the ?, percent-encoded
}

// dashboardBody is a dashboard to save.
type dashboardBody struct {
	sharing

	ID          string          `json:"id"` // of a new one; chosen by the sender, it makes a retry safe
	Description string          `json:"description"`
	Tiles       json.RawMessage `json:"tiles"`
}

// authorBody says who does something.
type authorBody struct {
	By string `json:"by"` // operator; see access.go
}

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
		b.Tiles = json.RawMessage("[]")
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

func (p *Portal) getView(c *fiber.Ctx) error {
	return p.one(c, metadata.KindView, func(d *store.Document) any { return viewOf(d) })
}

func (p *Portal) getDashboard(c *fiber.Ctx) error {
	return p.one(c, metadata.KindDashboard, func(d *store.Document) any { return dashboardOf(d) })
}

// one answers with a document.
func (p *Portal) one(c *fiber.Ctx, kind metadata.Kind, show func(*store.Document) any) error {
	d, err := p.document(c, kind, strings.Clone(c.Params("id")))
	if err != nil {
		return err
	}
	setVersion(c, d.Version)
	return c.JSON(show(d))
}

// mine refuses a change of another operator's own view or dashboard.
func mine(d *store.Document, by string) error {
	if owner := d.Doc.Index().Owner; owner != "" && owner != by {
		return refuse(fiber.StatusForbidden, "not_owner", fmt.Sprintf("it is %s's own", owner))
	}
	return nil
}

// writable is the body of a view or dashboard.
type writable interface {
	document(by string) (metadata.Document, error)
}

// createOwned keeps a new view or dashboard.
func (p *Portal) createOwned(c *fiber.Ctx, b writable, s *sharing, id string) (*store.Document, string, error) {
	by, err := author(c, s.By)
	if err != nil {
		return nil, "", err
	}
	doc, err := b.document(by)
	if err != nil {
		return nil, "", err
	}
	return p.create(c, strings.Clone(id), by, doc)
}

// updateOwned replaces a view or dashboard.
func (p *Portal) updateOwned(c *fiber.Ctx, kind metadata.Kind, b writable, s *sharing, id string) (*store.Document, string, error) {
	by, err := author(c, s.By)
	if err != nil {
		return nil, "", err
	}
	if id != "" && id != c.Params("id") {
		return nil, "", badField("id", "none: it is in the path")
	}
	before, err := p.theDocument(c, kind, strings.Clone(c.Params("id")))
	if err == nil {
		err = mine(before, by)
	}
	if err != nil {
		return nil, "", err
	}
	if s.Scope == "" && before.Doc.Index().Owner != "" {
		s.Scope = metadata.ScopeOwn
	}
	doc, err := b.document(by)
	if err != nil {
		return nil, "", err
	}
	return p.update(before, by, doc, false)
}

// deleteOwned deletes a view or dashboard.
func (p *Portal) deleteOwned(c *fiber.Ctx, kind metadata.Kind) (*store.Document, string, error) {
	var body authorBody
	by, err := decodeBy(c, &body, &body.By)
	if err != nil {
		return nil, "", err
	}
	before, err := p.theDocument(c, kind, strings.Clone(c.Params("id")))
	if err == nil {
		err = mine(before, by)
	}
	if err != nil {
		return nil, "", err
	}
	return p.update(before, by, before.Doc, true)
}

func (p *Portal) answerView(c *fiber.Ctx, d *store.Document, outcome string, err error) error {
	if err != nil {
		return err
	}
	return answerChange(c, d, outcome, viewAnswer{p.model.Now(), outcome, viewOf(d)})
}

func (p *Portal) answerDashboard(c *fiber.Ctx, d *store.Document, outcome string, err error) error {
	if err != nil {
		return err
	}
	return answerChange(c, d, outcome, dashboardAnswer{p.model.Now(), outcome, dashboardOf(d)})
}

func (p *Portal) createView(c *fiber.Ctx) error {
	var b viewBody
	if err := decode(c.Request().Body(), &b); err != nil {
		return err
	}
	d, outcome, err := p.createOwned(c, &b, &b.sharing, b.ID)
	return p.answerView(c, d, outcome, err)
}

func (p *Portal) updateView(c *fiber.Ctx) error {
	var b viewBody
	if err := decode(c.Request().Body(), &b); err != nil {
		return err
	}
	d, outcome, err := p.updateOwned(c, metadata.KindView, &b, &b.sharing, b.ID)
	return p.answerView(c, d, outcome, err)
}

func (p *Portal) deleteView(c *fiber.Ctx) error {
	d, outcome, err := p.deleteOwned(c, metadata.KindView)
	return p.answerView(c, d, outcome, err)
}

func (p *Portal) createDashboard(c *fiber.Ctx) error {
	var b dashboardBody
	if err := decode(c.Request().Body(), &b); err != nil {
		return err
	}
	d, outcome, err := p.createOwned(c, &b, &b.sharing, b.ID)
	return p.answerDashboard(c, d, outcome, err)
}

func (p *Portal) updateDashboard(c *fiber.Ctx) error {
	var b dashboardBody
	if err := decode(c.Request().Body(), &b); err != nil {
		return err
	}
	d, outcome, err := p.updateOwned(c, metadata.KindDashboard, &b, &b.sharing, b.ID)
	return p.answerDashboard(c, d, outcome, err)
}

func (p *Portal) deleteDashboard(c *fiber.Ctx) error {
	d, outcome, err := p.deleteOwned(c, metadata.KindDashboard)
	return p.answerDashboard(c, d, outcome, err)
}
