package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Bounds of what operators write about a device, in bytes of UTF-8.
const (
	MaxDeviceName  = 128
	MaxDescription = 1024
	MaxTags        = 16
	MaxTag         = 32
)

// DeviceMeta is the value of a record in the compacted device-meta topic, key DeviceID: what
// operators wrote about a device. Core alone writes it, in the partition of the device's
// readings.
type DeviceMeta struct {
	DeviceID    string   `json:"device_id"`
	Name        string   `json:"name,omitempty"`
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags,omitempty"` // in the order given, each once
	// Maintenance is nil while the device is not under maintenance. It has no part in Revision:
	// it ends without an operator.
	Maintenance *Maintenance `json:"maintenance,omitempty"`
	Revision    int64        `json:"revision"` // 1, 2, 3, … of this device
	By          string       `json:"by"`       // who made this revision
	At          int64        `json:"at"`       // and when, ms since 1970 by the portal's clock
	// Commands are the newest commands applied, oldest first: a repeated one has no effect.
	Commands []string `json:"commands,omitempty"`
}

// Maintenance is who put a device under maintenance, until when and why.
type Maintenance struct {
	By     string `json:"by"`
	At     int64  `json:"at"`    // ms since 1970
	Until  int64  `json:"until"` // ms since 1970
	Reason string `json:"reason"`
}

// DevicePatch changes the description of a device. A nil field stays as it is, an empty
// one is removed.
type DevicePatch struct {
	Name        *string   `json:"name,omitempty"`
	Description *string   `json:"description,omitempty"`
	Tags        *[]string `json:"tags,omitempty"`
	// IfRevision is the revision that the sender has seen, 0 for a device without any; nil:
	// whatever it is. The command is refused with OutcomeConflict if it is another one.
	IfRevision *int64 `json:"if_revision,omitempty"`
}

// Check returns an error that wraps ErrCommand and names the first bad field of p, or nil.
func (p *DevicePatch) Check() error {
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: %s: want %s", ErrCommand, field, fmt.Sprintf(format, args...))
	}
	switch {
	case p.Name == nil && p.Description == nil && p.Tags == nil:
		return bad("describe", "at least one of name, description and tags")
	case p.Name != nil && !line(*p.Name, MaxDeviceName):
		return bad("name", "at most %d bytes in one line without spaces around, found %d bytes", MaxDeviceName, len(*p.Name))
	case p.Description != nil && !lines(*p.Description, MaxDescription):
		return bad("description", "at most %d bytes without control characters, found %d bytes", MaxDescription, len(*p.Description))
	case p.IfRevision != nil && *p.IfRevision < 0:
		return bad("if_revision", "0 or more, found %d", *p.IfRevision)
	case p.Tags == nil:
		return nil
	case len(*p.Tags) > MaxTags:
		return bad("tags", "at most %d, found %d", MaxTags, len(*p.Tags))
	}
	for i, tag := range *p.Tags {
		field := fmt.Sprintf("tags[%d]", i)
		switch {
		case tag == "" || !line(tag, MaxTag):
			return bad(field, "1 to %d bytes in one line without spaces around, found %d bytes", MaxTag, len(tag))
		case slices.Contains((*p.Tags)[:i], tag):
			return bad(field, "each tag once, found %q again", tag)
		}
	}
	return nil
}

// Apply returns m as p changes it, and whether that is a change. By, At, Revision and
// Commands stay as they are.
func (p *DevicePatch) Apply(m DeviceMeta) (DeviceMeta, bool) {
	before := m
	if p.Name != nil {
		m.Name = *p.Name
	}
	if p.Description != nil {
		m.Description = *p.Description
	}
	if p.Tags != nil {
		m.Tags = slices.Clone(*p.Tags)
	}
	same := m.Name == before.Name && m.Description == before.Description && slices.Equal(m.Tags, before.Tags)
	return m, !same
}

// line reports whether s is one line of printable text of at most limit bytes.
func line(s string, limit int) bool {
	return text(s, limit) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unprintable)
}

// lines is line for a text that may have several lines, and spaces around.
func lines(s string, limit int) bool {
	return text(s, limit) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && unprintable(r) })
}

// unprintable reports whether r is a control character or a separator of lines, or changes
// the direction of the text around it.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
