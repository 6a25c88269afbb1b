// Package metadata is what operators keep in the portal: saved views, dashboards, shift notes, notes on
// devices, facts about them, plans of floors and pictures. It defines their forms, their limits and the record by which each change is
// kept in Kafka. It does no I/O and nothing in it blocks; package store applies the changes.
package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what a document is.
type Kind string

// Kinds.
const (
	KindView       Kind = "view"
	KindDashboard  Kind = "dashboard"
	KindShiftNote  Kind = "shift_note"
	KindDeviceNote Kind = "device_note"
	KindDevice     Kind = "device" // facts about a device
)

// Limits, in bytes.
const (
	MaxName       = 128
	MaxQuery      = 2048
	MaxNote       = 2048
	MaxShiftNote  = 4096
	MaxPlace      = 256
	MaxDashboard  = 60 << 10 // of a dashboard as JSON: a request has 64 KiB
	MaxBuilding   = 128
	maxSubject    = 128
	maxAuthor     = 128
	MaxIntervalS  = 31 * 86_400 // seconds
	MaxSignatures = 50
)

// ErrInvalid is wrapped by errors of a document that cannot be kept. What follows it names the field.
var ErrInvalid = errors.New("invalid document")

func bad(field, format string, args ...any) error {
	return fmt.Errorf("%w: %s: want %s", ErrInvalid, field, fmt.Sprintf(format, args...))
}

// Document is the value of a change.
type Document interface {
	Kind() Kind
	// Check returns an error that wraps ErrInvalid and names the first bad field, or nil.
	Check() error
	// Index returns what the document is found by.
	Index() Index
}

// Index is what a document is found by.
type Index struct {
	Owner    string   // of views and dashboards that are one operator's own
	Name     string   // unique among those of an owner
	Subject  string   // the page of a view, the building of a shift note, the device of a note
	At       int64    // ms; of a shift note, else 0
	Priority bool     // of a shift note
	Replaces string   // the note that it corrects; a note is corrected once
	Texts    []string // that a search looks in
}

// Change is the value of a record in the portal-metadata topic, key Document. The order of the records
// decides: a change applies if its version is higher than that of the document, else somebody else was
// faster and it has no effect. Each has the whole document, so that a lost one before it does no harm.
type Change struct {
	ID       string          `json:"change"` // of this change
	Kind     Kind            `json:"kind"`
	Document string          `json:"document"`
	Version  int64           `json:"version"` // that the document gets: 1 is a new one
	At       int64           `json:"at"`      // ms since 1970 by the portal's clock
	By       string          `json:"by"`      // operator
	Deleted  bool            `json:"deleted,omitempty"`
	Value    json.RawMessage `json:"value"` // the document; of a deleted one the last

	doc Document
}

// Doc returns the document.
func (c *Change) Doc() Document { return c.doc }

// ID is the pattern of an id that a client may choose, and of a device's.
const ID = `^[A-Za-z0-9_-]{1,64}$`

var (
	legalID    = regexp.MustCompile(ID)
	documentID = regexp.MustCompile(`^((device|image|plan)\.)?[A-Za-z0-9_-]{1,64}$`)
)

// FactsID is the id of the document with the facts about a device. No client can choose it for another.
func FactsID(device string) string { return "device." + device }

// CheckID returns an error about an id that a client chose, or nil.
func CheckID(id string) error {
	if !legalID.MatchString(id) {
		return bad("id", "1 to 64 of A-Z a-z 0-9 _ -")
	}
	return nil
}

// New returns a change that writes a document.
func New(id string, d Document) (*Change, error) {
	c := &Change{Kind: d.Kind(), Document: id, doc: d}
	if err := d.Check(); err != nil {
		return nil, err
	}
	var err error
	c.Value, err = json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding a document: %w", err)
	}
	if d.Kind() == KindDashboard && len(c.Value) > MaxDashboard {
		return nil, bad("tiles", "a dashboard of at most %d bytes as JSON, found %d", MaxDashboard, len(c.Value))
	}
	return c, nil
}

// Parse reads a record of the topic.
func Parse(raw []byte) (*Change, error) {
	c := &Change{}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("reading a change: %w", err)
	}
	if c.ID == "" || c.Version < 1 || c.By == "" || !documentID.MatchString(c.Document) {
		return nil, fmt.Errorf("%w: want change, document, version and by", ErrInvalid)
	}
	var err error
	c.doc, err = Read(c.Kind, c.Value)
	return c, err
}

// Read reads a document.
func Read(kind Kind, value []byte) (d Document, err error) {
	switch kind {
	case KindView:
		d = &View{}
	case KindDashboard:
		d = &Dashboard{}
	case KindShiftNote:
		d = &ShiftNote{}
	case KindDeviceNote:
		d = &DeviceNote{}
	case KindDevice:
		d = &Facts{}
	case KindImage:
		d = &Image{}
	case KindPlan:
		d = &Plan{}
	default:
		return nil, fmt.Errorf("%w: kind %q", ErrInvalid, kind)
	}
	if err := json.Unmarshal(value, d); err != nil {
		return nil, fmt.Errorf("reading a %s: %w", kind, err)
	}
	return d, nil
}

// CheckAuthor returns an error about the name of an operator, or nil.
func CheckAuthor(name string) error {
	if !line(name, maxAuthor) || name == "" {
		return bad("by", "a name of at most %d bytes in one line", maxAuthor)
	}
	return nil
}

// line reports whether s is one line of text without spaces around it, at most most bytes long.
func line(s string, most int) bool {
	return plain(s, most) && s == strings.TrimSpace(s) && !strings.ContainsAny(s, "\n\t")
}

// plain reports whether s is text, at most most bytes long.
func plain(s string, most int) bool {
	if len(s) > most || !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) < 0
}

// checkText checks a text that has to say something.
func checkText(field, s string, most int) error {
	if strings.TrimSpace(s) == "" || !plain(s, most) {
		return bad(field, "a text of 1 to %d bytes in UTF-8 without control characters, found %d bytes", most, len(s))
	}
	return nil
}
