package alarm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// fixed are the signals that older versions knew, in the order of the field "last".
var fixed = [...]signalName{
	{name: telemetry.Temperature},
	{name: telemetry.Humidity},
	{name: telemetry.Pressure},
	{name: telemetry.Current},
	{name: Battery, info: true},
	{name: Strength, info: true},
	{name: telemetry.SwitchStatus},
}

// written is the written form of a State. Signals have their names. That of older versions
// lacks some fields, and those versions ignore them: members of both may take over
// partitions from each other during an upgrade.
type written struct {
	Last    [len(fixed)]int64 `json:"last"`              // by fixed signal
	Sensors map[string]int64  `json:"sensors,omitempty"` // of the other signals, by name
	Seen    int64             `json:"seen,omitempty"`    // if it is not the newest of those
	Floor   int64             `json:"floor,omitempty"`
	Names   string            `json:"names,omitempty"` // the fingerprint of the naming
	Changed int64             `json:"changed"`
	Lag     int64             `json:"lag,omitempty"`
	Still   []writtenStill    `json:"still,omitempty"`
	Rates   []rate            `json:"rates,omitempty"`
	memory
	// Active is the alarms of the first version, which had no states.
	Active []active `json:"active,omitempty"`
}

type writtenStill struct {
	Signal string `json:"signal"`
	still
}

// active is an alarm of the first version.
type active struct {
	AlertID   string             `json:"alert_id"`
	Type      string             `json:"type"`
	Parameter uint8              `json:"parameter"` // one of the first four of fixed
	Operator  string             `json:"operator"`
	Value     float64            `json:"value"`
	Severity  telemetry.Severity `json:"severity"`
	RaisedAt  int64              `json:"raised_at"`
	Peak      float64            `json:"peak"`
}

// upgrade converts an alarm of the first version. Its device is filled in by the next
// reading.
func (in *active) upgrade() (Alarm, error) {
	if in.Parameter >= 4 {
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
			Threshold:    telemetry.Threshold{Parameter: fixed[in.Parameter].name, Operator: in.Operator, Value: in.Value},
			CurrentValue: in.Peak, PeakValue: in.Peak,
			Revision: 1, Priority: priority(in.Severity), Source: telemetry.SourceRule, Rule: in.Type,
			RaisedAt: in.RaisedAt, DetectedAt: in.RaisedAt, LastSeen: in.RaisedAt, OccurrenceCount: 1,
		},
		Bits: 1, Fold: f, Since: in.RaisedAt, Raises: []int64{in.RaisedAt},
	}, nil
}

// maxWritten bounds the sensors of a written State.
const maxWritten = 10_000

// Encode returns s as JSON.
func (s State) Encode() ([]byte, error) {
	w := written{Floor: s.floor, Changed: s.Changed, Lag: s.Lag}
	newest := s.floor
	for _, t := range s.tracks {
		w.put(s.of.names[t.signal], t.last)
		newest = max(newest, t.last)
	}
	if s.seen != newest {
		w.Seen = s.seen
	}
	if s.of != nil {
		w.Names = s.of.fingerprint
	}
	if s.past != nil {
		w.Rates = s.past.rates
		for _, st := range s.past.stills {
			w.Still = append(w.Still, writtenStill{s.of.names[st.signal].name, st})
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
	s := State{Changed: w.Changed, Lag: w.Lag, floor: w.Floor}
	w.signals(&s)
	if !w.empty() {
		s.mem = &w.memory
	}
	return s, nil
}

// put writes the time of a signal's newest reading.
func (w *written) put(n signalName, last int64) {
	if i := slices.Index(fixed[:], n); i >= 0 {
		w.Last[i] = last
		return
	}
	if w.Sensors == nil {
		w.Sensors = make(map[string]int64)
	}
	w.Sensors[n.name] = last
}

// signals restores the signals of s with a naming of their own, which the rules' replaces
// at the next reading.
func (w *written) signals(s *State) {
	of := &naming{fingerprint: w.Names}
	index := func(n signalName) int16 {
		i := slices.Index(of.names, n)
		if i < 0 {
			i = len(of.names)
			of.names = append(of.names, n)
		}
		return int16(i)
	}
	s.seen = max(s.floor, w.Seen)
	add := func(n signalName, last int64) {
		if last != 0 {
			s.tracks = append(s.tracks, track{last: last, signal: index(n)})
			s.seen = max(s.seen, last)
		}
	}
	for i, last := range w.Last {
		add(fixed[i], last)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Sensors)) {
		add(signalName{name: name}, w.Sensors[name])
	}
	if len(w.Still)+len(w.Rates) > 0 {
		s.past = &history{rates: w.Rates}
		for _, st := range w.Still {
			st.still.signal = index(signalName{name: st.Signal})
			s.past.stills = append(s.past.stills, st.still)
		}
	}
	s.of = of
}

var (
	errTwice  = errors.New("two alarms of one type")
	errNoSign = errors.New("an alarm of an unknown parameter")
	errSource = errors.New("an alarm of an unknown source")
	errRate   = errors.New("too many points in a rate of change")
	errSensor = errors.New("a sensor that cannot be")
	errMany   = errors.New("too many sensors")
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
		unseen := a.State == telemetry.AlarmUnacknowledged || a.State == telemetry.AlarmAcknowledged
		switch {
		case seen[k]:
			return errTwice
		case a.Source != telemetry.SourceRule && a.Source != telemetry.SourceWatchdog && a.Source != telemetry.SourceAnomaly:
			return errSource
		case a.Source == telemetry.SourceRule && !telemetry.ValidSensorName(a.Threshold.Parameter):
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
	if len(w.Sensors)+len(w.Still) > maxWritten {
		return errMany
	}
	for _, s := range w.Still {
		if !telemetry.ValidSensorName(s.Signal) {
			return errSensor
		}
	}
	for name := range w.Sensors {
		if !telemetry.ValidSensorName(name) {
			return errSensor
		}
	}
	return nil
}
