// Package rulechange is the protocol by which operators change rules: the records of the
// alarm-rules topic and what they add up to. Core and every portal fold the same records and
// come to the same changes, so nobody has to be asked which of two decisions came first. The
// package does not know what a rule means. It does no I/O and nothing in it blocks.
package rulechange

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Act is what a record does with a change.
type Act string

// Acts.
const (
	Propose  Act = "propose"
	Approve  Act = "approve"
	Withdraw Act = "withdraw"
)

// Bounds of texts, in bytes of UTF-8.
const (
	MaxBy     = 128
	MaxReason = 1024
	MaxYAML   = 16 << 10
)

// Record is the value of a record in the alarm-rules topic.
type Record struct {
	Act    Act    `json:"act"`
	Change string `json:"change"` // id of the change, 1 to 64 of [A-Za-z0-9_-]
	By     string `json:"by"`
	At     int64  `json:"at"`             // ms since 1970, by the portal's clock
	Note   string `json:"note,omitempty"` // of a decision
	// Proposal is the content of the change; other acts have none.
	Proposal *Proposal `json:"proposal,omitempty"`
}

// Proposal is what somebody wants changed.
type Proposal struct {
	Rule string `json:"rule"` // id of the rule
	// YAML is the whole rule as an entry of a rules file; empty with Remove: the rule goes, or
	// the one in the file or the built-in one with this id is in force again.
	YAML   string `json:"yaml"`
	Remove bool   `json:"remove"`
	Before string `json:"before"` // the rule in force when it was proposed; empty: there was none
	Base   string `json:"base"`   // version of the rules in force then
	// After is the approved change of the rule that was the newest then, empty without one: only
	// while it still is, this change can be approved.
	After  string `json:"after,omitempty"`
	Reason string `json:"reason"`
	Trial  *Trial `json:"trial,omitempty"`
}

// Trial is the result of a dry run, kept with the change that it was made for.
type Trial struct {
	Hours  float64 `json:"hours"`  // how much of the past it went through
	Before int     `json:"before"` // alarms that the rules in force raised
	After  int     `json:"after"`  // alarms that the changed ones would have raised
}

// ErrInvalid is wrapped by every error of Check and Parse.
var ErrInvalid = errors.New("bad change of a rule")

// legalID is the pattern of the ids of changes and rules.
var legalID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ValidID reports whether s can be the id of a change.
func ValidID(s string) bool { return legalID.MatchString(s) }

// Check returns an error that begins with the first bad field of r, or nil.
func (r *Record) Check() error {
	bad := func(field, want string) error { return fmt.Errorf("%w: %s: want %s", ErrInvalid, field, want) }
	switch {
	case !ValidID(r.Change):
		return bad("change_id", "1 to 64 letters, digits, _ or -")
	case strings.TrimSpace(r.By) == "" || !text(r.By, MaxBy):
		return bad("by", "a name of 1 to 128 bytes")
	case r.At <= 0:
		return bad("at", "milliseconds since 1970")
	case !text(r.Note, MaxReason):
		return bad("note", "at most 1024 bytes")
	}
	p := r.Proposal
	switch r.Act {
	case Approve, Withdraw:
		if p != nil {
			return bad("proposal", "none: "+string(r.Act)+" decides on one")
		}
		return nil
	case Propose:
	default:
		return bad("act", "propose, approve or withdraw")
	}
	switch {
	case p == nil:
		return bad("proposal", "the change")
	case !legalID.MatchString(p.Rule):
		return bad("rule", "1 to 64 letters, digits, _ or -")
	case p.Remove == (p.YAML != ""):
		return bad("yaml", "the whole rule, or remove")
	case !text(p.YAML, MaxYAML):
		return bad("yaml", "at most 16 KiB")
	case strings.TrimSpace(p.Reason) == "" || !text(p.Reason, MaxReason):
		return bad("reason", "1 to 1024 bytes: no rule is changed without one")
	case p.Trial != nil && (p.Trial.Hours <= 0 || p.Trial.Before < 0 || p.Trial.After < 0):
		return bad("trial", "hours, before and after of a dry run")
	}
	return nil
}

func text(s string, limit int) bool { return len(s) <= limit && utf8.ValidString(s) }

// NewKey returns a key for a record about a change. Every record gets one of its own, retries
// included: see Book.
func NewKey(change string) string { return change + "/" + rand.Text() }

// Parse reads a record of the topic.
func Parse(key string, value []byte) (*Record, error) {
	r := &Record{}
	if err := json.Unmarshal(value, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(key, r.Change+"/") {
		return nil, fmt.Errorf("%w: key %q of a record about %s", ErrInvalid, key, r.Change)
	}
	return r, nil
}

// SamePerson reports whether two names are of one person, however they are spaced and in
// whatever case.
func SamePerson(a, b string) bool {
	plain := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return strings.EqualFold(plain(a), plain(b))
}
