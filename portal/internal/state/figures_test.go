package state

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
)

// raised applies n alarms that came up now, each a second before the one before it.
func raised(t *testing.T, p *Model, name string, n int, now int64, change ...func(*telemetry.Alert)) {
	t.Helper()
	for i := range n {
		p.ApplyAlert(alarm(t, fmt.Sprint(name, i), 1, telemetry.AlarmUnacknowledged,
			append([]func(*telemetry.Alert){at(now - int64(i)*1000)}, change...)...), true)
	}
}

func TestFloodIsMoreThanTenNewAlarmsInTenMinutes(t *testing.T) {
	for name, c := range map[string]struct {
		fill  func(p *Model)
		scope Scope
		new   int
		flood bool
	}{
		"nothing":        {func(*Model) {}, Scope{}, 0, false},
		"ten":            {func(p *Model) { raised(t, p, "a", 10, t0) }, Scope{}, 10, false},
		"eleven":         {func(p *Model) { raised(t, p, "a", 11, t0) }, Scope{}, 11, true},
		"too long ago":   {func(p *Model) { raised(t, p, "a", 11, t0-10*minute) }, Scope{}, 0, false},
		"partly":         {func(p *Model) { raised(t, p, "a", 11, t0-10*minute+5_500) }, Scope{}, 6, true},
		"shelved":        {func(p *Model) { raised(t, p, "a", 11, t0, shelved) }, Scope{}, 0, false},
		"suppressed":     {func(p *Model) { raised(t, p, "a", 11, t0, suppressed) }, Scope{}, 0, false},
		"historical":     {func(p *Model) { raised(t, p, "a", 11, t0, historical) }, Scope{}, 0, false},
		"in this view":   {func(p *Model) { raised(t, p, "a", 11, t0) }, Scope{Building: "A栋", Floor: new(3)}, 11, true},
		"in another one": {func(p *Model) { raised(t, p, "a", 11, t0) }, Scope{Building: "B栋"}, 0, false},
		"another floor":  {func(p *Model) { raised(t, p, "a", 11, t0) }, Scope{Floor: new(4)}, 0, false},
		"over already": {func(p *Model) {
			raised(t, p, "a", 11, t0)
			for i := range 11 {
				p.ApplyAlert(alarm(t, fmt.Sprint("a", i), 3, telemetry.AlarmNormal, event(telemetry.EventAcknowledged)), true)
			}
		}, Scope{}, 11, true},
		"not suppressed any more": {func(p *Model) {
			raised(t, p, "a", 11, t0-hour, suppressed)
			for i := range 11 {
				p.ApplyAlert(alarm(t, fmt.Sprint("a", i), 2, telemetry.AlarmUnacknowledged, event(telemetry.EventUnsuppressed)), true)
			}
		}, Scope{}, 11, true},
		"raised again": {func(p *Model) {
			raised(t, p, "a", 1, t0-hour)
			for i := range int64(11) {
				p.ApplyAlert(alarm(t, "a0", 2+i, telemetry.AlarmUnacknowledged, event(telemetry.EventRepeated)), true)
			}
		}, Scope{}, 11, true},
		"acknowledged, commented": {func(p *Model) {
			for i, e := range []telemetry.AlarmEvent{telemetry.EventAcknowledged, telemetry.EventCommented, telemetry.EventEscalated, telemetry.EventCleared} {
				p.ApplyAlert(alarm(t, "a", int64(i+2), telemetry.AlarmAcknowledged, event(e)), true)
			}
		}, Scope{}, 0, false},
		"from before there were revisions": {func(p *Model) {
			for i := range 11 {
				p.ApplyAlert(alert(t, fmt.Sprint(i), "d1", telemetry.AlertActive, t0), true)
				p.ApplyAlert(alert(t, fmt.Sprint(i), "d1", telemetry.AlertCleared, t0), true)
			}
		}, Scope{}, 11, true},
		"read from the past": {func(p *Model) {
			for i := range 11 {
				p.ApplyAlert(alarm(t, fmt.Sprint(i), 1, telemetry.AlarmUnacknowledged), false)
			}
		}, Scope{}, 11, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newModel(Options{})
			c.fill(p)
			f := p.Figures(c.scope, hour).Flood
			require.Equal(t, c.new, f.New)
			require.Equal(t, c.flood, f.Flooded)
			require.Equal(t, c.new > 0, f.First > 0)
		})
	}
}

func TestFloodEndsWhenFewerThanFiveAreLeft(t *testing.T) {
	p, c := newModel(Options{})
	raised(t, p, "a", 11, t0) // the last ten seconds
	f := p.Figures(Scope{}, hour).Flood
	require.Equal(t, Flood{New: 11, First: t0 - 10_000, Flooded: true, Since: t0, Alarms: 11}, f)
	c.ms += 10*minute - 5_000 // six are too old
	f = p.Figures(Scope{}, hour).Flood
	require.Equal(t, Flood{New: 5, First: t0 - 4_000, Flooded: true, Since: t0, Alarms: 11}, f, "it is not over with ten")
	c.ms += 1_000
	require.Equal(t, Flood{New: 4, First: t0 - 3_000}, p.Figures(Scope{}, hour).Flood)
	c.ms += 4_000
	require.Zero(t, p.Figures(Scope{}, hour).Flood)
}

func TestFloodIsJudgedFromItsTimes(t *testing.T) {
	every := func(n int, from, step int64) (out []int64) {
		for i := range int64(n) {
			out = append(out, from+i*step)
		}
		return out
	}
	for name, c := range map[string]struct {
		shown []int64
		want  Flood
	}{
		"one a minute is none":    {every(60, -59*minute, minute), Flood{New: 10, First: -9 * minute}},
		"it goes on at that rate": {append(every(11, -30*minute, 1000), every(29, -29*minute, minute)...), Flood{New: 9, First: -9 * minute, Flooded: true, Since: -30*minute + 10_000, Alarms: 40}},
		"a pause ends it":         {append(every(11, -30*minute, 1000), every(6, -5*minute, 1000)...), Flood{New: 6, First: -5 * minute}},
		"a second one":            {append(every(11, -30*minute, 1000), every(12, -5*minute, 1000)...), Flood{New: 12, First: -5 * minute, Flooded: true, Since: -5*minute + 10_000, Alarms: 12}},
	} {
		t.Run(name, func(t *testing.T) {
			slices.Reverse(c.shown)
			require.Equal(t, c.want, floodOf(c.shown, 0))
		})
	}
}

func TestChatteringAlarmsAreNamedToBeShelved(t *testing.T) {
	chattering := func(a *telemetry.Alert) { a.Chattering = true }
	p, c := newModel(Options{})
	p.ApplyAlert(alarm(t, "said", 5, telemetry.AlarmReturned, of("d1", "x"), chattering, event(telemetry.EventChattering)), true)
	p.ApplyAlert(alarm(t, "shelved", 5, telemetry.AlarmReturned, of("d2", "x"), chattering, shelved, event(telemetry.EventShelved)), true)
	p.ApplyAlert(alarm(t, "off", 5, telemetry.AlarmReturned, of("d3", "x"), chattering, outOfUse, event(telemetry.EventOutOfService)), true)
	raised(t, p, "thrice", 3, t0, of("d4", "x"))
	raised(t, p, "twice", 2, t0, of("d5", "x"))
	raised(t, p, "slowly", 3, t0-minute+500, of("d6", "x"))
	raised(t, p, "late", 3, t0, of("d7", "x"), historical)
	require.Equal(t, []Chatter{
		{DeviceID: "d4", AlertType: "x", AlertID: "thrice0", LastMinute: 3}, {DeviceID: "d1", AlertType: "x", AlertID: "said"},
	}, p.Figures(Scope{}, hour).Chattering)
	require.Empty(t, p.Figures(Scope{Building: "B栋"}, hour).Chattering)
	c.ms += minute
	require.Equal(t, []Chatter{{DeviceID: "d1", AlertType: "x", AlertID: "said"}}, p.Figures(Scope{}, hour).Chattering)
}

func TestStaleAlarmsHaveHeldForADay(t *testing.T) {
	day := 24 * hour
	stale := func(a *telemetry.Alert) { a.Stale = true }
	p, _ := newModel(Options{})
	for id, c := range map[string]struct {
		state  telemetry.AlarmState
		change []func(*telemetry.Alert)
	}{
		"a day and more":      {telemetry.AlarmUnacknowledged, []func(*telemetry.Alert){at(t0 - day - 1)}},
		"long, acknowledged":  {telemetry.AlarmAcknowledged, []func(*telemetry.Alert){at(t0 - 2*day)}},
		"a day":               {telemetry.AlarmUnacknowledged, []func(*telemetry.Alert){at(t0 - day)}},
		"core says so":        {telemetry.AlarmAcknowledged, []func(*telemetry.Alert){at(t0 - hour), stale}},
		"its condition ended": {telemetry.AlarmReturned, []func(*telemetry.Alert){at(t0 - 2*day), stale}},
		"shelved":             {telemetry.AlarmAcknowledged, []func(*telemetry.Alert){at(t0 - 2*day), shelved}},
		"suppressed":          {telemetry.AlarmAcknowledged, []func(*telemetry.Alert){at(t0 - 2*day), suppressed}},
		"historical":          {telemetry.AlarmUnacknowledged, []func(*telemetry.Alert){at(t0 - 2*day), historical}},
	} {
		p.ApplyAlert(alarm(t, id, 1, c.state, c.change...), true)
	}
	var ids []string
	for _, a := range p.Figures(Scope{}, hour).Stale {
		ids = append(ids, a.AlertID)
	}
	require.Equal(t, []string{"long, acknowledged", "a day and more", "core says so"}, ids)
}

func TestBadActorsCameUpMostOften(t *testing.T) {
	p, c := newModel(Options{})
	for i := range 12 {
		raised(t, p, fmt.Sprint("d", i, "-"), i+1, t0-minute, of(fmt.Sprintf("d%02d", i), "x"))
	}
	raised(t, p, "other", 3, t0, of("d11", "y"), shelved) // of the same device, and put aside
	raised(t, p, "old", 30, t0-3*hour, of("d99", "x"))
	raised(t, p, "late", 30, t0, of("d98", "x"), historical)
	raised(t, p, "b", 2, t0, of("d97", "x"), in("B栋", 1))
	bad := p.Figures(Scope{}, hour).BadActors
	require.Len(t, bad, 10)
	require.Equal(t, BadActor{DeviceID: "d11", AlertType: "x", Place: telemetry.Location{Building: "A栋", Floor: 3}, Occurrences: 12, Last: t0 - minute}, bad[0])
	require.True(t, slices.ContainsFunc(bad, func(b BadActor) bool { return b.AlertType == "y" && b.Occurrences == 3 }))
	require.Equal(t, "d99", p.Figures(Scope{}, 4*hour).BadActors[0].DeviceID)
	require.Len(t, p.Figures(Scope{Building: "B栋"}, hour).BadActors, 1)
	c.ms += 25 * hour
	require.Empty(t, p.Figures(Scope{}, 48*hour).BadActors, "nothing is known of before yesterday")
	require.Equal(t, c.ms-AnnunciationsKept, p.Figures(Scope{}, hour).Known)
}

func TestFiguresCountByStateAndPlace(t *testing.T) {
	p, _ := newModel(Options{})
	critical := func(a *telemetry.Alert) { a.Severity = telemetry.SeverityCritical }
	p.ApplyAlert(alarm(t, "1", 1, telemetry.AlarmUnacknowledged), true)
	p.ApplyAlert(alarm(t, "2", 1, telemetry.AlarmAcknowledged, critical), true)
	p.ApplyAlert(alarm(t, "3", 1, telemetry.AlarmReturned, in("B栋", 1)), true)
	p.ApplyAlert(alarm(t, "4", 1, telemetry.AlarmNormal, shelved), true)
	p.ApplyAlert(alarm(t, "5", 1, telemetry.AlarmUnacknowledged, shelved, suppressed), true)
	p.ApplyAlert(alarm(t, "6", 1, telemetry.AlarmUnacknowledged, historical), true)
	f := p.Figures(Scope{}, hour)
	require.Equal(t, map[telemetry.AlarmState]int{"unacknowledged": 2, "acknowledged": 1, "returned_unacknowledged": 1, "normal": 1}, f.States)
	require.Equal(t, [5]int{1, 2, 0, 0, 0}, f.Calling)
	require.Equal(t, []int{2, 1, 1, 0, 1}, []int{f.Unseen, f.Shelved, f.Suppressed, f.OutOfService, f.Historical})
	require.Equal(t, []BuildingAlarms{{"A栋", 2, 1, "critical"}, {"B栋", 1, 1, "high"}}, f.Buildings)
}

func TestCallsAreBounded(t *testing.T) {
	var l annunciationLog
	for i := range int64(2*maxAnnunciations + 5) {
		l.note(annunciation{at: t0 + i, occurred: true}, t0)
	}
	l.note(annunciation{}, t0)
	l.note(annunciation{at: t0 - AnnunciationsKept - 1, occurred: true}, t0)
	require.Len(t, l.list, maxAnnunciations+5)
	require.Equal(t, t0+maxAnnunciations-1, l.lost)
	n := 0
	l.since(t0+2*maxAnnunciations, func(*annunciation) { n++ })
	require.Equal(t, 4, n)
}
