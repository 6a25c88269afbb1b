package web

import (
	"context"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/store"
)

// deviceNoteItem is a note on a device.
type deviceNoteItem struct {
	kept
	metadata.DeviceNote
}

func deviceNoteOf(d *store.Document) deviceNoteItem {
	n, _ := d.Doc.(*metadata.DeviceNote)
	return deviceNoteItem{keptOf(d), *n}
}

// deviceNoteAnswer answers a change of a note on a device.
type deviceNoteAnswer struct {
	changed

	Note deviceNoteItem `json:"note"`
}

func answerDeviceNote(c changed, d *store.Document) any { return deviceNoteAnswer{c, deviceNoteOf(d)} }

// deviceNoteBody is a note on a device.
type deviceNoteBody struct {
	ID   string `json:"id"` // of a new one; chosen by the sender, it makes a retry safe
	By   string `json:"by"` // operator; see access.go
	Text string `json:"text"`
}

func (p *Portal) listDeviceNotes(c *fiber.Ctx) error {
	word, err := oneOf(c, "deleted", "true", "false")
	if err != nil {
		return err
	}
	q := &store.DocumentQuery{Kind: metadata.KindDeviceNote, Subject: strings.Clone(c.Params("id")), Deleted: word == "true"}
	return listDocuments(p, c, q, deviceNoteOf)
}

// createDeviceNote keeps a note on a device that is there, or that the registry remembers.
func (p *Portal) createDeviceNote(c *fiber.Ctx) error {
	var b deviceNoteBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	id := strings.Clone(c.Params("id"))
	if p.deviceNow(id, p.model.Now()) == nil {
		if _, err := p.inRegistry(c, id); err != nil {
			return err
		}
	}
	d, outcome, err := p.create(c, b.ID, by, &metadata.DeviceNote{DeviceID: id, Text: b.Text})
	return p.answerChange(c, d, outcome, err, answerDeviceNote)
}

// theNote returns the note of a request that changes it, if it is one of the device.
func (p *Portal) theNote(c *fiber.Ctx) (*store.Document, error) {
	d, err := p.theDocument(c, metadata.KindDeviceNote, strings.Clone(c.Params("note")))
	if err == nil && d.Doc.Index().Subject != c.Params("id") {
		return nil, errNoDocument
	}
	return d, err
}

func (p *Portal) updateDeviceNote(c *fiber.Ctx) error {
	var b deviceNoteBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	if b.ID != "" && b.ID != c.Params("note") {
		return badField("id", "none: it is in the path")
	}
	before, err := p.theNote(c)
	if err != nil {
		return err
	}
	d, outcome, err := p.update(before, by, &metadata.DeviceNote{DeviceID: before.Doc.Index().Subject, Text: b.Text}, false)
	return p.answerChange(c, d, outcome, err, answerDeviceNote)
}

func (p *Portal) deleteDeviceNote(c *fiber.Ctx) error {
	var b authorBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	before, err := p.theNote(c)
	if err != nil {
		return err
	}
	d, outcome, err := p.update(before, by, before.Doc, true)
	return p.answerChange(c, d, outcome, err, answerDeviceNote)
}

// listNoteChanges returns what a note on a device was before, also of one that was deleted.
func (p *Portal) listNoteChanges(c *fiber.Ctx) error {
	if p.store == nil {
		return errNoStore
	}
	id := strings.Clone(c.Params("note"))
	d, err := p.store.Document(c.UserContext(), metadata.KindDeviceNote, id)
	if errors.Is(err, store.ErrNoDocument) || err == nil && d.Doc.Index().Subject != c.Params("id") {
		return errNoDocument
	}
	if err != nil {
		return p.noStore(err)
	}
	return listPage(p, c, func(ctx context.Context, at store.Page) (store.List[*store.Change], error) {
		return p.store.Changes(ctx, metadata.KindDeviceNote, id, at)
	}, func(c *store.Change) changeItem {
		n, _ := c.Doc.(*metadata.DeviceNote)
		return changeItem{c.Version, c.At, c.By, c.Deleted, n.Text}
	})
}
