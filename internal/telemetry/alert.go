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

// AlertStatus tells whether the condition behind an alert still holds.
type AlertStatus string

// An alert is written to the alerts topic once with each status, both times with
// the same AlertID.
const (
	AlertActive  AlertStatus = "active"
	AlertCleared AlertStatus = "cleared"
)

// Alert is the value of a record in the alerts topic. Times are milliseconds
// since 1970, UTC, by event time.
type Alert struct {
	AlertID      string      `json:"alert_id"`
	DeviceID     string      `json:"device_id"`
	AlertType    string      `json:"alert_type"` // for example "temperature_high"
	Severity     Severity    `json:"severity"`
	Message      string      `json:"message"`
	Timestamp    int64       `json:"timestamp"` // of the reading that caused this transition
	Status       AlertStatus `json:"status"`
	Threshold    Threshold   `json:"threshold"`
	CurrentValue float64     `json:"current_value"`

	RaisedAt  int64    `json:"raised_at"`
	ClearedAt int64    `json:"cleared_at,omitempty"`
	PeakValue float64  `json:"peak_value"`
	Location  Location `json:"location"`
	Gateway   string   `json:"gateway,omitempty"`
}

// Threshold is the limit that a value crossed.
type Threshold struct {
	Parameter string  `json:"parameter"`
	Operator  string  `json:"operator"` // ">" or "<"
	Value     float64 `json:"value"`
}

// Presence tells whether a device is sending.
type Presence string

// Presences.
const (
	PresenceOnline  Presence = "online"
	PresenceOffline Presence = "offline"
)

// DeviceState is the value of a record in the compacted device-state topic, key
// DeviceID: what is known of a device beyond its last reading.
type DeviceState struct {
	DeviceID   string     `json:"device_id"`
	Presence   Presence   `json:"presence"`
	Since      int64      `json:"since"`       // ms, when Presence last changed
	LastSeen   int64      `json:"last_seen"`   // ms, event time of the newest reading known when this was written
	IntervalMS int64      `json:"interval_ms"` // the device's own sending interval as learned; 0 while unknown
	Gateway    string     `json:"gateway"`
	Location   Location   `json:"location"`
	Info       DeviceInfo `json:"device_info"`
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
	Late      bool    `json:"late,omitempty"` // true for a correction sent after the window was closed
}

// Mean returns Sum/Count, or 0 for an empty window.
func (w Window) Mean() float64 {
	if w.Count == 0 {
		return 0
	}
	return w.Sum / float64(w.Count)
}
