package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

// pick returns one of the words, often none.
func pick(r *rand.Rand, words ...string) string {
	if r.IntN(3) > 0 {
		return ""
	}
	return words[r.IntN(len(words))]
}

func page(r *rand.Rand) Page { return Page{Limit: 1 + r.IntN(40), Offset: r.IntN(50) * r.IntN(50)} }

func partOf[T any](all []T, p Page) []T {
	from := min(p.Offset, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

var (
	actions  = []string{"acknowledge", "comment", "shelve"}
	outcomes = []string{"applied", "refused"}
	places   = []string{"A栋", "B栋"}
	types    = []string{"temperature_high", "door_open"}
	authors  = []string{"李工", "Zhang"}
)

func trailQuestions(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	r := rand.New(rand.NewPCG(1, 2))
	const month = 31 * dayMS
	var records []Record
	for i := range int64(3000) {
		records = append(records, entry(int32(r.IntN(3)), i, 1_700_000_000_000+r.Int64N(3*month)/60_000*60_000, telemetry.AuditEntry{
			DeviceID: fmt.Sprint("d", r.IntN(10)), Building: pick(r, places...), AlertType: pick(r, types...), AlertID: pick(r, "a1", "a2"), Rule: pick(r, types...),
			By: pick(r, authors...), Action: telemetry.AlarmAction(pick(r, actions...)), Outcome: telemetry.Outcome(pick(r, outcomes...)),
			CommandID: pick(r, "c1", "c2"), Note: fmt.Sprint(i),
		}))
	}
	require.NoError(t, s.Write(t.Context(), topic, records))
	slices.SortFunc(records, func(a, b Record) int {
		return -cmp.Or(cmp.Compare(a.Entry.RecordedAt, b.Entry.RecordedAt), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	matched := 0
	for n := range questions {
		q := TrailQuery{
			Device: pick(r, "d1", "d2", "nobody"), Building: pick(r, places...), AlertType: pick(r, types...), AlertID: pick(r, "a1"), Rule: pick(r, types...),
			By: pick(r, authors...), CommandID: pick(r, "c1"), OldestFirst: r.IntN(2) == 0,
		}
		if r.IntN(3) == 0 {
			q.Actions = actions[r.IntN(2):]
		}
		if r.IntN(4) == 0 {
			q.Outcomes = outcomes[:1]
		}
		if r.IntN(3) == 0 {
			q.From = 1_700_000_000_000 + r.Int64N(3*month)
		}
		if r.IntN(3) == 0 {
			q.To = 1_700_000_000_000 + r.Int64N(3*month)/60_000*60_000
		}
		want := []*audit.Entry{}
		for _, x := range records {
			e := x.Entry
			same := func(want, v string) bool { return want == "" || want == v }
			among := func(want []string, v string) bool { return len(want) == 0 || slices.Contains(want, v) }
			if same(q.Device, e.DeviceID) && same(q.Building, e.Building) && same(q.AlertType, e.AlertType) && same(q.AlertID, e.AlertID) && same(q.Rule, e.Rule) &&
				same(q.By, e.By) && same(q.CommandID, e.CommandID) && among(q.Actions, string(e.Action)) && among(q.Outcomes, string(e.Outcome)) &&
				e.RecordedAt >= q.From && (q.To == 0 || e.RecordedAt < q.To) {
				want = append(want, e)
			}
		}
		matched += len(want)
		if n%10 == 0 {
			require.Equal(t, ids(want), ids(everyEntry(t, s, &q)), q)
		}
		if q.OldestFirst {
			slices.Reverse(want)
		}
		p := page(r)
		l, err := s.Trail(t.Context(), &q, p)
		require.NoError(t, err)
		require.Equal(t, ids(partOf(want, p)), ids(l.Items), "%+v %+v", q, p)
		require.Equal(t, min(len(want), Counted), l.Total)
		require.Equal(t, len(want) > Counted, l.More)
	}
	require.Greater(t, matched, 25*questions, "the questions found something")
}

func journalQuestions(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	r := rand.New(rand.NewPCG(3, 4))
	const start, span = 1_700_000_000_000, 20 * dayMS
	var records []Record
	for i := range int64(3000) {
		a := telemetry.Alert{
			AlertID: fmt.Sprintf("a%04d", i), DeviceID: fmt.Sprint("d", r.IntN(10)), AlertType: types[r.IntN(2)], Severity: telemetry.SeverityCritical,
			Location: telemetry.Location{Building: pick(r, places...), Floor: r.IntN(3)}, Rule: pick(r, types...), Source: telemetry.SourceRule, Revision: 1,
			RaisedAt: start + r.Int64N(span)/60_000*60_000, Message: "reached " + pick(r, "80 %", "90_"), Status: telemetry.AlertActive, State: telemetry.AlarmUnacknowledged,
		}
		if r.IntN(2) == 0 {
			a.Severity = telemetry.SeverityLow
		}
		if r.IntN(20) > 0 {
			longest := []int64{60_000, 3_600_000, 2 * dayMS, 10 * dayMS}[r.IntN(4)]
			a.Status, a.State, a.ClearedAt = telemetry.AlertCleared, telemetry.AlarmNormal, a.RaisedAt+r.Int64N(longest)
		}
		if r.IntN(50) == 0 {
			a.ClearedAt = a.RaisedAt + dayMS // just as long as a day
			a.Status, a.State = telemetry.AlertCleared, telemetry.AlarmReturned
		}
		records = append(records, alarmRecord(0, i, a))
	}
	require.NoError(t, s.Write(t.Context(), topic, records))
	slices.SortFunc(records, func(a, b Record) int {
		return -cmp.Or(cmp.Compare(a.Alarm.RaisedAt, b.Alarm.RaisedAt), cmp.Compare(a.Alarm.AlertID, b.Alarm.AlertID))
	})
	matched, older := 0, 0
	for n := range questions {
		q := JournalQuery{
			Device: pick(r, "d1", "d2", "nobody"), Building: pick(r, places...), Rule: pick(r, types...), Text: pick(r, "80 %", "90_", "d3", "b栋"),
		}
		if r.IntN(4) == 0 {
			q.AlertTypes = types[:1+r.IntN(2)]
		}
		if r.IntN(4) == 0 {
			q.Severities = []string{"critical"}
		}
		if r.IntN(6) == 0 {
			q.States = []string{"unacknowledged", "returned"}
		}
		if r.IntN(6) == 0 {
			q.Sources = []string{"rule"}
		}
		if r.IntN(4) == 0 {
			q.Floor = new(r.IntN(3))
		}
		if r.IntN(3) > 0 {
			q.From = start + r.Int64N(span)/60_000*60_000
		}
		if r.IntN(3) == 0 {
			q.To = max(q.From, start) + r.Int64N(3*dayMS)
		}
		want := []*state.Alert{}
		for _, x := range records {
			a := x.Alarm
			same := func(want, v string) bool { return want == "" || want == v }
			among := func(want []string, v string) bool { return len(want) == 0 || slices.Contains(want, v) }
			if same(q.Device, a.DeviceID) && same(q.Building, a.Location.Building) && same(q.Rule, a.Rule) && among(q.AlertTypes, a.AlertType) &&
				among(q.Severities, string(a.Severity)) && among(q.States, string(a.State)) && among(q.Sources, string(a.Source)) &&
				(q.Floor == nil || *q.Floor == a.Location.Floor) && strings.Contains(words(a), q.Text) &&
				(q.To == 0 || a.RaisedAt < q.To) && (a.ClearedAt == 0 || a.ClearedAt >= q.From) {
				want = append(want, a)
				if a.RaisedAt < q.From {
					older++
				}
			}
		}
		matched += len(want)
		if n%10 == 0 {
			require.Equal(t, alarmIDs(want), alarmIDs(everyAlarm(t, s, &q)), q)
		}
		p := page(r)
		l, err := s.Journal(t.Context(), &q, p)
		require.NoError(t, err)
		require.Equal(t, alarmIDs(partOf(want, p)), alarmIDs(l.Items), "%+v %+v", q, p)
		require.Equal(t, min(len(want), Counted), l.Total, "%+v", q)
		require.Equal(t, len(want) > Counted, l.More)
	}
	require.Greater(t, matched, 25*questions, "the questions found something")
	require.Greater(t, older, 2*questions, "alarms from before the range too")
}
