package wire

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// VitalsEvery is how often a process reports, in ms.
const VitalsEvery = 5000

// Vitals is what a process reports of itself, JSON on processes.<program> at the hub every
// VitalsEvery. Times are ms since 1970 by the clock of the process.
type Vitals struct {
	Program  string `json:"program"`  // edge, bridge, core, historian or portal
	Instance string `json:"instance"` // tells several of one program apart
	// Host and PID name the process. Programs that run in one process report the same ones,
	// and each reports the resources of the whole process.
	Host        string            `json:"host"`
	PID         int               `json:"pid"`
	Version     string            `json:"version"`
	Started     int64             `json:"started"`
	Time        int64             `json:"time"`
	CPUPercent  float64           `json:"cpu_percent"` // of one core
	MemoryBytes float64           `json:"memory_bytes"`
	Goroutines  int               `json:"goroutines"`
	Stages      []StageVitals     `json:"stages,omitempty"`
	Facts       map[string]string `json:"facts,omitempty"`    // what operators want to know when it changes, such as the version of the rules
	Warnings    []Warning         `json:"warnings,omitempty"` // logged since the last report
	Lanes       []LaneVitals      `json:"lanes,omitempty"`    // that a bridge runs
	// LogLevel is the least severe level that is logged: debug, info, warn or error. If an
	// operator changed it, LogLevelBy says who and LogLevelUntil when the usual one is back.
	LogLevel      string `json:"log_level,omitempty"`
	LogLevelBy    string `json:"log_level_by,omitempty"`
	LogLevelUntil int64  `json:"log_level_until,omitempty"`
}

// LaneVitals are the figures of a lane of a bridge.
type LaneVitals struct {
	Lane    int32   `json:"lane"`
	Rate    float64 `json:"rate"`    // readings committed a second, since the last report
	Backlog uint64  `json:"backlog"` // readings that its gateways have stored and it has not committed
}

// LogLevelRequest changes the level of a process's log for LogLevelFor. It is JSON on
// LogLevelSubject; the process that is meant replies with a LogLevelAnswer.
type LogLevelRequest struct {
	Instance string `json:"instance"`
	Level    string `json:"level"` // debug, info, warn or error
	By       string `json:"by"`    // operator
}

// LogLevelAnswer is the reply to a LogLevelRequest.
type LogLevelAnswer struct {
	Error string `json:"error,omitempty"`
	Until int64  `json:"until"` // ms since 1970, when the usual level is back
}

// TraceRequest asks a gateway to follow the next reading of a device. It is JSON on TraceSubject; the
// gateway replies with a TraceAnswer at once.
type TraceRequest struct {
	Instance    string `json:"instance"` // the gateway
	DeviceID    string `json:"device_id"`
	TraceParent string `json:"traceparent"` // by W3C Trace Context
	By          string `json:"by"`          // operator
}

// TraceAnswer is the reply to a TraceRequest.
type TraceAnswer struct {
	Error string `json:"error,omitempty"` // why it follows none
	Until int64  `json:"until"`           // ms since 1970, when it gives up waiting for the reading
}

// TraceFor is how long a gateway waits for a reading that it was asked to follow, in ms.
const TraceFor = 60_000

// LogLevelFor is how long a changed level of a log lasts, in ms.
const LogLevelFor = 15 * 60_000

// StageVitals are the figures of one stage of the pipeline since the last report.
type StageVitals struct {
	Stage string  `json:"stage"`
	Rate  float64 `json:"rate"`  // readings a second, or what else the stage counts
	Count uint64  `json:"count"` // times that were measured
	Mean  float64 `json:"mean"`  // ms; 0 if none were measured
	P99   float64 `json:"p99"`   // ms, interpolated
}

// Stages that processes report. Those that begin with live_ are ages since a gateway received
// the reading, the others durations.
const (
	StageGateway     = "gateway"      // edge: from a message to its acknowledgement
	StageKafka       = "kafka"        // bridge: a transaction
	StageLiveArrived = "live_arrived" // core: a pack on the live path came in
	StageLiveSent    = "live_sent"    // core: its readings are on their way to the portals
	StageCommit      = "commit"       // core: committing a batch of the record path
)

// Warning is a line of a log, of level warn or error.
type Warning struct {
	Number  uint64 `json:"number"` // counts the warnings of a process
	Time    int64  `json:"time"`
	Level   string `json:"level"`
	Message string `json:"message"`
	Detail  string `json:"detail,omitempty"` // key=value pairs
}

// Bounds of what a process reports: a report is read by every portal.
const (
	maxVitals        = 64 << 10 // bytes
	maxVitalsName    = 128      // bytes of a program, instance, host or version
	maxVitalsStages  = 16
	maxVitalsFacts   = 16
	MaxVitalsLanes   = 64
	MaxWarnings      = 20  // in one report
	MaxWarningDetail = 500 // bytes of a message or detail
)

// Encode returns the report as JSON.
func (v *Vitals) Encode() ([]byte, error) { return json.Marshal(v) }

// DecodeVitals parses a report. One that is too large, or lacks a name, is an error.
func DecodeVitals(data []byte) (Vitals, error) {
	var v Vitals
	if len(data) > maxVitals {
		return v, fmt.Errorf("a report of %d bytes; want at most %d", len(data), maxVitals)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, err
	}
	for name, s := range map[string]string{"program": v.Program, "instance": v.Instance, "host": v.Host} {
		if s == "" || len(s) > maxVitalsName || !utf8.ValidString(s) {
			return v, fmt.Errorf("%s of %d bytes; want 1 to %d", name, len(s), maxVitalsName)
		}
	}
	if len(v.Stages) > maxVitalsStages || len(v.Facts) > maxVitalsFacts || len(v.Warnings) > MaxWarnings || len(v.Lanes) > MaxVitalsLanes {
		return v, fmt.Errorf("%d stages, %d facts, %d warnings and %d lanes; want at most %d, %d, %d and %d",
			len(v.Stages), len(v.Facts), len(v.Warnings), len(v.Lanes), maxVitalsStages, maxVitalsFacts, MaxWarnings, MaxVitalsLanes)
	}
	if len(v.LogLevel) > maxVitalsName || len(v.LogLevelBy) > maxVitalsName {
		return v, fmt.Errorf("log level of %d bytes by a name of %d; want at most %d", len(v.LogLevel), len(v.LogLevelBy), maxVitalsName)
	}
	return v, nil
}
