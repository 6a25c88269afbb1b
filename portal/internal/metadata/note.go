package metadata

import "slices"

// Signature is the name of an operator who has read a note.
type Signature struct {
	By string `json:"by"`
	At int64  `json:"at"` // ms since 1970 by the portal's clock
}

// ShiftNote is an entry of the shift log. It is never changed: a wrong one is replaced by another, and both
// stay. Signatures are added to it.
type ShiftNote struct {
	Building   string      `json:"building,omitempty"` // empty: the plant
	ShiftStart int64       `json:"shift_start"`        // ms since 1970
	Text       string      `json:"text"`
	Priority   bool        `json:"priority,omitempty"` // the next shift has to act
	Replaces   string      `json:"replaces,omitempty"` // the note that this one corrects
	Signatures []Signature `json:"signatures,omitempty"`
}

// Kind implements Document.
func (n *ShiftNote) Kind() Kind { return KindShiftNote }

// Index implements Document.
func (n *ShiftNote) Index() Index {
	return Index{Subject: n.Building, At: n.ShiftStart, Priority: n.Priority, Replaces: n.Replaces, Texts: []string{n.Text, n.Building}}
}

// latest is the end of the year 9999 in ms, the last that dates are written for.
const latest = 253_402_300_799_999

// Check implements Document.
func (n *ShiftNote) Check() error {
	switch {
	case !line(n.Building, MaxBuilding):
		return bad("building", "a name of at most %d bytes in one line", MaxBuilding)
	case n.ShiftStart < 0 || n.ShiftStart > latest:
		return bad("shift_start", "a time in ms since 1970")
	case n.Replaces != "" && !legalID.MatchString(n.Replaces):
		return bad("replaces", "the id of a note")
	case len(n.Signatures) > MaxSignatures:
		return bad("signatures", "at most %d", MaxSignatures)
	}
	return checkText("text", n.Text, MaxShiftNote)
}

// SignedBy reports whether an operator has signed the note.
func (n *ShiftNote) SignedBy(name string) bool {
	return slices.ContainsFunc(n.Signatures, func(s Signature) bool { return s.By == name })
}

// DeviceNote is a note on a device. The one before a change is in the changes.
type DeviceNote struct {
	DeviceID string `json:"device_id"`
	Text     string `json:"text"`
}

// Kind implements Document.
func (n *DeviceNote) Kind() Kind { return KindDeviceNote }

// Index implements Document.
func (n *DeviceNote) Index() Index {
	return Index{Subject: n.DeviceID, Texts: []string{n.Text, n.DeviceID}}
}

// Check implements Document.
func (n *DeviceNote) Check() error {
	if !legalID.MatchString(n.DeviceID) {
		return bad("device_id", "the id of a device")
	}
	return checkText("text", n.Text, MaxNote)
}

// Facts are what operators know of a device beyond its name, description and tags. core does not use them.
type Facts struct {
	DeviceID          string `json:"device_id"`
	Place             string `json:"place,omitempty"`               // where exactly it is installed
	ExpectedIntervalS int64  `json:"expected_interval_s,omitempty"` // how often it should send, in seconds
	Documents         []Link `json:"documents,omitempty"`
	Photo             string `json:"photo,omitempty"` // id of an image
}

// Kind implements Document.
func (f *Facts) Kind() Kind { return KindDevice }

// Index implements Document.
func (f *Facts) Index() Index { return Index{Subject: f.DeviceID, Texts: []string{f.Place}} }

// Check implements Document.
func (f *Facts) Check() error {
	switch {
	case !legalID.MatchString(f.DeviceID):
		return bad("device_id", "the id of a device")
	case !line(f.Place, MaxPlace):
		return bad("place", "at most %d bytes in one line without spaces around", MaxPlace)
	case f.ExpectedIntervalS < 0 || f.ExpectedIntervalS > MaxIntervalS:
		return bad("expected_interval_s", "seconds from 0, for unknown, to %d", MaxIntervalS)
	case f.Photo != "" && !imageID(f.Photo):
		return bad("photo", "the id of an image")
	}
	return checkLinks(f.Documents)
}
