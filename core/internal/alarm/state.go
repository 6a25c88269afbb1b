package alarm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// State is what must be known of a device to judge its next reading. The zero value is
// that of a device never seen. States are values: Step never changes the one it is given.
type State struct {
	// Active holds the alarms that are raised, at most one of each type.
	Active []Incident `json:"active,omitempty"`
	// Last is the event time in ms of the newest reading of each parameter.
	Last [telemetry.NumAnalog]int64 `json:"last"`
	// Changed is the event time in ms of the last transition.
	Changed int64 `json:"changed"`
}

// Incident is an alarm that is raised. It carries its limit, so that what clears it can
// say which one it was after the limit was changed.
type Incident struct {
	AlertID   string              `json:"alert_id"`
	Type      string              `json:"type"`
	Parameter telemetry.Parameter `json:"parameter"`
	Operator  string              `json:"operator"`
	Value     float64             `json:"value"`
	Severity  telemetry.Severity  `json:"severity"`
	RaisedAt  int64               `json:"raised_at"`
	Peak      float64             `json:"peak"`
}

// DecodeState parses an encoded State.
func DecodeState(data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("decoding alarm state: %w", err)
	}
	for _, in := range s.Active {
		if in.Parameter >= telemetry.NumAnalog {
			return State{}, fmt.Errorf("decoding alarm state: unknown parameter %d", in.Parameter)
		}
	}
	return s, nil
}

// Encode returns s as JSON.
func (s State) Encode() ([]byte, error) { return json.Marshal(s) }

// Forgettable reports whether nothing is lost when s is forgotten at now: no alarm is
// raised and the last transition is more than keep ms ago, so that no late reading
// could raise the same alarm again.
func (s State) Forgettable(now, keep int64) bool {
	return len(s.Active) == 0 && now-s.Changed > keep
}

// SeenUntil returns s knowing that readings up to event time ms were seen.
func (s State) SeenUntil(ms int64) State {
	for p := range s.Last {
		s.Last[p] = max(s.Last[p], ms)
	}
	return s
}

func (s State) active(alertType string) bool {
	for i := range s.Active {
		if s.Active[i].Type == alertType {
			return true
		}
	}
	return false
}

// AlertID names an incident: 32 hex digits made from what makes it unique, so that
// whoever finds the same incident gives it the same name.
func AlertID(device, alertType string, raisedAt int64) string {
	sum := sha256.Sum256([]byte(device + "|" + alertType + "|" + strconv.FormatInt(raisedAt, 10)))
	return hex.EncodeToString(sum[:16])
}
