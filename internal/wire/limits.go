package wire

import "industrial-iot-monitor/internal/telemetry"

// RuleLimit is a limit that a rule has on the value of a sensor. The reply to any request on
// LimitsSubject is a JSON array of those in force.
type RuleLimit struct {
	Parameter string             `json:"parameter"`
	Operator  string             `json:"operator"` // ">" or "<"
	Value     float64            `json:"value"`    // in the canonical unit of the parameter
	Severity  telemetry.Severity `json:"severity"`
	Rule      string             `json:"rule"`
	// Everywhere means that the rule is for every device, not for some alone.
	Everywhere bool `json:"everywhere"`
}
