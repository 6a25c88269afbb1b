package telemetry

// Severity ranks an alert. The values are those of the contract.
type Severity string

// Severities from worst to mildest.
const (
	SeverityCritical Severity = "critical"
	SeverityHigh     Severity = "high"
	SeverityMedium   Severity = "medium"
	SeverityLow      Severity = "low"
)

// AlertStatus is whether the condition behind an alert holds.
type AlertStatus string

// Statuses. An incident is active while its condition holds, cleared after that.
const (
	AlertActive  AlertStatus = "active"
	AlertCleared AlertStatus = "cleared"
)

// AlarmState is the state of an alarm in the terms of ISA-18.2: whether its condition
// holds and whether an operator has acknowledged it.
type AlarmState string

// States. An alarm leaves the operator's list when it is normal.
const (
	AlarmNormal         AlarmState = "normal"                  // cleared and acknowledged
	AlarmUnacknowledged AlarmState = "unacknowledged"          // holds, not acknowledged
	AlarmAcknowledged   AlarmState = "acknowledged"            // holds, acknowledged
	AlarmReturned       AlarmState = "returned_unacknowledged" // cleared, not acknowledged
)

// AlarmSource is what detected an incident.
type AlarmSource string

// Sources.
const (
	SourceRule     AlarmSource = "rule"     // a rule, from readings alone
	SourceWatchdog AlarmSource = "watchdog" // a watchdog: something expected did not arrive
	SourceAnomaly  AlarmSource = "anomaly"  // a model of usual values
)

// AlarmEvent is the transition that a record of an alert was written for.
type AlarmEvent string

// Events. Those from EventAcknowledged to EventAssigned come from operators' commands.
const (
	EventRaised       AlarmEvent = "raised"
	EventEscalated    AlarmEvent = "escalated" // severity changed while it holds
	EventRepeated     AlarmEvent = "repeated"  // raised again before it was acknowledged
	EventCleared      AlarmEvent = "cleared"
	EventSuppressed   AlarmEvent = "suppressed"
	EventUnsuppressed AlarmEvent = "unsuppressed"
	EventChattering   AlarmEvent = "chattering"
	EventSettled      AlarmEvent = "settled"   // no longer chatters
	EventUncertain    AlarmEvent = "uncertain" // its device went offline
	EventConfirmed    AlarmEvent = "confirmed" // no longer uncertain
	EventStale        AlarmEvent = "stale"
	EventAcknowledged AlarmEvent = "acknowledged"
	EventShelved      AlarmEvent = "shelved"
	EventUnshelved    AlarmEvent = "unshelved"
	EventOutOfService AlarmEvent = "out_of_service"
	EventInService    AlarmEvent = "in_service"
	EventCommented    AlarmEvent = "commented"
	EventAssigned     AlarmEvent = "assigned"
	EventNotAnomaly   AlarmEvent = "not_anomaly" // an operator says that what is unusual is not
	EventRemoved      AlarmEvent = "removed"     // its device was removed: the last record of the alarm
	EventDescribed    AlarmEvent = "described"   // in the audit trail only, of a device
	// EventMaintenance and EventMaintenanceOver are in the audit trail only: of a device.
	EventMaintenance     AlarmEvent = "maintenance"
	EventMaintenanceOver AlarmEvent = "maintenance_over"
)

// Alert is the value of a record in the alerts topic: the state of an alarm after one
// transition. Times are milliseconds since 1970, UTC, by event time unless a comment
// says otherwise. Of the records with one AlertID the one with the highest Revision is
// the newest.
type Alert struct {
	AlertID      string      `json:"alert_id"`
	DeviceID     string      `json:"device_id"`
	AlertType    string      `json:"alert_type"` // for example "temperature_high"
	Severity     Severity    `json:"severity"`
	Message      string      `json:"message"`
	Timestamp    int64       `json:"timestamp"` // of the reading or command that caused this transition
	Status       AlertStatus `json:"status"`
	Threshold    Threshold   `json:"threshold"`
	CurrentValue float64     `json:"current_value"`
	// Measure says what Threshold, CurrentValue, PeakValue and Deadband measure. Records of
	// former versions lack it.
	Measure
	// Combine is how the rule joins its two conditions, "all" or "any"; empty: it has one.
	Combine string `json:"combine,omitempty"`
	// Other is the second condition of two, if it held when the alarm was raised.
	Other *OtherCondition `json:"other,omitempty"`
	// Anomaly is what the detector said, with the figures of its reason, of an alarm of SourceAnomaly.
	Anomaly *Anomaly `json:"anomaly,omitempty"`
	// SilentSince is when the device or gateway was last heard of, of an alarm about silence.
	SilentSince int64 `json:"silent_since,omitempty"`

	Revision int64       `json:"revision"` // 1, 2, 3, … of this AlertID
	Event    AlarmEvent  `json:"event"`
	State    AlarmState  `json:"state"`
	Priority int         `json:"priority"` // 1 (worst) to 4
	Source   AlarmSource `json:"source"`
	// Rule and RuleVersion name the rule that raised it; the version is 12 hex digits of
	// a hash of the rule's content.
	Rule        string `json:"rule,omitempty"`
	RuleVersion string `json:"rule_version,omitempty"`

	RaisedAt        int64   `json:"raised_at"`
	DetectedAt      int64   `json:"detected_at"` // by the clock, when core raised it
	ClearedAt       int64   `json:"cleared_at,omitempty"`
	LastSeen        int64   `json:"last_seen"` // newest reading that confirmed the condition
	OccurrenceCount int     `json:"occurrence_count"`
	PeakValue       float64 `json:"peak_value"`
	Deadband        float64 `json:"deadband,omitempty"`
	OnDelayMS       int64   `json:"on_delay_ms,omitempty"`
	OffDelayMS      int64   `json:"off_delay_ms,omitempty"`

	Location Location `json:"location"`
	Gateway  string   `json:"gateway,omitempty"`

	Ack           *Ack           `json:"ack,omitempty"`
	Shelved       *Shelved       `json:"shelved,omitempty"`
	Suppressed    *Suppressed    `json:"suppressed,omitempty"`
	OutOfService  *OutOfService  `json:"out_of_service,omitempty"`
	Assignee      string         `json:"assignee,omitempty"`
	Comments      []Comment      `json:"comments,omitempty"` // the newest, oldest first
	ParentAlarmID string         `json:"parent_alarm_id,omitempty"`
	Chattering    bool           `json:"chattering,omitempty"`
	Uncertain     bool           `json:"uncertain,omitempty"` // its device is offline: whether the condition holds is not known
	Stale         bool           `json:"stale,omitempty"`
	Historical    bool           `json:"historical,omitempty"` // found in late readings: recorded, no notification is sent
	History       []AlarmChange  `json:"history,omitempty"`    // the newest transitions, oldest first
	Evidence      *AlarmEvidence `json:"evidence,omitempty"`
}

// Measure says what the figures of an alarm measure.
type Measure struct {
	// Kind is the kind of the condition: that of the rule, like "high", "rate" or "stuck"; of
	// a watchdog the alert_type.
	Kind string `json:"kind,omitempty"`
	// Unit is that of the sensor; the figures of watchdogs have it in the name of their parameter. A
	// rate is in Unit per Per.
	Unit string `json:"unit,omitempty"`
	Per  string `json:"per,omitempty"` // of a rate: "second" or "minute"
	// ForMS is how long the value was unchanged before the alarm, of a stuck sensor.
	ForMS int64 `json:"for_ms,omitempty"`
	// RoomValue is the median or mean of the room's other sensors when the alarm was raised, of
	// a deviation. CurrentValue and PeakValue are differences from the room, positive above it.
	RoomValue *float64 `json:"room_value,omitempty"`
}

// OtherCondition is the second condition of an alarm, as it was when the alarm was raised.
type OtherCondition struct {
	Measure

	Threshold    Threshold `json:"threshold"`
	CurrentValue *float64  `json:"current_value,omitempty"` // nil: no reading had it since
}

// Ack is who acknowledged an alarm, and when.
type Ack struct {
	By   string `json:"by"`
	At   int64  `json:"at"`
	Note string `json:"note,omitempty"`
}

// Shelved is who shelved an alarm, and until when.
type Shelved struct {
	By     string `json:"by"`
	At     int64  `json:"at"`
	Until  int64  `json:"until"`
	Reason string `json:"reason,omitempty"`
	// Maintenance: the alarm is shelved because its device is under maintenance.
	Maintenance bool `json:"maintenance,omitempty"`
}

// Suppressed names the alarm that explains this one.
type Suppressed struct {
	ByAlarm string `json:"by_alarm"`
	At      int64  `json:"at"`
}

// OutOfService is who switched off a device's alarm, until it is put back in service.
type OutOfService struct {
	By     string `json:"by"`
	At     int64  `json:"at"`
	Reason string `json:"reason,omitempty"`
}

// Comment is a remark of an operator.
type Comment struct {
	By   string `json:"by"`
	At   int64  `json:"at"`
	Text string `json:"text"`
}

// AlarmChange is one transition in an alarm's history.
type AlarmChange struct {
	At    int64      `json:"at"`
	Event AlarmEvent `json:"event"`
	State AlarmState `json:"state"`
	By    string     `json:"by,omitempty"` // the operator, of a command
	Value *float64   `json:"value,omitempty"`
	Note  string     `json:"note,omitempty"`
}

// AlarmEvidence locates in device-data the readings that raised an alarm.
type AlarmEvidence struct {
	Partition   int32 `json:"partition"`
	FirstOffset int64 `json:"first_offset"`
	LastOffset  int64 `json:"last_offset"`
}

// Threshold is the limit that a value crossed.
type Threshold struct {
	Parameter string  `json:"parameter"`
	Operator  string  `json:"operator"` // ">", "<", ">=", "<=", "=" or "!="
	Value     float64 `json:"value"`
}

// Presence is whether a device is sending.
type Presence string

// Presences.
const (
	PresenceOnline  Presence = "online"
	PresenceOffline Presence = "offline"
)

// DeviceState is the value of a record in the compacted device-state topic, key
// DeviceID: the state of a device beyond its last reading.
type DeviceState struct {
	DeviceID   string   `json:"device_id"`
	Presence   Presence `json:"presence"`
	Since      int64    `json:"since"`       // ms, when Presence last changed
	LastSeen   int64    `json:"last_seen"`   // ms, plant time of the newest reading when this was written
	IntervalMS int64    `json:"interval_ms"` // the sending interval expected of the device: learned, or announced by it or its model; 0 while unknown
	// ClockOffsetMS is how far the device's clock is ahead of the gateway's, negative behind;
	// 0 within the tolerance. LastSeen is free of it.
	ClockOffsetMS int64      `json:"clock_offset_ms,omitempty"`
	Gateway       string     `json:"gateway"`
	Location      Location   `json:"location"`
	Info          DeviceInfo `json:"device_info"`
}

// Window is a mergeable partial aggregate over one tumbling window of event time:
// partials with the same Scope, ID, Parameter, Start and WidthMS add up (counts and
// sums add, minima and maxima combine), so a late reading is simply one more partial.
type Window struct {
	Scope     string  `json:"scope"` // "device" or "building"
	ID        string  `json:"id"`
	Parameter string  `json:"parameter"`
	Start     int64   `json:"start"`    // ms, inclusive, a multiple of WidthMS
	WidthMS   int64   `json:"width_ms"` // 1000 or 60000
	Count     int64   `json:"count"`
	Sum       float64 `json:"sum"`
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
	Late      bool    `json:"late,omitempty"` // a correction sent after the window was closed
}

// Mean returns Sum/Count, or 0 for an empty window.
func (w Window) Mean() float64 {
	if w.Count == 0 {
		return 0
	}
	return w.Sum / float64(w.Count)
}
