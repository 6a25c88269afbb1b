package wire

import "industrial-iot-monitor/internal/telemetry"

// RulesRequest asks for the rules in force, on RulesSubject. Empty data asks for all of them
// without devices.
type RulesRequest struct {
	// Devices to decide for, at most MaxRuleDevices.
	Devices []RuleDevice `json:"devices"`
}

// MaxRuleDevices bounds the devices of a RulesRequest, so that it fits into a message.
const MaxRuleDevices = 2000

// RuleDevice is what rules choose devices by.
type RuleDevice struct {
	ID       string `json:"id"`
	Model    string `json:"model,omitempty"`
	Building string `json:"building,omitempty"`
	Floor    int    `json:"floor,omitempty"`
}

// RulesAnswer are the rules in force, in their order, the disabled ones last.
type RulesAnswer struct {
	Version string `json:"version"` // the first digits of the SHA-256 of the file and the changes on top of it, or built-in
	Rules   []Rule `json:"rules"`
	// Position is how far core has read the changes: the offset of the next one.
	Position int64            `json:"position"`
	Problems []RuleOutOfForce `json:"problems,omitempty"`
	Error    string           `json:"error,omitempty"`
}

// Sources of a rule.
const (
	RuleBuiltIn = "built_in" // from an ALERT_ variable
	RuleInFile  = "file"
	RuleOnPage  = "page" // an approved change
)

// Rule is a rule with its defaults filled in. Limits are in canonical units.
type Rule struct {
	RuleCondition

	ID       string             `json:"id"`
	Type     string             `json:"type"` // alert_type; of several rules with one type the first that matches a device applies
	Severity telemetry.Severity `json:"severity"`
	Version  string             `json:"version"` // of what it means, as in alarms; empty when disabled
	// Source is where the rule comes from that is in force without changes: built_in, file, or page
	// if there is none. Origin is where the one in force comes from.
	Source   string `json:"source"`
	Origin   string `json:"origin"`
	Disabled bool   `json:"disabled"`
	// Combine is all or any of the two conditions; empty with one.
	Combine    string         `json:"combine,omitempty"`
	Other      *RuleCondition `json:"other,omitempty"` // the second condition
	OnDelayMS  int64          `json:"on_delay_ms"`
	OffDelayMS int64          `json:"off_delay_ms"`
	Where      RuleWhere      `json:"where"`
	Text       string         `json:"text"` // in YAML, as in a rules file
	// Devices is for how many of the devices asked about it is the rule of its type.
	Devices int `json:"devices"`
}

// RuleCondition is one comparison. What its kind does not have is absent.
type RuleCondition struct {
	Kind      string   `json:"kind"`
	Parameter string   `json:"parameter,omitempty"`
	Operator  string   `json:"operator,omitempty"` // > or <, = of a switch or a stuck signal
	Limit     *float64 `json:"limit,omitempty"`
	Deadband  float64  `json:"deadband"`
	Unit      string   `json:"unit,omitempty"` // of limit and deadband: the canonical one, without the time of a rate
	Per       string   `json:"per,omitempty"`  // of rate: second or minute
	Direction string   `json:"direction,omitempty"`
	WindowMS  int64    `json:"window_ms,omitempty"` // of rate
	ForMS     int64    `json:"for_ms,omitempty"`    // of stuck
	Is        string   `json:"is,omitempty"`        // of switch: on or off
	From      string   `json:"from,omitempty"`      // of deviation: median or mean
	Sensors   int      `json:"sensors,omitempty"`   // of deviation: how many others must have a value
}

// RuleWhere restricts a rule to some devices; without any list it is for all.
type RuleWhere struct {
	Buildings []string `json:"buildings,omitempty"`
	Floors    []int    `json:"floors,omitempty"`
	Models    []string `json:"models,omitempty"`  // * matches anything
	Devices   []string `json:"devices,omitempty"` // likewise
}

// DryRunRequest asks on DryRunSubject what a changed rule would have done with the readings
// that Kafka has. Either Change or YAML says how it changes.
type DryRunRequest struct {
	Rule   string      `json:"rule"` // id of the rule in force; with YAML empty: the one it has
	Change *RuleChange `json:"change,omitempty"`
	YAML   string      `json:"yaml,omitempty"`
	From   int64       `json:"from"` // ms since 1970, when readings were written to Kafka
	Device string      `json:"device,omitempty"`
}

// RuleChange changes figures of a rule; limit and deadband are in the canonical unit.
type RuleChange struct {
	Limit      *float64 `json:"limit,omitempty"`
	Deadband   *float64 `json:"deadband,omitempty"`
	OnDelayMS  *int64   `json:"on_delay_ms,omitempty"`
	OffDelayMS *int64   `json:"off_delay_ms,omitempty"`
}

// DryRunAnswer is what the rules of one type did and would have done.
type DryRunAnswer struct {
	Rule     string       `json:"rule"`
	Text     string       `json:"text"` // the changed rule in YAML
	Before   DryRunAlarms `json:"before"`
	After    DryRunAlarms `json:"after"`
	Readings int64        `json:"readings"`
	Devices  int          `json:"devices"`
	From     int64        `json:"from"` // the oldest and the newest reading, by when they were written to Kafka; 0: there are none
	To       int64        `json:"to"`
	// Incomplete is why readings up to now are missing, empty when none are: slow (the time
	// was over), full (too many alarms), unread (a transaction was open, or a broker away).
	Incomplete string `json:"incomplete,omitempty"`
	// HeldSince is since when Kafka has every reading, 0 when none of the time was removed.
	HeldSince int64 `json:"held_since,omitempty"`
	// Problems are errors in the rule. Busy: another dry run is going on. Error: anything else.
	Problems []RuleProblem `json:"problems,omitempty"`
	Busy     bool          `json:"busy,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// Reasons why a dry run is incomplete.
const (
	DryRunSlow   = "slow"
	DryRunFull   = "full"
	DryRunUnread = "unread"
)

// DryRunAlarms are alarms of one side of a dry run.
type DryRunAlarms struct {
	Total   int           `json:"total"`
	Devices int           `json:"devices"` // that had any
	Active  int           `json:"active"`  // at the end
	Alarms  []DryRunAlarm `json:"alarms"`  // the first of them, as they were raised
}

// DryRunAlarm is an alarm of a dry run.
type DryRunAlarm struct {
	DeviceID  string             `json:"device_id"`
	Severity  telemetry.Severity `json:"severity"`
	RaisedAt  int64              `json:"raised_at"`
	ClearedAt int64              `json:"cleared_at,omitempty"` // 0: active at the end
	PeakValue float64            `json:"peak_value"`
}

// RuleProblem is an error in the YAML of a rule, or in a field of a change.
type RuleProblem struct {
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}
