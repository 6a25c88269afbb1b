// Package report counts what happened in a plant during a shift, a day or a week: alarms against the
// targets of EEMUA 191 and ISA-18.2, floods, bad actors, availability. Records go in one by one, figures
// come out. It is not for reading records from anywhere: it does no I/O, and nothing in it blocks.
package report

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// Target is how many alarms an hour an operator can deal with: EEMUA 191 (3rd edition, table 8) and
	// ISA-18.2 (2016, table 7) call about 6 an hour, on average, very likely to be acceptable.
	Target = 6
	// standingAfter is how long an alarm holds until it is standing, in ms: ISA-18.2 (16.5.5) calls an
	// alarm stale that holds for more than 24 hours.
	standingAfter = 24 * 3_600_000
	// mostActors is how many bad actors a report names: the "top ten" of ISA-18.2 (16.5.3).
	mostActors = 10
	// Most is how many alarms of any other list a report names; the count is of all.
	Most = 50
)

// Types of alarms that say something of availability.
const (
	typeOffline = "device_offline"
	typeGateway = "gateway_down"
)

// Alarm is one incident as a report sees it. Times are in ms since 1970.
type Alarm struct {
	ID, Device, Building, Type, Rule string
	Severity                         telemetry.Severity
	RaisedAt                         int64
	EndedAt                          int64 // 0: its condition holds
	AcknowledgedAt                   int64 // 0: it is not acknowledged
	Historical                       bool  // found in late readings: no operator was shown it
	Suppressed                       bool  // another alarm explains it: likewise
	Maintained                       bool  // it came up while its device was under maintenance: likewise
	// Spans are the times in which its condition held, in order; nil: one, from RaisedAt to EndedAt.
	Spans []Span
}

// Span is a range of time in ms, [From, To); To 0: it is not over.
type Span struct{ From, To int64 }

// within returns how long a span lasts within a range, in ms.
func (s Span) within(from, to int64) int64 {
	end := s.To
	if end == 0 {
		end = to
	}
	return max(0, min(end, to)-max(s.From, from))
}

func (a *Alarm) spans() []Span {
	if a.Spans != nil {
		return a.Spans
	}
	return []Span{{a.RaisedAt, a.EndedAt}}
}

// Builder takes records and gives a report. It keeps a few numbers of an alarm, not the alarm.
type Builder struct {
	from, until int64

	counts    Counts
	hidden    Hidden
	times     []int64 // of raises that were shown
	waits     []int64 // from raise to acknowledgement
	never     int
	actors    map[actorKey]*Actor
	raises    map[actorKey][]int64
	standing  events
	criticals events
	buildings map[string]*tally
	gateways  map[silentKey][]Span
	offline   map[silentKey][]Span
}

// actorKey names an alarm type of a device, silentKey a device or gateway of a building.
type (
	actorKey  struct{ device, kind string }
	silentKey struct{ building, id string }
)

// tally is what is summed up of a building.
type tally struct {
	counts                             Counts
	devices                            int
	deviceTime, offline, gatewaySilent int64 // ms
}

// New returns a Builder for the range [from, until), in ms.
func New(from, until int64) *Builder {
	return &Builder{
		from: from, until: until, actors: make(map[actorKey]*Actor), raises: make(map[actorKey][]int64), buildings: make(map[string]*tally),
		gateways: make(map[silentKey][]Span), offline: make(map[silentKey][]Span),
	}
}

func (b *Builder) building(name string) *tally {
	t := b.buildings[name]
	if t == nil {
		t = new(tally)
		b.buildings[name] = t
	}
	return t
}

// AddDevice counts a device of a building that was there in the span.
func (b *Builder) AddDevice(building string, there Span) {
	if ms := there.within(b.from, b.until); ms > 0 {
		t := b.building(building)
		t.devices++
		t.deviceTime += ms
	}
}

// AddAlarm counts an alarm whose condition held in the range at some time. Each is added once.
func (b *Builder) AddAlarm(a *Alarm) {
	b.addSilence(a)
	if a.Historical || a.Suppressed || a.Maintained {
		b.addHidden(a)
		return
	}
	spans := a.spans()
	last := spans[len(spans)-1]
	key := actorKey{a.Device, a.Type}
	for _, s := range spans {
		if s.From >= b.from && s.From < b.until {
			b.addRaise(a, key, s.From)
		}
	}
	if a.RaisedAt >= b.from && a.RaisedAt < b.until {
		b.addWait(a)
	}
	holds := last.To == 0 || last.To >= b.until
	if holds && last.From <= b.until-standingAfter {
		b.standing.add(eventOf(a, last.From))
	}
	if a.Severity == telemetry.SeverityCritical && a.RaisedAt < b.until && (a.EndedAt == 0 || a.EndedAt >= b.from) {
		b.criticals.add(eventOf(a, a.RaisedAt))
	}
}

func (b *Builder) addHidden(a *Alarm) {
	if a.RaisedAt < b.from || a.RaisedAt >= b.until {
		return
	}
	switch {
	case a.Historical:
		b.hidden.Historical++
	case a.Suppressed:
		b.hidden.Suppressed++
	default:
		b.hidden.Maintained++
	}
}

// addSilence notes for how long a device or a gateway was silent, shown or not.
func (b *Builder) addSilence(a *Alarm) {
	key := silentKey{a.Building, a.Device}
	switch a.Type {
	case typeOffline:
		b.offline[key] = append(b.offline[key], a.spans()...)
	case typeGateway:
		b.gateways[key] = append(b.gateways[key], a.spans()...)
	}
}

func (b *Builder) addRaise(a *Alarm, key actorKey, at int64) {
	b.counts.add(a.Severity)
	b.building(a.Building).counts.add(a.Severity)
	b.times = append(b.times, at)
	actor := b.actors[key]
	if actor == nil {
		actor = &Actor{DeviceID: a.Device, Building: a.Building, AlertType: a.Type, Rule: a.Rule, Severity: a.Severity}
		b.actors[key] = actor
	}
	actor.Count++
	b.raises[key] = append(b.raises[key], at)
}

func (b *Builder) addWait(a *Alarm) {
	if a.AcknowledgedAt == 0 {
		b.never++
		return
	}
	b.waits = append(b.waits, max(0, a.AcknowledgedAt-a.RaisedAt))
}

// Figures returns the report.
func (b *Builder) Figures() Figures {
	slices.Sort(b.times)
	out := Figures{
		Raised: b.counts, Hidden: b.hidden, Target: Target, Floods: Floods(b.times, b.until), NeverAcknowledged: b.never, Acknowledged: len(b.waits),
		BadActors: b.badActors(), Chattering: b.chattering(), Standing: b.standing.sorted(), StandingCount: b.standing.count,
		Criticals: b.criticals.sorted(), CriticalCount: b.criticals.count, Buildings: b.perBuilding(),
	}
	hours := float64(b.until-b.from) / 3_600_000
	out.PerHour = float64(b.counts.Total) / hours
	for _, f := range out.Floods {
		out.FloodMS += f.To - f.From
	}
	out.FloodShare = float64(out.FloodMS) / float64(b.until-b.from)
	slices.Sort(b.waits)
	out.AckMedianMS, out.AckP90MS = quantile(b.waits, 50), quantile(b.waits, 90)
	return out
}

// quantile returns the nearest rank of sorted numbers, nil without any.
func quantile(sorted []int64, percent int) *int64 {
	if len(sorted) == 0 {
		return nil
	}
	v := sorted[(len(sorted)*percent+99)/100-1]
	return &v
}

func (b *Builder) badActors() []Actor {
	all := make([]Actor, 0, len(b.actors))
	for _, a := range b.actors {
		a.Share = float64(a.Count) / float64(b.counts.Total)
		all = append(all, *a)
	}
	slices.SortFunc(all, compareActors)
	return all[:min(len(all), mostActors)]
}

func compareActors(a, b Actor) int {
	return cmp.Or(b.Count-a.Count, cmp.Compare(a.DeviceID, b.DeviceID), cmp.Compare(a.AlertType, b.AlertType))
}

// An alarm chatters when it is raised three times within a minute: docs/alarms.md, ISA-18.2 (16.5.4).
const (
	chatterRaises = 3
	chatterMS     = 60_000
)

// chattering returns who chattered, with how often they were raised.
func (b *Builder) chattering() []Actor {
	out := []Actor{}
	for key, times := range b.raises {
		slices.Sort(times)
		for i := chatterRaises - 1; i < len(times); i++ {
			if times[i]-times[i-chatterRaises+1] <= chatterMS {
				out = append(out, *b.actors[key])
				break
			}
		}
	}
	slices.SortFunc(out, compareActors)
	return out[:min(len(out), Most)]
}

func (b *Builder) perBuilding() []BuildingRow {
	for key, spans := range b.offline {
		b.building(key.building).offline += union(spans, b.from, b.until)
	}
	for key, spans := range b.gateways {
		b.building(key.building).gatewaySilent += union(spans, b.from, b.until)
	}
	out := make([]BuildingRow, 0, len(b.buildings))
	for name, t := range b.buildings {
		x := BuildingRow{Building: name, Devices: t.devices, Raised: t.counts, GatewaySilentMS: t.gatewaySilent}
		if t.deviceTime > 0 {
			share := max(0, 1-float64(t.offline)/float64(t.deviceTime))
			x.Availability = &share
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b BuildingRow) int { return cmp.Compare(a.Building, b.Building) })
	return out
}

// union returns how much of a range the spans cover, in ms.
func union(spans []Span, from, to int64) (ms int64) {
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	for _, s := range spans {
		ms += s.within(from, to)
		if s.To == 0 {
			s.To = to
		}
		from = max(from, min(s.To, to))
	}
	return ms
}

// Change takes the next transition of an alarm that was raised several times, in their order, and reports
// whether it was raised. Once it was called, Spans has the times that were told.
func (a *Alarm) Change(event telemetry.AlarmEvent, at int64) (raised bool) {
	switch event { //nolint:exhaustive // the others neither raise an alarm nor end it
	case telemetry.EventRaised, telemetry.EventRepeated:
		a.Spans = append(a.Spans, Span{From: at})
		return true
	case telemetry.EventCleared, telemetry.EventRemoved:
		if n := len(a.Spans); n > 0 && a.Spans[n-1].To == 0 {
			a.Spans[n-1].To = at
		}
	}
	return false
}
