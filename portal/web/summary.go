package web

import (
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// summaryAnswer is the state of the alarms in one operator's view: all, or those of a building and
// floor. An alarm needs attention if it is open (not normal) and neither shelved nor suppressed
// nor out of service nor uncertain; incidents found in late readings never do.
type summaryAnswer struct {
	Time int64 `json:"time"`
	// ByState counts every alarm in the portal, including closed ones but not historical ones.
	ByState map[string]int `json:"by_state"`
	// BySeverity counts the alarms that need attention, Attention is their sum, and Unacknowledged
	// counts the unacknowledged ones among them.
	BySeverity     map[string]int `json:"by_severity"`
	Attention      int            `json:"attention"`
	Unacknowledged int            `json:"unacknowledged"`
	// Shelved, Suppressed, OutOfService and Uncertain count open alarms that are set aside; an alarm can be
	// in several of these. Uncertain ones are about readings of a device that is offline.
	Shelved      int `json:"shelved"`
	Suppressed   int `json:"suppressed"`
	OutOfService int `json:"out_of_service"`
	Uncertain    int `json:"uncertain"`
	Historical   int `json:"historical"`
	// Buildings has the buildings with alarms that need attention, sorted by name.
	Buildings []buildingAlarms `json:"buildings"`
	Flood     floodFigures     `json:"flood"`
	// Chattering has alarms that core marks as chattering or that were raised or repeated three
	// times within the last minute, unless they are set aside: candidates for shelving.
	Chattering []chatterer `json:"chattering"`
	// Stale has alarms that need attention and have been active for more than 24 h, oldest first.
	Stale []staleAlarm `json:"stale"`
	// BadActors has the ten pairs of device and alarm type that were raised or repeated most often
	// within the last WindowMS, set aside or not.
	BadActors []badActor `json:"bad_actors"`
	WindowMS  int64      `json:"window_ms"`
	// KnownSince is the time since which all raised alarms are counted, at most 24 h ago.
	KnownSince int64 `json:"known_since"`
}

type buildingAlarms struct {
	Building       string             `json:"building"`
	Attention      int                `json:"attention"`
	Unacknowledged int                `json:"unacknowledged"`
	Severity       telemetry.Severity `json:"severity"` // the worst
}

// floodFigures describe an alarm flood. New counts the alarms of the view that came up within the last
// WindowMS (ten minutes): raised, repeated or no longer suppressed, and not set aside at that
// time. A flood begins when New exceeds Limit (ten) and ends when New is below EndsBelow (five);
// Active means that there is one now.
type floodFigures struct {
	Active    bool  `json:"active"`
	New       int   `json:"new"`
	Limit     int   `json:"limit"`
	EndsBelow int   `json:"ends_below"`
	WindowMS  int64 `json:"window_ms"`
	FirstAt   int64 `json:"first_at,omitempty"` // when the first one of New came up
	Since     int64 `json:"since,omitempty"`    // when the flood began
	Alarms    int   `json:"alarms,omitempty"`   // that came up in the flood
}

type chatterer struct {
	DeviceID   string `json:"device_id"`
	AlertType  string `json:"alert_type"`
	AlertID    string `json:"alert_id,omitempty"` // the newest incident
	LastMinute int    `json:"last_minute"`        // how often it came up in the last minute
}

type staleAlarm struct {
	AlertID   string             `json:"alert_id"`
	DeviceID  string             `json:"device_id"`
	AlertType string             `json:"alert_type"`
	Severity  telemetry.Severity `json:"severity"`
	RaisedAt  int64              `json:"raised_at"`
}

type badActor struct {
	DeviceID    string             `json:"device_id"`
	AlertType   string             `json:"alert_type"`
	Location    telemetry.Location `json:"location"`
	Occurrences int                `json:"occurrences"`
	LastAt      int64              `json:"last_at"`
}

// shortestWindow and longestWindow bound the window for bad actors.
const (
	shortestWindow = time.Minute
	longestWindow  = state.AnnunciationsKept * time.Millisecond
)

func (p *Portal) alertSummary(c *fiber.Ctx) error {
	r := parser{get: func(name string) string { return c.Query(name) }}
	scope := state.Scope{Building: strings.Clone(c.Query("building")), Floor: r.floor()}
	window := longestWindow
	if text, given := queryText(c, "window"); given {
		var err error
		if window, err = time.ParseDuration(text); err != nil || window < shortestWindow || window > longestWindow {
			r.bad("window", "a duration from 1m to 24h")
		}
	}
	if r.err != nil {
		return r.err
	}
	return c.JSON(p.summaries.get(scope, window.Milliseconds()))
}

const (
	// summaryFor is how long a summary is good: every page asks each few seconds.
	summaryFor = 500 * time.Millisecond
	// mostSummaries bounds the views whose summaries are kept.
	mostSummaries = 64
)

// summaryCache lets many clients with one view share one count of the alarms.
type summaryCache struct {
	p    *Portal
	mu   sync.Mutex
	kept map[summaryKey]keptSummary
}

type summaryKey struct {
	building string
	floor    int
	floors   bool // one floor only
	window   int64
}

type keptSummary struct {
	at     time.Time
	answer summaryAnswer
}

// get returns the summary of a view. Those who ask while it is counted wait for the same.
func (s *summaryCache) get(scope state.Scope, window int64) summaryAnswer {
	key := summaryKey{building: scope.Building, window: window}
	if scope.Floor != nil {
		key.floor, key.floors = *scope.Floor, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if k, ok := s.kept[key]; ok && now.Sub(k.at) < summaryFor {
		return k.answer
	}
	if s.kept == nil || len(s.kept) >= mostSummaries {
		s.kept = make(map[summaryKey]keptSummary)
	}
	at := s.p.model.Now()
	answer := summaryOf(s.p.model.Figures(scope, window), at, window)
	s.kept[key] = keptSummary{at: now, answer: answer}
	return answer
}

func summaryOf(f state.Figures, now, window int64) summaryAnswer {
	out := summaryAnswer{
		Time: now, ByState: make(map[string]int), BySeverity: bySeverity(f.Calling), Unacknowledged: f.Unseen,
		Shelved: f.Shelved, Suppressed: f.Suppressed, OutOfService: f.OutOfService, Uncertain: f.Uncertain, Historical: f.Historical,
		Flood: floodFigures{
			Active: f.Flood.Flooded, New: f.Flood.New, Limit: state.FloodLimit, EndsBelow: state.FloodEnds, WindowMS: state.FloodOver,
			FirstAt: f.Flood.First, Since: f.Flood.Since, Alarms: f.Flood.Alarms,
		},
		Buildings: []buildingAlarms{}, Chattering: []chatterer{}, Stale: []staleAlarm{}, BadActors: []badActor{},
		WindowMS: window, KnownSince: f.Known,
	}
	for state, n := range f.States {
		out.ByState[string(state)] = n
	}
	for _, n := range f.Calling {
		out.Attention += n
	}
	for _, b := range f.Buildings {
		out.Buildings = append(out.Buildings, buildingAlarms{Building: b.Building, Attention: b.Calling, Unacknowledged: b.Unseen, Severity: b.Worst})
	}
	for _, v := range f.Chattering {
		out.Chattering = append(out.Chattering, chatterer(v))
	}
	for _, a := range f.Stale {
		out.Stale = append(out.Stale, staleAlarm{AlertID: a.AlertID, DeviceID: a.DeviceID, AlertType: a.AlertType, Severity: a.Severity, RaisedAt: a.RaisedAt})
	}
	for _, b := range f.BadActors {
		out.BadActors = append(out.BadActors, badActor{DeviceID: b.DeviceID, AlertType: b.AlertType, Location: b.Place, Occurrences: b.Occurrences, LastAt: b.Last})
	}
	return out
}

// bySeverity maps counts by rank to names; "other" only if there are any.
func bySeverity(counts [5]int) map[string]int {
	out := make(map[string]int)
	for i, n := range counts {
		if n > 0 || i < len(severityNames)-1 {
			out[severityNames[i]] = n
		}
	}
	return out
}
