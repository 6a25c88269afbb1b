package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/metadata"
)

var kept = Topic{"portal-metadata", "one"}

// changed returns a record of the portal-metadata topic.
func changed(t *testing.T, offset int64, change, id string, version int64, by string, doc metadata.Document) Record {
	t.Helper()
	c, err := metadata.New(id, doc)
	require.NoError(t, err)
	c.ID, c.Version, c.By, c.At = change, version, by, 1000+offset
	return Record{Offset: offset, Change: c}
}

func view(name, owner string) *metadata.View {
	v := &metadata.View{Scope: metadata.Scope{Name: name, Scope: metadata.ScopeShared, Owner: owner}, Page: "alarms", Query: "q=" + name}
	if owner != "" {
		v.Scope.Scope = metadata.ScopeOwn
	}
	return v
}

func shiftNote(text, replaces string) *metadata.ShiftNote {
	return &metadata.ShiftNote{Building: "A栋", ShiftStart: 5000, Text: text, Replaces: replaces}
}

func (s *Store) outcomes(t *testing.T, changes ...string) (out []Outcome) {
	t.Helper()
	for _, c := range changes {
		o, err := s.Outcome(t.Context(), c)
		require.NoError(t, err)
		out = append(out, o)
	}
	return out
}

func docIDs(l List[*Document]) []string {
	out := []string{}
	for _, d := range l.Items {
		out = append(out, d.ID)
	}
	return out
}

// theOrderDecides writes what two portals wrote at the same time, and then all of it again as another one
// does, and as one does that starts from an empty database.
func theOrderDecides(t *testing.T, o Options) {
	t.Helper()
	s, stop := open(t, o)
	_, err := s.Positions(t.Context(), kept)
	require.NoError(t, err)
	records := []Record{
		changed(t, 0, "c0", "v1", 1, "李工", view("a", "")),
		changed(t, 1, "c1", "v1", 2, "王工", view("b", "")),
		changed(t, 2, "c2", "v1", 2, "Zhang", view("c", "")), // it had seen version 1
		changed(t, 3, "c3", "v2", 1, "Zhang", view("b", "")), // a name that is taken
		changed(t, 4, "c4", "v3", 1, "Zhang", view("b", "Zhang")),
		changed(t, 5, "c5", "n1", 1, "李工", shiftNote("pmup 3", "")),
		changed(t, 6, "c6", "n2", 1, "李工", shiftNote("pump 3", "n1")),
		changed(t, 7, "c7", "n3", 1, "王工", shiftNote("pump 4", "n1")), // it was corrected
		changed(t, 8, "c5", "n9", 1, "李工", shiftNote("the same change under another id", "")),
		changed(t, 8, "c8", "v3", 9, "李工", shiftNote("a note is not a view", "")),
	}
	gone := changed(t, 9, "c9", "v1", 3, "王工", view("b", ""))
	gone.Change.Deleted = true
	records = append(records, gone, changed(t, 10, "c10", "v4", 1, "Zhang", view("b", "")), // free again
		changed(t, 11, "c11", "v5", 7, "李工", view("a", ""))) // what came before it is lost
	check := func() {
		t.Helper()
		require.Equal(t, []Outcome{"conflict"}, s.outcomes(t, "c8"))
		require.Equal(t, []Outcome{"applied", "applied", "conflict", "name_taken", "applied", "applied", "applied", "replaced", "applied", "applied", "applied", ""},
			s.outcomes(t, "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c9", "c10", "c11", "c12"))
		l, err := s.Documents(t.Context(), &DocumentQuery{Kind: metadata.KindView, ByName: true}, Page{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{"v5", "v4", "v3"}, docIDs(l))
		d, err := s.Document(t.Context(), metadata.KindView, "v1")
		require.NoError(t, err)
		require.Equal(t, &Document{
			ID: "v1", Kind: metadata.KindView, Version: 3, CreatedAt: 1000, CreatedBy: "李工", ChangedAt: 1009, ChangedBy: "王工", Deleted: true, Doc: view("b", ""),
		}, d)
		h, err := s.Changes(t.Context(), metadata.KindView, "v1", Page{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []*Change{{3, 1009, "王工", true, view("b", "")}, {2, 1001, "王工", false, view("b", "")}, {1, 1000, "李工", false, view("a", "")}}, h.Items)
		l, err = s.Documents(t.Context(), &DocumentQuery{Kind: metadata.KindShiftNote}, Page{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{"n2", "n1"}, docIDs(l))
		require.Equal(t, "n2", l.Items[1].ReplacedBy)
		_, err = s.Document(t.Context(), metadata.KindShiftNote, "n9")
		require.ErrorIs(t, err, ErrNoDocument)
	}
	require.NoError(t, s.Write(t.Context(), kept, records[:5]))
	require.NoError(t, s.Write(t.Context(), kept, records[3:]))
	check()
	require.NoError(t, s.Write(t.Context(), kept, records))
	check()
	stop()
	s, _ = open(t, o)
	check()
	again := Topic{"portal-metadata", "another"} // its records come to the old ones
	_, err = s.Positions(t.Context(), again)
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), again, []Record{
		changed(t, 0, "x0", "v1", 2, "late", view("late", "")), changed(t, 1, "x1", "v4", 2, "李工", view("z", "")),
	}))
	require.Equal(t, []Outcome{"conflict", "applied"}, s.outcomes(t, "x0", "x1"))
}

func documentQuestions(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	_, err := s.Positions(t.Context(), kept)
	require.NoError(t, err)
	const n = 1200 // more than a step of an export
	var records []Record
	for i := range int64(n) {
		note := &metadata.ShiftNote{Building: []string{"A栋", "B栋", ""}[i%3], ShiftStart: 10_000 + i/4, Text: fmt.Sprintf("note %d 100%% of_it!", i), Priority: i%5 == 0}
		records = append(records, changed(t, i, fmt.Sprint("c", i), fmt.Sprintf("n%04d", i), 1, []string{"李工", "Zhang"}[i%2], note))
	}
	require.NoError(t, s.Write(t.Context(), kept, records))
	for name, c := range map[string]struct {
		q    DocumentQuery
		want func(i int64) bool
	}{
		"all":      {DocumentQuery{}, func(int64) bool { return true }},
		"building": {DocumentQuery{Subject: "B栋"}, func(i int64) bool { return i%3 == 1 }},
		"author":   {DocumentQuery{Author: "Zhang"}, func(i int64) bool { return i%2 == 1 }},
		"priority": {DocumentQuery{Priority: true, Current: true}, func(i int64) bool { return i%5 == 0 }},
		"time":     {DocumentQuery{From: 10_010, To: 10_012}, func(i int64) bool { return i >= 40 && i < 48 }},
		"any case": {DocumentQuery{Text: "note 77 100% of_it!"}, func(i int64) bool { return i == 77 }},
		"wildcard": {DocumentQuery{Text: "%"}, func(int64) bool { return true }},
		"none":     {DocumentQuery{Text: "_____"}, func(int64) bool { return false }},
		"by name":  {DocumentQuery{Text: "zhang", Subject: "A栋"}, func(i int64) bool { return i%2 == 1 && i%3 == 0 }},
	} {
		c.q.Kind = metadata.KindShiftNote
		want := []string{}
		for i := int64(n - 1); i >= 0; i-- {
			if c.want(i) {
				want = append(want, fmt.Sprintf("n%04d", i))
			}
		}
		l, err := s.Documents(t.Context(), &c.q, Page{Limit: 10, Offset: 3})
		require.NoError(t, err, name)
		require.Equal(t, want[min(3, len(want)):min(13, len(want))], docIDs(l), name)
		require.Equal(t, min(len(want), Counted), l.Total, name)
		got := []string{}
		require.NoError(t, s.EachDocument(t.Context(), &c.q, func(d *Document) error {
			got = append(got, d.ID)
			return nil
		}))
		require.Equal(t, want, got, name)
	}
}

func removal(offset, at int64, device, by string) Record {
	e := telemetry.AuditEntry{DeviceID: device, Building: "A栋", By: by, Action: telemetry.ActionRemove, Outcome: telemetry.OutcomeApplied}
	if by == "" {
		e.Action, e.Outcome = "", telemetry.OutcomeForgotten
	}
	return entry(0, offset, at, e)
}

func registryOfDevices(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	require.NoError(t, s.LoadRegistry(t.Context()))
	var all []Device
	for i := range int64(1500) {
		all = append(all, Device{ID: fmt.Sprintf("d%04d", i), Building: []string{"A栋", "B栋"}[i%2], Room: fmt.Sprint("r", i), Model: "M1", FirstSeen: 100 + i, SeenAt: 5000 + i, Tags: []string{"pump"}})
	}
	for part := range slices.Chunk(all, 500) {
		require.False(t, s.Registered(&part[0]))
		require.NoError(t, s.Register(t.Context(), part))
	}
	require.True(t, s.Registered(&all[7]))
	later := all[7]
	later.SeenAt += 1000
	require.True(t, s.Registered(&later), "that it was seen is written once a day")
	later.SeenAt += dayMS
	require.False(t, s.Registered(&later))
	later = all[7]
	later.Name = "东侧循环泵"
	require.False(t, s.Registered(&later))
	require.NoError(t, s.Register(t.Context(), []Device{later}))
	all[7] = later
	_, err := s.Positions(t.Context(), kept)
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), kept, []Record{
		changed(t, 0, "f0", metadata.FactsID("d0008"), 1, "李工", &metadata.Facts{DeviceID: "d0008", Place: "Pump House", ExpectedIntervalS: 5}),
	}))
	all[8].Place, all[8].ExpectedIntervalS = "Pump House", 5
	require.NoError(t, s.Register(t.Context(), all[8:9]), "what operators wrote stays")
	require.NoError(t, s.Write(t.Context(), topic, []Record{removal(0, 9000, "d0001", "李工"), removal(1, 9001, "d0002", ""), removal(2, 100, "d0003", "too early")}))
	all[1].RemovedAt, all[1].RemovedBy, all[2].RemovedAt = 9000, "李工", 9001
	require.False(t, s.Registered(&all[1]), "it is written again if it is still there")
	require.NoError(t, s.Register(t.Context(), []Device{all[1]}))
	yes, no := true, false
	for name, c := range map[string]struct {
		q    RegistryQuery
		want func(i int) bool
	}{
		"all": {RegistryQuery{}, func(int) bool { return true }}, "building": {RegistryQuery{Building: "B栋"}, func(i int) bool { return i%2 == 1 }},
		"removed": {RegistryQuery{Removed: &yes}, func(i int) bool { return i == 1 || i == 2 }}, "there": {RegistryQuery{Removed: &no}, func(i int) bool { return i != 1 && i != 2 }},
		"place": {RegistryQuery{Text: "pump h"}, func(i int) bool { return i == 8 }}, "name": {RegistryQuery{Text: "循环"}, func(i int) bool { return i == 7 }},
		"tag": {RegistryQuery{Text: "pump"}, func(int) bool { return true }}, "before": {RegistryQuery{To: 110}, func(i int) bool { return i < 10 }},
		"after": {RegistryQuery{From: 9001}, func(i int) bool { return i != 1 }},
	} {
		var want, got []string
		for i := range all {
			if c.want(i) {
				want = append(want, all[i].ID)
			}
		}
		l, err := s.Devices(t.Context(), &c.q, Page{Limit: 5})
		require.NoError(t, err, name)
		require.Equal(t, min(len(want), Counted), l.Total, name)
		require.NoError(t, s.EachDevice(t.Context(), &c.q, func(d *Device) error {
			got = append(got, d.ID)
			n, err := strconv.Atoi(d.ID[1:])
			require.NoError(t, err)
			require.Equal(t, all[n], *d)
			return nil
		}))
		require.Equal(t, want, got, name)
	}
	all[1].SeenAt = 9500 // it is back
	require.NoError(t, s.Register(t.Context(), []Device{all[1]}))
	d, err := s.Device(t.Context(), "d0001")
	require.NoError(t, err)
	require.Zero(t, d.RemovedAt)
	require.NoError(t, s.Write(t.Context(), topic, []Record{removal(0, 9000, "d0001", "李工")}), "the old removal again")
	d, err = s.Device(t.Context(), "d0001")
	require.NoError(t, err)
	require.Zero(t, d.RemovedAt)
	require.Empty(t, d.RemovedBy)
	_, err = s.Device(t.Context(), "nobody")
	require.ErrorIs(t, err, ErrNoDocument)
}

// registryOfTheTrail has a database that is filled from Kafka alone.
func registryOfTheTrail(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	described := telemetry.AuditEntry{
		DeviceID: "d1", Building: "A栋", By: "李工", Action: telemetry.ActionDescribe, Outcome: telemetry.OutcomeApplied,
		Meta: &telemetry.DeviceMeta{DeviceID: "d1", Name: "pump", Tags: []string{"x"}, Revision: 2, By: "李工", At: 400},
	}
	require.NoError(t, s.Write(t.Context(), topic, []Record{entry(0, 0, 401, described), removal(1, 900, "d1", "王工"), removal(2, 950, "d2", "")}))
	described.Meta = &telemetry.DeviceMeta{Name: "older", At: 300}
	require.NoError(t, s.Write(t.Context(), topic, []Record{entry(0, 3, 960, described)}))
	l, err := s.Devices(t.Context(), &RegistryQuery{}, Page{Limit: 5})
	require.NoError(t, err)
	require.Equal(t, []*Device{
		{ID: "d1", Name: "pump", Tags: []string{"x"}, Building: "A栋", FirstSeen: 401, DescribedAt: 400, DescribedBy: "李工", RemovedAt: 900, RemovedBy: "王工"},
		{ID: "d2", Tags: []string{}, Building: "A栋", FirstSeen: 950, RemovedAt: 950},
	}, l.Items)
}

// counted returns the value of a counter.
func counted(t *testing.T, reg *prometheus.Registry, name, result string) int {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == result {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	require.Fail(t, "no such metric", name)
	return 0
}

func retention(t *testing.T, o Options) {
	t.Helper()
	const month = 31 * dayMS
	now := time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC)
	reg := prometheus.NewRegistry()
	o.Registry = reg
	s, _ := open(t, o) // everything is written by a portal that keeps it for ever
	var records []Record
	for i := range int64(1400) {
		records = append(records, entry(0, i, now.UnixMilli()-i*dayMS/2, telemetry.AuditEntry{DeviceID: "d", Note: fmt.Sprint(i)}))
	}
	records = append(records, entry(0, 1400, 5, telemetry.AuditEntry{DeviceID: "d", Note: "of no month"}))
	alarm := func(offset int64, id string, raised, ended int64, state telemetry.AlarmState) Record {
		a := telemetry.Alert{AlertID: id, DeviceID: "d", Revision: 1, Status: telemetry.AlertActive, State: state, RaisedAt: raised, Timestamp: raised}
		if ended != 0 {
			a.Status, a.ClearedAt, a.Timestamp, a.Revision = telemetry.AlertCleared, ended, ended, 2
		}
		return alarmRecord(0, offset, a)
	}
	old := now.UnixMilli() - 20*month
	for i := range int64(1200) {
		records = append(records, alarm(2000+i, fmt.Sprintf("old%04d", i), old+i, old+i+10, telemetry.AlarmNormal))
	}
	records = append(records, alarm(4000, "active", old, 0, telemetry.AlarmUnacknowledged), alarm(4001, "unseen", old, old+5, telemetry.AlarmReturned),
		alarm(4002, "long", old, now.UnixMilli()-1000, telemetry.AlarmNormal), alarm(4003, "new", now.UnixMilli()-1000, now.UnixMilli(), telemetry.AlarmNormal))
	for part := range slices.Chunk(records, 500) {
		require.NoError(t, s.Write(t.Context(), topic, part))
	}
	require.NoError(t, s.Write(t.Context(), topic, []Record{removal(4100, old, "gone", "李工")}))
	_, err := s.Positions(t.Context(), kept)
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), kept, []Record{changed(t, 0, "c", "n", 1, "李工", shiftNote("kept", ""))}))
	s.retention = 365 * 24 * time.Hour
	cut := now.Add(-s.retention).UnixMilli()
	require.NoError(t, s.Trim(t.Context(), now))
	require.NoError(t, s.Trim(t.Context(), now), "once more")
	entries := everyEntry(t, s, &TrailQuery{})
	oldest := entries[len(entries)-1].RecordedAt
	if o.Path != "" {
		require.Equal(t, cut, oldest, "to the row")
	} else {
		require.Equal(t, time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), oldest, "the month in which the time is stays")
	}
	require.Equal(t, 1402-len(entries), counted(t, reg, "portal_store_deleted_total", "audit"))
	require.Len(t, entries, int((now.UnixMilli()-oldest)*2/dayMS)+1)
	require.Equal(t, 1200, counted(t, reg, "portal_store_deleted_total", "alarm"))
	ids := alarmIDs(everyAlarm(t, s, &JournalQuery{}))
	slices.Sort(ids)
	require.Equal(t, []string{"active", "long", "new", "unseen"}, ids)
	l, err := s.Documents(t.Context(), &DocumentQuery{Kind: metadata.KindShiftNote}, Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 1, l.Total)
	_, err = s.Device(t.Context(), "gone")
	require.NoError(t, err)

	// Kafka has the old ones still: those that are read again are not written again.
	s.retention = time.Since(time.UnixMilli(cut))
	require.NoError(t, s.Write(t.Context(), topic, slices.Concat(records[1390:1401], records[1401:1411])))
	require.Len(t, everyEntry(t, s, &TrailQuery{}), len(entries))
	require.Len(t, everyAlarm(t, s, &JournalQuery{}), 4)
	require.NoError(t, s.Write(t.Context(), topic, []Record{alarm(4200, "unseen too", old, old+5, telemetry.AlarmReturned)}))
	require.Len(t, everyAlarm(t, s, &JournalQuery{}), 5, "an operator has to look at it")
	require.Zero(t, counted(t, reg, "portal_store_records_total", "refused"))
	// A month that was dropped can come again, as after a longer retention was set.
	s.retention = 0
	require.NoError(t, s.Write(t.Context(), topic, records[1390:1400]))
	clear(s.months) // another portal, or this one later
	require.NoError(t, s.Write(t.Context(), topic, records[1380:1400]))
	require.Len(t, everyEntry(t, s, &TrailQuery{}), len(entries)+20)
}

func oddText(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	_, err := s.Positions(t.Context(), kept)
	require.NoError(t, err)
	for i, odd := range []string{`'; drop table documents; --`, "a\nb\tc", "温度\U0001F600", strings.Repeat("长", 1365), `<script>`, `"quoted" \ %_!`} {
		id := fmt.Sprint("n", i)
		require.NoError(t, s.Write(t.Context(), kept, []Record{changed(t, int64(i), fmt.Sprint("c", i), id, 1, "李工", shiftNote(odd, ""))}))
		l, err := s.Documents(t.Context(), &DocumentQuery{Kind: metadata.KindShiftNote, Text: strings.ToLower(odd)}, Page{Limit: 5})
		require.NoError(t, err)
		require.Equal(t, []string{id}, docIDs(l))
		require.Equal(t, shiftNote(odd, ""), l.Items[0].Doc)
	}
}
