package telemetry

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// AlarmAction is an operator's command to an alarm.
type AlarmAction string

// Actions. OutOfService and InService apply to a device's alarm type whether or not there
// is an alarm; the others need one.
const (
	ActionAcknowledge  AlarmAction = "acknowledge"
	ActionShelve       AlarmAction = "shelve"
	ActionUnshelve     AlarmAction = "unshelve"
	ActionOutOfService AlarmAction = "out_of_service"
	ActionInService    AlarmAction = "in_service"
	ActionComment      AlarmAction = "comment"
	ActionAssign       AlarmAction = "assign"
)

// Bounds of a command's texts, in bytes of UTF-8.
const (
	MaxCommandID = 64
	MaxOperator  = 128
	MaxNote      = 1024
)

// AlarmCommand is the value of a record in the alarm-commands topic, key DeviceID, so
// that the owner of the device applies commands in order. A command is applied once,
// however often it is sent: CommandID names it.
type AlarmCommand struct {
	CommandID string      `json:"command_id"` // chosen by the sender, 1 to 64 of [A-Za-z0-9_-]
	DeviceID  string      `json:"device_id"`
	AlertType string      `json:"alert_type"`
	AlertID   string      `json:"alert_id,omitempty"` // the incident that is meant; empty: the current one, if any
	Action    AlarmAction `json:"action"`
	By        string      `json:"by"`
	At        int64       `json:"at"`                 // ms since 1970, by the portal's clock
	Note      string      `json:"note,omitempty"`     // reason or comment
	Until     int64       `json:"until,omitempty"`    // of shelve, ms since 1970
	Assignee  string      `json:"assignee,omitempty"` // of assign; empty: unassigned
}

// ErrCommand is wrapped by every error of Check.
var ErrCommand = errors.New("bad command")

// Check returns an error that names the first bad field of c, or nil.
func (c *AlarmCommand) Check() error {
	bad := func(field, want string) error { return fmt.Errorf("%w: %s: want %s", ErrCommand, field, want) }
	switch {
	case !ValidDeviceID(c.CommandID): // the same alphabet and length
		return bad("command_id", "1 to 64 letters, digits, _ or -")
	case !ValidDeviceID(c.DeviceID):
		return bad("device_id", "1 to 64 letters, digits, _ or -")
	case !ValidDeviceID(c.AlertType):
		return bad("alert_type", "1 to 64 letters, digits, _ or -")
	case c.By == "" || !text(c.By, MaxOperator):
		return bad("by", "a name of 1 to 128 bytes")
	case !ValidTimestamp(c.At):
		return bad("at", "milliseconds since 1970")
	case !text(c.Note, MaxNote):
		return bad("note", "at most 1024 bytes")
	case !text(c.Assignee, MaxOperator):
		return bad("assignee", "at most 128 bytes")
	}
	switch c.Action {
	case ActionShelve:
		if c.Until <= c.At || !ValidTimestamp(c.Until) {
			return bad("until", "a time after at")
		}
	case ActionComment:
		if c.Note == "" {
			return bad("note", "a text")
		}
	case ActionAcknowledge, ActionUnshelve, ActionOutOfService, ActionInService, ActionAssign:
	default:
		return bad("action", "acknowledge, shelve, unshelve, out_of_service, in_service, comment or assign")
	}
	return nil
}

func text(s string, limit int) bool { return len(s) <= limit && utf8.ValidString(s) }

// AuditEntry is the value of a record in the alarm-audit topic, key DeviceID: one
// command and its outcome, or one transition without a command.
type AuditEntry struct {
	Time      int64       `json:"time"` // ms since 1970: by the clock for a command, event time for a transition
	DeviceID  string      `json:"device_id"`
	AlertType string      `json:"alert_type"`
	AlertID   string      `json:"alert_id,omitempty"`
	Revision  int64       `json:"revision,omitempty"` // of the resulting alert record
	Event     AlarmEvent  `json:"event,omitempty"`
	From      AlarmState  `json:"from,omitempty"`
	To        AlarmState  `json:"to,omitempty"`
	By        string      `json:"by,omitempty"` // empty: the system
	CommandID string      `json:"command_id,omitempty"`
	Action    AlarmAction `json:"action,omitempty"`
	Outcome   Outcome     `json:"outcome,omitempty"` // of a command
	Reason    string      `json:"reason,omitempty"`  // why a command was refused
	Note      string      `json:"note,omitempty"`
}

// Outcome is the result of a command.
type Outcome string

// Outcomes.
const (
	OutcomeApplied Outcome = "applied"
	OutcomeNothing Outcome = "nothing_to_do" // the alarm was already in that state
	OutcomeRefused Outcome = "refused"       // for Reason
)
