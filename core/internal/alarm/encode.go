package alarm

import (
	"encoding/json"
	"errors"
	"fmt"

	"industrial-iot-monitor/internal/telemetry"
)

// written is the written form of a State.
type written struct {
	Last    [NumSignals]int64 `json:"last"`
	Changed int64             `json:"changed"`
	Lag     int64             `json:"lag,omitempty"`
	Still   []writtenStill    `json:"still,omitempty"`
	Rates   []rate            `json:"rates,omitempty"`
	memory
	// Active is the alarms of the first version, which had no states.
	Active []active `json:"active,omitempty"`
}

type writtenStill struct {
	Signal Signal `json:"signal"`
	still
}

// active is an alarm of the first version.
type active struct {
	AlertID   string              `json:"alert_id"`
	Type      string              `json:"type"`
	Parameter telemetry.Parameter `json:"parameter"`
	Operator  string              `json:"operator"`
	Value     float64             `json:"value"`
	Severity  telemetry.Severity  `json:"severity"`
	RaisedAt  int64               `json:"raised_at"`
	Peak      float64             `json:"peak"`
}

// upgrade converts an alarm of the first version. Its device is filled in by the next
// reading.
func (in *active) upgrade() (Alarm, error) {
	if in.Parameter >= telemetry.NumAnalog {
		return Alarm{}, fmt.Errorf("unknown parameter %d", in.Parameter)
	}
	var f fold
	if in.Operator == "<" {
		f = negated
	}
	return Alarm{
		Alert: telemetry.Alert{
			AlertID: in.AlertID, AlertType: in.Type, Severity: in.Severity, Timestamp: in.RaisedAt,
			Status: telemetry.AlertActive, Event: telemetry.EventRaised, State: telemetry.AlarmUnacknowledged,
			Threshold:    telemetry.Threshold{Parameter: in.Parameter.String(), Operator: in.Operator, Value: in.Value},
			CurrentValue: in.Peak, PeakValue: in.Peak,
			Revision: 1, Priority: priority(in.Severity), Source: telemetry.SourceRule, Rule: in.Type,
			RaisedAt: in.RaisedAt, DetectedAt: in.RaisedAt, LastSeen: in.RaisedAt, OccurrenceCount: 1,
		},
		Bits: 1, Fold: f, Since: in.RaisedAt, Raises: []int64{in.RaisedAt},
	}, nil
}

// Encode returns s as JSON.
func (s State) Encode() ([]byte, error) {
	w := written{Last: s.Last, Changed: s.Changed, Lag: s.Lag, Rates: s.rates}
	for p, still := range s.still {
		if still.Since != 0 {
			w.Still = append(w.Still, writtenStill{Signal(p), still})
		}
	}
	if s.mem != nil {
		w.memory = *s.mem
	}
	data, err := json.Marshal(&w)
	if err != nil {
		return nil, fmt.Errorf("encoding alarm state: %w", err)
	}
	return data, nil
}

// DecodeState parses an encoded State, including those of the first version.
func DecodeState(data []byte) (State, error) {
	var w written
	if err := json.Unmarshal(data, &w); err != nil {
		return State{}, fmt.Errorf("decoding alarm state: %w", err)
	}
	for i := range w.Active {
		a, err := w.Active[i].upgrade()
		if err != nil {
			return State{}, fmt.Errorf("decoding alarm state: %w", err)
		}
		w.Alarms = append(w.Alarms, a)
	}
	if err := w.check(); err != nil {
		return State{}, fmt.Errorf("decoding alarm state: %w", err)
	}
	s := State{Last: w.Last, Changed: w.Changed, Lag: w.Lag, rates: w.Rates}
	for _, st := range w.Still {
		s.still[st.Signal] = st.still
	}
	if !w.empty() {
		s.mem = &w.memory
	}
	return s, nil
}

var (
	errTwice  = errors.New("two alarms of one type")
	errNoSign = errors.New("an alarm of an unknown parameter")
	errSource = errors.New("an alarm of an unknown source")
	errRate   = errors.New("too many points in a rate of change")
	errStill  = errors.New("a value that is not analog")
	errState  = errors.New("an alarm whose status and state contradict each other")
)

// check refuses states that the engine cannot have written and could not process.
func (w *written) check() error {
	type key struct {
		alertType string
		past      bool
	}
	seen := make(map[key]bool, len(w.Alarms))
	for i := range w.Alarms {
		a := &w.Alarms[i]
		k := key{a.AlertType, a.Past}
		_, known := SignalOf(a.Threshold.Parameter)
		unseen := a.State == telemetry.AlarmUnacknowledged || a.State == telemetry.AlarmAcknowledged
		switch {
		case seen[k]:
			return errTwice
		case a.Source != telemetry.SourceRule && a.Source != telemetry.SourceWatchdog && a.Source != telemetry.SourceAnomaly:
			return errSource
		case a.Source == telemetry.SourceRule && !known:
			return errNoSign
		case a.holds() != unseen:
			return errState
		}
		seen[k] = true
	}
	for _, r := range w.Rates {
		if r.N > ratePoints+1 {
			return errRate
		}
	}
	for _, s := range w.Still {
		if s.Signal >= Signal(telemetry.NumAnalog) {
			return errStill
		}
	}
	return nil
}
