package web

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/store"
)

// shiftNoteItem is an entry of the shift log.
type shiftNoteItem struct {
	kept
	metadata.ShiftNote

	// ReplacedBy is the note that corrects this one.
	ReplacedBy string `json:"replaced_by,omitempty"`
}

func shiftNoteOf(d *store.Document) shiftNoteItem {
	n, _ := d.Doc.(*metadata.ShiftNote)
	return shiftNoteItem{keptOf(d), *n, d.ReplacedBy}
}

// shiftNoteAnswer answers a new note, or one that was signed.
type shiftNoteAnswer struct {
	changed

	Note shiftNoteItem `json:"note"`
}

func answerShiftNote(c changed, d *store.Document) any { return shiftNoteAnswer{c, shiftNoteOf(d)} }

// shiftNoteBody is an entry for the shift log.
type shiftNoteBody struct {
	ID         string `json:"id"`          // chosen by the sender, it makes a retry safe
	By         string `json:"by"`          // operator; see access.go
	Building   string `json:"building"`    // empty: the plant
	ShiftStart int64  `json:"shift_start"` // ms since 1970; by default now
	Text       string `json:"text"`
	Priority   bool   `json:"priority"` // the next shift has to act
	Replaces   string `json:"replaces"` // the note that this one corrects
}

// parseShiftNotes reads the parameters that select notes.
func parseShiftNotes(c *fiber.Ctx) (*store.DocumentQuery, error) {
	r := parser{get: func(name string) string { return c.Query(name) }}
	q := &store.DocumentQuery{
		Kind: metadata.KindShiftNote, Subject: strings.Clone(c.Query("building")), Author: strings.Clone(c.Query("author")),
		Text: strings.ToLower(strings.Clone(c.Query("q"))), From: r.time("from"), To: r.time("to"),
	}
	if r.err != nil {
		return nil, r.err
	}
	for name, to := range map[string]*bool{"priority": &q.Priority, "current": &q.Current} {
		word, err := oneOf(c, name, "true", "false")
		if err != nil {
			return nil, err
		}
		*to = word == "true"
	}
	return q, nil
}

func (p *Portal) listShiftNotes(c *fiber.Ctx) error {
	q, err := parseShiftNotes(c)
	if err != nil {
		return err
	}
	return listDocuments(p, c, q, shiftNoteOf)
}

func (p *Portal) getShiftNote(c *fiber.Ctx) error {
	return one(p, c, metadata.KindShiftNote, shiftNoteOf)
}

// createShiftNote keeps a note also while the database is away.
func (p *Portal) createShiftNote(c *fiber.Ctx) error {
	var b shiftNoteBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	if b.ShiftStart == 0 {
		b.ShiftStart = p.model.Now()
	}
	if b.Replaces != "" {
		if _, err := p.document(c, metadata.KindShiftNote, b.Replaces); err == errNoDocument { //nolint:errorlint // it is that one
			return badField("replaces", "the id of a note that exists")
		} else if err != nil {
			return err
		}
	}
	d, outcome, err := p.create(c, b.ID, by, &metadata.ShiftNote{Building: b.Building, ShiftStart: b.ShiftStart, Text: b.Text, Priority: b.Priority, Replaces: b.Replaces})
	return p.answerChange(c, d, outcome, err, answerShiftNote)
}

// mostTries is how often a signature is tried again because somebody else signed at the same time.
const mostTries = 5

// signShiftNote adds the operator's name to a note: read and understood. Twice is once.
func (p *Portal) signShiftNote(c *fiber.Ctx) error {
	var b authorBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		before, err := p.document(c, metadata.KindShiftNote, strings.Clone(c.Params("id")))
		if err != nil {
			return err
		}
		d, outcome := before, changeSaved
		if note, _ := before.Doc.(*metadata.ShiftNote); !note.SignedBy(by) {
			signed := *note
			signed.Signatures = append(slices.Clip(note.Signatures), metadata.Signature{By: by, At: p.model.Now()})
			d, outcome, err = p.update(before, by, &signed, false)
		}
		if conflict(err) && try < mostTries {
			continue
		}
		return p.answerChange(c, d, outcome, err, answerShiftNote)
	}
}

var (
	shiftNoteHead        = []string{"shift_start", "building", "priority", "text", "author", "written_at", "signed_by", "replaces", "replaced_by", "id"}
	shiftNoteHeadChinese = []string{"班次开始", "建筑", "重要", "内容", "记录人", "记录时间", "签收人", "更正", "被更正", "编号"}
)

func (p *Portal) exportShiftNotes(c *fiber.Ctx) error {
	q, err := parseShiftNotes(c)
	if err != nil {
		return err
	}
	return p.exportPast(c, "shiftnotes.csv", shiftNoteHead, shiftNoteHeadChinese, func(ctx context.Context, write func([]string) error) error {
		return p.store.EachDocument(ctx, q, func(d *store.Document) error { return write(shiftNoteRow(d)) })
	})
}

func shiftNoteRow(d *store.Document) []string {
	n := shiftNoteOf(d)
	signed := make([]string, len(n.Signatures))
	for i, s := range n.Signatures {
		signed[i] = s.By
	}
	return []string{
		moment(n.ShiftStart), n.Building, strconv.FormatBool(n.Priority), n.Text, n.CreatedBy, moment(n.CreatedAt), strings.Join(signed, ", "),
		n.Replaces, n.ReplacedBy, n.ID,
	}
}
