package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"industrial-iot-monitor/internal/telemetry"
)

// UnusualSubject carries the devices that are unusual now: each core instance publishes an UnusualReport
// every two seconds, also an empty one.
const UnusualSubject = "core.unusual"

// MaxUnusual bounds the devices of an UnusualReport.
const MaxUnusual = 20

// UnusualReport has the devices of one core instance that are unusual now, the most unusual state first.
type UnusualReport struct {
	Instance string              `json:"instance"`
	At       int64               `json:"at"` // ms since 1970, by the clock of the instance
	Devices  []telemetry.Unusual `json:"devices"`
}

// DecodeUnusualReport reads a report.
func DecodeUnusualReport(data []byte) (UnusualReport, error) {
	var r UnusualReport
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("reading a report of unusual devices: %w", err)
	}
	if r.Instance == "" {
		return r, fmt.Errorf("reading a report of unusual devices: %w", errNoInstance)
	}
	return r, nil
}

var errNoInstance = errors.New("it names no instance")
