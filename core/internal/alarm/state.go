package alarm

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// maxHistory and maxComments bound the history and comments of an alarm, maxDone the
	// commands of a device that are recognised when repeated, maxOut its alarm types that
	// can be out of service.
	maxHistory  = 16
	maxComments = 8
	maxDone     = 16
	maxOut      = 64
	// ratePoints is the number of parts of a rate of change's window; one value of each is
	// kept.
	ratePoints = 4
)

// State is the state of a device that is needed to judge its next reading. The zero value
// is that of a device never seen. It grows with the signals that the device has and rules
// judge. States are values that no function changes, but for Step, which takes its
// argument over: only its result may be used after that.
type State struct {
	// Changed is the event time in ms of the last alarm that was raised or cleared by
	// readings.
	Changed int64
	// Lag is how old the newest reading was, in ms, when it came to Kafka.
	Lag int64

	seen int64 // plant time of the newest reading
	// floor is the plant time from which on readings of a signal without a track are new.
	floor  int64
	of     *naming // of the signals in tracks and past; nil: there are none
	tracks []track
	past   *history // nil when empty
	// The target of mem is never written to once it is in a State.
	mem *memory // nil when empty
}

// memory is the part of a State that few devices need.
type memory struct {
	Alarms       []Alarm        `json:"alarms,omitempty"`
	Cells        []cell         `json:"cells,omitempty"`
	OutOfService []outOfService `json:"out_of_service,omitempty"`
	Done         []done         `json:"done,omitempty"`
	// Maintenance is immutable. Former versions drop it and take its shelvings for those by hand.
	Maintenance *telemetry.Maintenance `json:"maintenance,omitempty"`
}

// Alarm is one alarm of a device and its timers.
type Alarm struct {
	telemetry.Alert
	// Past marks an incident found in readings that waited long: it is not announced until
	// it ends, when it is recorded as history, or until a fresh reading shows that it
	// still holds. PastDue is when to stop waiting for that, by the clock.
	Past    bool  `json:"past,omitempty"`
	PastDue int64 `json:"past_due,omitempty"`
	// Bits are the conditions that hold, Lead is the one whose value is shown.
	Bits uint8 `json:"bits,omitempty"`
	Lead uint8 `json:"lead,omitempty"`
	Fold fold  `json:"fold,omitempty"`
	// Since is the start of the present occurrence.
	Since int64 `json:"since"`
	// OffDue is when the running off-delay ends, 0 when none runs; OffText and OffValue
	// are the message and value of that end.
	OffDue   int64   `json:"off_due,omitempty"`
	OffText  string  `json:"off_text,omitempty"`
	OffValue float64 `json:"off_value,omitempty"`
	// Raises are the times of the newest raises, oldest first.
	Raises []int64 `json:"raises,omitempty"`
}

// worse reports whether v is further beyond the limit than the peak.
func (a *Alarm) worse(v float64) bool { return a.Fold.score(v) > a.Fold.score(a.PeakValue) }

// holds reports whether the condition behind a holds.
func (a *Alarm) holds() bool { return a.Status == telemetry.AlertActive }

// cell is the state of a rule without an alarm: which of its conditions hold, and its
// on-delay if that is running.
type cell struct {
	Rule   string  `json:"rule"`
	Bits   uint8   `json:"bits"`
	Due    int64   `json:"due,omitempty"` // end of the on-delay, 0 when none runs
	At     int64   `json:"at,omitempty"`  // of the newest reading
	Waited int64   `json:"waited,omitempty"`
	Value  float64 `json:"value,omitempty"`
	Peak   float64 `json:"peak,omitempty"`
	Text   string  `json:"text,omitempty"`
	// Unit and Room are of the newest reading that had a value, and Other is the other
	// condition if it holds. Cells of former versions lack them.
	Unit  string                    `json:"unit,omitempty"`
	Room  *float64                  `json:"room,omitempty"`
	Other *telemetry.OtherCondition `json:"other,omitempty"`

	Lead      uint8              `json:"lead,omitempty"`
	Location  telemetry.Location `json:"location,omitzero"`
	Device    string             `json:"device,omitempty"`
	Gateway   string             `json:"gateway,omitempty"`
	Partition int32              `json:"partition,omitempty"`
	First     int64              `json:"first,omitempty"`
	Newest    int64              `json:"newest,omitempty"` // offsets
}

// rate is the window of one condition about a rate of change.
type rate struct {
	Rule   string                `json:"rule"`
	N      uint8                 `json:"n"`
	Points [ratePoints + 1]point `json:"points"` // oldest first, N of them
}

type point struct {
	At     int64   `json:"at"`
	Value  float64 `json:"value"`
	Offset int64   `json:"offset"`
}

type outOfService struct {
	Type string `json:"type"`
	telemetry.OutOfService
}

type done struct {
	ID string `json:"id"`
	At int64  `json:"at"` // by the clock
}

// empty reports whether m has no content.
func (m *memory) empty() bool {
	return len(m.Alarms) == 0 && len(m.Cells) == 0 && len(m.OutOfService) == 0 && len(m.Done) == 0 && m.Maintenance == nil
}

func (m *memory) clone() *memory {
	return &memory{
		Alarms: slices.Clone(m.Alarms), Cells: slices.Clone(m.Cells),
		OutOfService: slices.Clone(m.OutOfService), Done: slices.Clone(m.Done), Maintenance: m.Maintenance,
	}
}

// Forgettable reports whether s can be forgotten at now (ms) without loss: no alarm is
// open, nothing is out of service or under maintenance, and the last transition and the last command are more
// than keep ms ago, so that no late reading could raise the same alarm again.
func (s State) Forgettable(now, keep int64) bool {
	if now-s.Changed <= keep {
		return false
	}
	if s.mem == nil {
		return true
	}
	last := func(d done) bool { return now-d.At <= keep }
	return len(s.mem.Alarms) == 0 && len(s.mem.Cells) == 0 && len(s.mem.OutOfService) == 0 && s.mem.Maintenance == nil && !slices.ContainsFunc(s.mem.Done, last)
}

// SeenUntil returns s with all readings up to event time ms marked as seen.
func (s State) SeenUntil(ms int64) State {
	s = s.Clone()
	for k := range s.tracks {
		s.tracks[k].last = max(s.tracks[k].last, ms)
	}
	s.seen, s.floor = max(s.seen, ms), max(s.floor, ms)
	return s
}

// Seen returns the plant time in ms of the newest reading.
func (s State) Seen() int64 { return s.seen }

// Live returns the last record of the alarm of a type, and whether there is one that is
// not normal. Incidents that are only history do not count.
func (s State) Live(alertType string) (telemetry.Alert, bool) {
	if i := s.find(alertType); i >= 0 && s.mem.Alarms[i].State != telemetry.AlarmNormal {
		return s.mem.Alarms[i].Alert, true
	}
	return telemetry.Alert{}, false
}

// Open returns how many alarms are not normal.
func (s State) Open() int {
	n := 0
	if s.mem != nil {
		for i := range s.mem.Alarms {
			if a := &s.mem.Alarms[i]; !a.Past && a.State != telemetry.AlarmNormal {
				n++
			}
		}
	}
	return n
}

// quiet reports whether no rule is engaged.
func (s *State) quiet() bool {
	if s.mem == nil {
		return true
	}
	for i := range s.mem.Alarms {
		if s.mem.Alarms[i].holds() {
			return false
		}
	}
	return len(s.mem.Cells) == 0
}

// engaged reports whether r has an alarm whose condition holds, or a cell.
func (s *State) engaged(r *rule) bool {
	if s.mem == nil {
		return false
	}
	for i := range s.mem.Alarms {
		if a := &s.mem.Alarms[i]; a.Rule == r.ID && a.holds() {
			return true
		}
	}
	return s.cell(r.ID) >= 0
}

// find returns the index of the alarm of a type, -1 when there is none. Incidents that may
// be only history do not count.
func (s *State) find(alertType string) int {
	if s.mem != nil {
		for i := range s.mem.Alarms {
			if a := &s.mem.Alarms[i]; !a.Past && a.AlertType == alertType {
				return i
			}
		}
	}
	return -1
}

// holding returns the index of the alarm of a type whose condition holds, -1 for none.
func (s *State) holding(alertType string) int {
	if s.mem != nil {
		for i := range s.mem.Alarms {
			if a := &s.mem.Alarms[i]; a.holds() && a.AlertType == alertType {
				return i
			}
		}
	}
	return -1
}

func (s *State) cell(rule string) int {
	if s.mem != nil {
		for i := range s.mem.Cells {
			if s.mem.Cells[i].Rule == rule {
				return i
			}
		}
	}
	return -1
}

func (s *State) outOfService(alertType string) *telemetry.OutOfService {
	if s.mem != nil {
		for i := range s.mem.OutOfService {
			if s.mem.OutOfService[i].Type == alertType {
				o := s.mem.OutOfService[i].OutOfService
				return &o
			}
		}
	}
	return nil
}

// AlertID returns the id of an incident: 32 hex digits of a hash of its key, so that the
// same incident always gets the same id.
func AlertID(device, alertType string, raisedAt int64) string {
	sum := sha256.Sum256([]byte(device + "|" + alertType + "|" + strconv.FormatInt(raisedAt, 10)))
	return hex.EncodeToString(sum[:16])
}
