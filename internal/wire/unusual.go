package wire

import "industrial-iot-monitor/internal/telemetry"

// UnusualSubject carries from each instance of core, every two seconds, which of its devices are
// unusual now, as UnusualReport in JSON.
const UnusualSubject = "core.unusual"

// MaxUnusual is how many devices a report has at most.
const MaxUnusual = 20

// UnusualReport is what one instance of core says. It replaces what that instance said before.
type UnusualReport struct {
	Instance string `json:"instance"`
	At       int64  `json:"at"` // ms, by the clock
	// Devices are the most unusual ones, the most unusual first.
	Devices []telemetry.Unusual `json:"devices"`
}
