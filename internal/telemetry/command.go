package telemetry

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// AlarmAction is an operator's command to an alarm.
type AlarmAction string

// Actions. OutOfService, InService and NotAnomaly apply to a device's alarm type whether or not there
// is an alarm; those of OfDevice apply to the device itself; the others need an alarm.
const (
	ActionAcknowledge  AlarmAction = "acknowledge"
	ActionShelve       AlarmAction = "shelve"
	ActionUnshelve     AlarmAction = "unshelve"
	ActionOutOfService AlarmAction = "out_of_service"
	ActionInService    AlarmAction = "in_service"
	ActionComment      AlarmAction = "comment"
	ActionAssign       AlarmAction = "assign"
	// ActionRemove removes the device: its alarms are closed and all that is stored about it
	// is deleted. If it sends again it is new.
	ActionRemove AlarmAction = "remove"
	// ActionDescribe changes the device's name, description and tags.
	ActionDescribe AlarmAction = "describe"
	// ActionMaintain puts the device under maintenance until a time, for the reason in Note: all
	// its alarms are shelved until then. ActionEndMaintenance ends that earlier.
	ActionMaintain       AlarmAction = "maintain"
	ActionEndMaintenance AlarmAction = "end_maintenance"
	// ActionNotAnomaly says that what a sensor shows, or showed when it was last unusual, is no anomaly: its
	// detector learns that it is usual. AlertType is that of the sensor, whether or not there is an alarm.
	ActionNotAnomaly AlarmAction = "not_anomaly"
)

// AnomalyType begins the AlertType of an anomaly; the name of its sensor follows.
const AnomalyType = "anomaly_"

// OfDevice reports whether a applies to the device itself, not to an alarm.
func (a AlarmAction) OfDevice() bool {
	switch a {
	case ActionRemove, ActionDescribe, ActionMaintain, ActionEndMaintenance:
		return true
	default:
		return false
	}
}

// Bounds of a command's texts, in bytes of UTF-8.
const (
	MaxCommandID = 64
	MaxOperator  = 128
	MaxNote      = 1024
	// MaxMaintenanceMS is how long, in ms, a device can be under maintenance.
	MaxMaintenanceMS = 90 * 86_400_000
)

// AlarmCommand is the value of a record in the alarm-commands topic, key DeviceID: a command
// to an alarm, or to the device itself. The owner of the device applies commands in order. A
// command is applied once, however often it is sent: CommandID names it.
type AlarmCommand struct {
	Actor

	CommandID string      `json:"command_id"` // chosen by the sender, 1 to 64 of [A-Za-z0-9_-]
	DeviceID  string      `json:"device_id"`
	AlertType string      `json:"alert_type"`         // empty if Action is one of a device
	AlertID   string      `json:"alert_id,omitempty"` // the incident that is meant; empty: the current one, if any
	Action    AlarmAction `json:"action"`
	By        string      `json:"by"`
	At        int64       `json:"at"`                 // ms since 1970, by the portal's clock
	Note      string      `json:"note,omitempty"`     // reason or comment
	Until     int64       `json:"until,omitempty"`    // of shelve and maintain, ms since 1970
	Assignee  string      `json:"assignee,omitempty"` // of assign; empty: unassigned
	// Describe is the change that ActionDescribe makes.
	Describe *DevicePatch `json:"describe,omitempty"`
}

// Actor says how and from where a person or program acted, as far as the portal knew. Commands and entries of before have none of it.
type Actor struct {
	// Via is how they proved who they are: local, token, oidc or proxy; empty: they did not have to.
	Via string `json:"via,omitempty"`
	// Address is the one they called from.
	Address string `json:"address,omitempty"`
	// Session names their session or token. It is not its secret.
	Session string `json:"session,omitempty"`
	// ClaimedBy is the name that a token which may act for others gave.
	ClaimedBy string `json:"claimed_by,omitempty"`
}

// MaxActor bounds the texts of an Actor but for ClaimedBy, in bytes of UTF-8.
const MaxActor = 64

// bad returns the first field of a that is too long, empty if none is.
func (a *Actor) bad() string {
	switch {
	case !text(a.Via, MaxActor):
		return "via"
	case !text(a.Address, MaxActor):
		return "address"
	case !text(a.Session, MaxActor):
		return "session"
	}
	return ""
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
	case !c.Action.OfDevice() && !ValidDeviceID(c.AlertType):
		return bad("alert_type", "1 to 64 letters, digits, _ or -")
	case c.Action.OfDevice() && c.AlertType+c.AlertID != "":
		return bad("alert_type", "none: "+string(c.Action)+" applies to the device")
	case c.By == "" || !text(c.By, MaxOperator):
		return bad("by", "a name of 1 to 128 bytes")
	case !ValidTimestamp(c.At):
		return bad("at", "milliseconds since 1970")
	case c.bad() != "":
		return bad(c.bad(), "at most 64 bytes")
	case !text(c.ClaimedBy, MaxOperator):
		return bad("claimed_by", "at most 128 bytes")
	case !text(c.Note, MaxNote):
		return bad("note", "at most 1024 bytes")
	case !text(c.Assignee, MaxOperator):
		return bad("assignee", "at most 128 bytes")
	}
	switch c.Action {
	case ActionShelve, ActionMaintain:
		if c.Until <= c.At || !ValidTimestamp(c.Until) {
			return bad("until", "a time after at")
		}
		if c.Action == ActionMaintain && c.Until-c.At > MaxMaintenanceMS {
			return bad("until", "a time at most 90 days after at")
		}
		if c.Action == ActionMaintain && strings.TrimSpace(c.Note) == "" {
			return bad("note", "the reason")
		}
	case ActionNotAnomaly:
		if sensor, ok := strings.CutPrefix(c.AlertType, AnomalyType); !ok || !ValidSensorName(sensor) {
			return bad("alert_type", AnomalyType+" and the name of a sensor")
		}
	case ActionComment:
		if c.Note == "" {
			return bad("note", "a text")
		}
	case ActionDescribe:
		if c.Describe == nil {
			return bad("describe", "the change")
		}
		return c.Describe.Check()
	case ActionAcknowledge, ActionUnshelve, ActionOutOfService, ActionInService, ActionAssign, ActionRemove, ActionEndMaintenance:
	default:
		return bad("action", "acknowledge, shelve, unshelve, out_of_service, in_service, comment, assign, remove, describe, maintain, end_maintenance or not_anomaly")
	}
	return nil
}

func text(s string, limit int) bool { return len(s) <= limit && utf8.ValidString(s) }

// AuditEntry is the value of a record in the alarm-audit topic, key DeviceID: one
// command and its outcome, or one transition without a command. That a device was removed is
// one entry without AlertType, behind one for each alarm that was closed; so are the start and
// the end of its maintenance, behind those of the alarms.
type AuditEntry struct {
	Actor // of a command

	Time      int64       `json:"time"` // ms since 1970: by the clock for a command, event time for a transition
	DeviceID  string      `json:"device_id"`
	AlertType string      `json:"alert_type"`
	AlertID   string      `json:"alert_id,omitempty"`
	Building  string      `json:"building,omitempty"` // of the device
	Rule      string      `json:"rule,omitempty"`     // that raised the alarm
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
	Until     int64       `json:"until,omitempty"` // of ActionMaintain, ms since 1970
	// Meta is the description of the device after ActionDescribe.
	Meta *DeviceMeta `json:"meta,omitempty"`
}

// Outcome is the result of a command.
type Outcome string

// Outcomes.
const (
	OutcomeApplied Outcome = "applied"
	OutcomeNothing Outcome = "nothing_to_do" // the alarm was already in that state
	OutcomeRefused Outcome = "refused"       // for Reason
	// OutcomeConflict: of ActionDescribe, somebody else changed the device in between; the
	// entry has what they wrote.
	OutcomeConflict Outcome = "conflict"
	// OutcomeForgotten: no command; the device was removed because it was silent for too long.
	OutcomeForgotten Outcome = "forgotten"
)
