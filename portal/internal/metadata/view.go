package metadata

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Scopes of views and dashboards.
const (
	ScopeShared = "shared" // everybody's
	ScopeOwn    = "own"    // of the operator who made it
)

// Scopes are the valid ones.
var Scopes = []string{ScopeShared, ScopeOwn}

// Pages are those that a view can show: the first segment of the page's address.
var Pages = []string{"overview", "devices", "device", "alarms", "audit", "shiftnotes", "trends", "gateways", "system", "report", "rules"}

// Scope is who sees a view or dashboard.
type Scope struct {
	Scope string `json:"scope"`
	Owner string `json:"owner,omitempty"` // of an own one
	Name  string `json:"name"`
}

func (s *Scope) check() error {
	switch {
	case s.Name == "" || !line(s.Name, MaxName):
		return bad("name", "1 to %d bytes in one line without spaces around", MaxName)
	case !slices.Contains(Scopes, s.Scope):
		return bad("scope", "%s", strings.Join(Scopes, ", "))
	case (s.Scope == ScopeOwn) != (s.Owner != ""):
		return bad("owner", "an operator for an own one alone")
	}
	return nil
}

// View is a page with its settings, as its address has them.
type View struct {
	Scope

	Page    string `json:"page"`
	Subject string `json:"subject,omitempty"` // of the page: a device
	Query   string `json:"query,omitempty"`   // behind the ?, percent-encoded
}

// Kind implements Document.
func (v *View) Kind() Kind { return KindView }

// Index implements Document.
func (v *View) Index() Index {
	return Index{Owner: v.Owner, Name: v.Name, Subject: v.Page, Texts: []string{v.Name}}
}

// Check implements Document. A view has no address of its own, only parts of one, so that it cannot lead
// to another place.
func (v *View) Check() error {
	if err := v.check(); err != nil {
		return err
	}
	if !slices.Contains(Pages, v.Page) {
		return bad("page", "%s", strings.Join(Pages, ", "))
	}
	if !line(v.Subject, maxSubject) || v.Subject == "." || v.Subject == ".." {
		return bad("subject", "at most %d bytes in one line", maxSubject)
	}
	odd := strings.ContainsFunc(v.Query, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("#\"<>\\", r) })
	if _, err := url.ParseQuery(v.Query); err != nil || odd || len(v.Query) > MaxQuery {
		return bad("query", "what stands behind the ? of the page's address, percent-encoded, at most %d bytes", MaxQuery)
	}
	return nil
}

// Tile is a part of a dashboard.
type Tile struct {
	Type   string `json:"type"`
	Title  string `json:"title,omitempty"`
	Query  string `json:"query,omitempty"` // what it shows, as parameters of the API
	Text   string `json:"text,omitempty"`
	Width  int    `json:"width,omitempty"`  // of twelve columns
	Height int    `json:"height,omitempty"` // in rows
}

// Dashboard is a list of tiles.
type Dashboard struct {
	Scope

	Description string `json:"description,omitempty"`
	Tiles       []Tile `json:"tiles"`
}

// Kind implements Document.
func (d *Dashboard) Kind() Kind { return KindDashboard }

// Index implements Document.
func (d *Dashboard) Index() Index {
	return Index{Owner: d.Owner, Name: d.Name, Texts: []string{d.Name, d.Description}}
}

// Check implements Document.
func (d *Dashboard) Check() error {
	if err := d.check(); err != nil {
		return err
	}
	if !plain(d.Description, MaxNote) {
		return bad("description", "a text of at most %d bytes", MaxNote)
	}
	raw, err := json.Marshal(d.Tiles)
	if err != nil {
		return fmt.Errorf("encoding tiles: %w", err)
	}
	_, err = ParseTiles(raw)
	return err
}

// TilesSchema is the JSON Schema (2020-12) of a dashboard's tiles.
//
//go:embed tiles.schema.json
var TilesSchema []byte

// tiles is compiled at first use.
var tiles = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(TilesSchema))
	if err != nil {
		return nil, fmt.Errorf("reading the schema of tiles: %w", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("tiles.schema.json", doc); err != nil {
		return nil, fmt.Errorf("reading the schema of tiles: %w", err)
	}
	return c.Compile("tiles.schema.json")
})

// ParseTiles reads the tiles of a dashboard. The error names the first place where they do not fit the
// schema.
func ParseTiles(raw []byte) (list []Tile, err error) {
	schema, err := tiles()
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, bad("tiles", "a JSON list of tiles")
	}
	if err := schema.Validate(value); err != nil {
		wrong, ok := errors.AsType[*jsonschema.ValidationError](err)
		if !ok {
			return nil, fmt.Errorf("checking tiles: %w", err)
		}
		return nil, misfit(wrong)
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, bad("tiles", "a JSON list of tiles")
	}
	return list, nil
}

// misfit names the place of the first misfit.
func misfit(e *jsonschema.ValidationError) error {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	unit := e.BasicOutput()
	text := "it does not fit"
	if unit.Error != nil {
		text = unit.Error.String()
	}
	at := strings.Join(append([]string{"tiles"}, e.InstanceLocation...), "/")
	return fmt.Errorf("%w: %s: %s", ErrInvalid, at, text)
}
