package state

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// Definitions of the figures, after ANSI/ISA-18.2.
const (
	// ChatterLimit and ChatterOver: an alarm that comes up this often within this time
	// chatters.
	ChatterLimit = 3
	ChatterOver  = 60_000
	// StaleAfter is how long an alarm's condition holds until the alarm is stale.
	StaleAfter = 24 * 3_600_000
	// maxBadActors is how many bad actors are named.
	maxBadActors = 10
)

// Scope is one operator's view; the zero value is everything.
type Scope struct {
	Building string
	Floor    *int
}

func (s Scope) holds(l telemetry.Location) bool {
	return (s.Building == "" || s.Building == l.Building) && (s.Floor == nil || *s.Floor == l.Floor)
}

// Figures are counts over the alarms in one operator's view at one moment.
type Figures struct {
	// States counts every alarm that is kept, historical ones apart, by its state.
	States map[telemetry.AlarmState]int
	// Calling counts those that need attention (open and not put aside) by Rank, Unseen
	// of these, the unacknowledged ones.
	Calling [5]int
	Unseen  int
	// Shelved, Suppressed, OutOfService and Uncertain count the open alarms that are put aside; one
	// may be several of these.
	Shelved, Suppressed, OutOfService, Uncertain int

	Historical int
	Buildings  []BuildingAlarms // with alarms that need attention, by name
	Flood      Flood
	Chattering []Chatter // the busiest first
	Stale      []*Alert  // the oldest first
	BadActors  []BadActor
	// Known is since when it is known which alarms came up, ms since 1970.
	Known int64
}

// BuildingAlarms counts the alarms of one building that need attention.
type BuildingAlarms struct {
	Building string
	Calling  int
	Unseen   int
	Worst    telemetry.Severity
}

// Chatter is an alarm that chatters: core says so, or it was raised or raised again
// ChatterLimit times within the last ChatterOver. Those put aside are left out, because
// to shelve them is what could be done about it.
type Chatter struct {
	DeviceID   string
	AlertType  string
	AlertID    string // the newest incident, "" when it is not kept any more
	LastMinute int
}

// BadActor is a device's alarm type that came up often: Occurrences counts how often it was
// raised, or raised again before it was acknowledged, put aside or not, within the
// time asked for.
type BadActor struct {
	DeviceID    string
	AlertType   string
	Place       telemetry.Location
	Occurrences int
	Last        int64 // when it came up last
}

// actor is what comes up.
type actor struct{ device, kind string }

// Figures counts the alarms in scope. Bad actors are looked for over the last window ms, at
// most AnnunciationsKept.
func (m *Model) Figures(scope Scope, window int64) Figures {
	now := m.Now()
	m.mu.RLock()
	defer m.mu.RUnlock()
	f := Figures{
		States: map[telemetry.AlarmState]int{
			telemetry.AlarmNormal: 0, telemetry.AlarmUnacknowledged: 0, telemetry.AlarmAcknowledged: 0, telemetry.AlarmReturned: 0,
		},
		Known: max(now-AnnunciationsKept, m.annunciations.lost),
	}
	buildings := make(map[string]*BuildingAlarms)
	newest := make(map[actor]*Alert)
	for _, a := range m.alerts.byID {
		place := m.Place(a)
		if !scope.holds(place) {
			continue
		}
		f.count(a, now)
		if a.NeedsAttention() {
			countIn(buildings, place.Building, a)
		}
		if k := (actor{a.DeviceID, a.AlertType}); newest[k] == nil || a.RaisedAt > newest[k].RaisedAt {
			newest[k] = a
		}
	}
	for _, b := range buildings {
		f.Buildings = append(f.Buildings, *b)
	}
	m.countAnnunciations(&f, scope, now, min(window, AnnunciationsKept), newest)
	f.sort()
	return f
}

func (f *Figures) count(a *Alert, now int64) {
	if a.Historical {
		f.Historical++
		return
	}
	f.States[a.State]++
	if !a.Open() {
		return
	}
	add := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	add(&f.Shelved, a.Shelved != nil)
	add(&f.Suppressed, a.Suppressed != nil)
	add(&f.OutOfService, a.OutOfService != nil)
	add(&f.Uncertain, a.Uncertain)
	if !a.NeedsAttention() {
		return
	}
	f.Calling[Rank(a.Severity)]++
	add(&f.Unseen, a.Unseen())
	if a.Active() && (a.Stale || now-a.RaisedAt > StaleAfter) {
		f.Stale = append(f.Stale, a)
	}
}

func countIn(buildings map[string]*BuildingAlarms, name string, a *Alert) {
	b := buildings[name]
	if b == nil {
		b = &BuildingAlarms{Building: name}
		buildings[name] = b
	}
	b.Calling++
	if a.Unseen() {
		b.Unseen++
	}
	if b.Worst == "" || Rank(a.Severity) < Rank(b.Worst) {
		b.Worst = a.Severity
	}
}

// countAnnunciations finds flood, chatter and bad actors. newest are the newest incidents.
func (m *Model) countAnnunciations(f *Figures, scope Scope, now, window int64, newest map[actor]*Alert) {
	bad := make(map[actor]*BadActor)
	minute := make(map[actor]int)
	var shown []int64
	m.annunciations.since(now-AnnunciationsKept, func(c *annunciation) {
		if !scope.holds(c.place) {
			return
		}
		k := actor{c.device, c.kind}
		if c.shown {
			shown = append(shown, c.at)
		}
		if c.occurred && c.at > now-ChatterOver {
			minute[k]++
		}
		if c.occurred && c.at > now-window {
			b := bad[k]
			if b == nil {
				b = &BadActor{DeviceID: c.device, AlertType: c.kind, Place: c.place}
				bad[k] = b
			}
			b.Occurrences++
			b.Last = max(b.Last, c.at)
		}
	})
	f.Flood = floodOf(shown, now)
	for _, b := range bad {
		f.BadActors = append(f.BadActors, *b)
	}
	for k, a := range newest {
		if a.Chattering && !a.Aside() && !a.Historical || minute[k] >= ChatterLimit && !a.Aside() {
			f.Chattering = append(f.Chattering, Chatter{DeviceID: k.device, AlertType: k.kind, AlertID: a.AlertID, LastMinute: minute[k]})
		}
	}
	for k, n := range minute {
		if n >= ChatterLimit && newest[k] == nil {
			f.Chattering = append(f.Chattering, Chatter{DeviceID: k.device, AlertType: k.kind, LastMinute: n})
		}
	}
}

// sort makes the order of the lists deterministic.
func (f *Figures) sort() {
	slices.SortFunc(f.Buildings, func(a, b BuildingAlarms) int { return cmp.Compare(a.Building, b.Building) })
	slices.SortFunc(f.Stale, func(a, b *Alert) int {
		return cmp.Or(cmp.Compare(a.RaisedAt, b.RaisedAt), cmp.Compare(a.AlertID, b.AlertID))
	})
	slices.SortFunc(f.Chattering, func(a, b Chatter) int {
		return cmp.Or(cmp.Compare(b.LastMinute, a.LastMinute), cmp.Compare(a.DeviceID, b.DeviceID), cmp.Compare(a.AlertType, b.AlertType))
	})
	slices.SortFunc(f.BadActors, func(a, b BadActor) int {
		return cmp.Or(cmp.Compare(b.Occurrences, a.Occurrences), cmp.Compare(b.Last, a.Last),
			cmp.Compare(a.DeviceID, b.DeviceID), cmp.Compare(a.AlertType, b.AlertType))
	})
	f.BadActors = f.BadActors[:min(len(f.BadActors), maxBadActors)]
}
