package wire

import "industrial-iot-monitor/internal/telemetry"

// ExplainRequest is a request to explain why an alarm was raised.
type ExplainRequest struct {
	Alert telemetry.Alert `json:"alert"` // the newest record, with its evidence
}

// Explanation is how an alarm came about: the readings around it, the result of each
// condition of the rule, and the timers.
type Explanation struct {
	AlertID     string      `json:"alert_id"`
	Rule        string      `json:"rule"`
	RuleVersion string      `json:"rule_version"`
	RuleText    string      `json:"rule_text"` // the rule in YAML, as it was applied; empty when it is no longer available
	OnDelayMS   int64       `json:"on_delay_ms"`
	OffDelayMS  int64       `json:"off_delay_ms"`
	Conditions  []Condition `json:"conditions"`
	Samples     []Sample    `json:"samples"` // by event time
	// Incomplete is why samples are missing, for example because Kafka has deleted them;
	// empty when none are.
	Incomplete string `json:"incomplete,omitempty"`
	Error      string `json:"error,omitempty"` // why no explanation is possible
	// Why is the reason in Incomplete or Error as a word, if there is one for it.
	Why Shortcoming `json:"why,omitempty"`
}

// Shortcoming is a reason why an explanation is incomplete or impossible.
type Shortcoming string

// Shortcomings.
const (
	NotByReadings Shortcoming = "not_by_readings" // a watchdog raised the alarm
	RuleChanged   Shortcoming = "rule_changed"    // the former limit is shown
	RuleLost      Shortcoming = "rule_lost"       // the former limit is not known
	ReadingsGone  Shortcoming = "readings_gone"   // they are no longer in Kafka
	RoomNotKept   Shortcoming = "room_not_kept"   // the values of the room's other sensors are not
	NotShown      Shortcoming = "not_shown"       // what readings are left do not show it
)

// Condition is one comparison of a rule.
type Condition struct {
	Parameter string  `json:"parameter"`
	Operator  string  `json:"operator"`
	Limit     float64 `json:"limit"`
	Deadband  float64 `json:"deadband"`
	Unit      string  `json:"unit,omitempty"`
	// Kind is that of the condition, like "high" or "rate"; SensorUnit is the unit of the sensor's
	// own values, which differs from Unit where the limit is not on the value itself.
	Kind       string `json:"kind,omitempty"`
	SensorUnit string `json:"sensor_unit,omitempty"`
}

// Sample is one reading as the rule saw it. Values, Raw and Holds have one entry for
// each condition; a nil value means that the reading had none, or that there is none to measure: that
// of a deviation needs the room's other sensors, which are not kept.
type Sample struct {
	Time    int64                `json:"time"`
	Offset  int64                `json:"offset"`
	Values  []*float64           `json:"values"`
	Raw     []*float64           `json:"raw,omitempty"` // the sensors' own values, a switch as 0 or 1
	Holds   []bool               `json:"holds"`
	Pending int64                `json:"pending_ms,omitempty"` // how long the on- or off-delay has run
	State   telemetry.AlarmState `json:"state"`                // after this reading
	Event   telemetry.AlarmEvent `json:"event,omitempty"`      // of the transition it caused
}
