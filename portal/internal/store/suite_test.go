package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

var topic = Topic{"alarm-audit", "one"}

// run runs a store until the test ends, or stop is called.
func run(tb testing.TB, o Options) (s *Store, stop func()) {
	tb.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	made, err := New(o)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it ends before the server does
	done := make(chan error, 1)
	go func() { done <- made.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(tb, <-done)
	})
	tb.Cleanup(stop)
	return made, stop
}

func open(tb testing.TB, o Options) (s *Store, stop func()) {
	tb.Helper()
	s, stop = run(tb, o)
	require.Eventually(tb, func() bool { return s.Up() == nil }, waitTimeout, time.Millisecond)
	_, err := s.Positions(tb.Context(), topic)
	require.NoError(tb, err)
	return s, stop
}

// suite are the tests of both databases. fresh returns an empty one.
func suite(t *testing.T, fresh func(t *testing.T) Options) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Options){
		"each record is there once":                          recordsOnce,
		"the newest record of an alarm counts":               newestRecordCounts,
		"questions to the trail are those of a plain scan":   trailQuestions,
		"questions to the journal are those of a plain scan": journalQuestions,
		"any text is kept and found":                         anyText,
		"any time is kept":                                   anyTime,
		"a topic that is made again is another one":          anotherTopic,
		"two portals write the same":                         twoPortals,
		"totals end at the limit":                            totalsEnd,
		"tables of a newer version are refused":              newerTables,
		"nothing of a failed write is there":                 failedWrite,
		"the order of changes decides":                       theOrderDecides,
		"questions to documents are those of a plain scan":   documentQuestions,
		"any text of a note is kept and found":               oddText,
		"the registry has every device":                      registryOfDevices,
		"the trail tells of devices that are gone":           registryOfTheTrail,
		"every figure of a report is the script's":           reportOfANight,
		"a report of a database of before is the same":       reportAfterAnUpgrade,
		"a report has every raise of an alarm":               reportOfRepeats,
		"what is past its retention goes":                    retention,
		"the security audit is there once":                   securityOnce,
		"questions to the security audit are a plain scan's": securityQuestions,
		"the alarms of rules are counted":                    countsOfRules,
		"people are kept":                                    peopleAreKept,
		"sessions end":                                       sessionsEnd,
		"places of people are known":                         placesAreKnown,
		"tokens end":                                         tokensEnd,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

// entry returns a record of the audit trail.
func entry(partition int32, offset, at int64, a telemetry.AuditEntry) Record {
	raw, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	e, err := audit.Parse(raw, partition, offset, at)
	if err != nil {
		panic(err)
	}
	return Record{Partition: partition, Offset: offset, Entry: e, Value: raw}
}

// alarmRecord returns a record of the alerts topic.
func alarmRecord(partition int32, offset int64, a telemetry.Alert) Record {
	raw, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	parsed, err := state.ParseAlert(raw)
	if err != nil {
		panic(err)
	}
	return Record{Partition: partition, Offset: offset, Alarm: parsed}
}

// ids of entries are their notes.
func ids(list []*audit.Entry) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.Note)
	}
	return out
}

func alarmIDs(list []*state.Alert) []string {
	out := []string{}
	for _, a := range list {
		out = append(out, a.AlertID)
	}
	return out
}

func everyEntry(t *testing.T, s *Store, q *TrailQuery) (all []*audit.Entry) {
	t.Helper()
	require.NoError(t, s.EachEntry(t.Context(), q, func(e *audit.Entry) error {
		all = append(all, e)
		return nil
	}))
	return all
}

func everyAlarm(t *testing.T, s *Store, q *JournalQuery) (all []*state.Alert) {
	t.Helper()
	require.NoError(t, s.EachAlarm(t.Context(), q, func(a *state.Alert) error {
		all = append(all, a)
		return nil
	}))
	return all
}

func recordsOnce(t *testing.T, o Options) {
	t.Helper()
	s, stop := open(t, o)
	positions, err := s.Positions(t.Context(), topic)
	require.NoError(t, err)
	require.Empty(t, positions)
	records := []Record{
		entry(0, 5, 100, telemetry.AuditEntry{Time: 90, DeviceID: "d1", Note: "a", Meta: &telemetry.DeviceMeta{Name: "pump"}}),
		entry(3, 7, 100, telemetry.AuditEntry{DeviceID: "d1", Note: "b"}),
		{Partition: 0, Offset: 6}, // malformed
		entry(0, 7, 99, telemetry.AuditEntry{DeviceID: "d2", Note: "c"}),
	}
	require.NoError(t, s.Write(t.Context(), topic, records))
	require.NoError(t, s.Write(t.Context(), topic, records))
	require.NoError(t, s.Write(t.Context(), topic, records[:1]), "an old position does not come back")
	for range 2 {
		positions, err = s.Positions(t.Context(), topic)
		require.NoError(t, err)
		require.Equal(t, map[int32]int64{0: 8, 3: 8}, positions)
		l, err := s.Trail(t.Context(), &TrailQuery{}, Page{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{"b", "a", "c"}, ids(l.Items))
		require.Equal(t, 3, l.Total)
		require.False(t, l.More)
		require.Equal(t, records[0].Entry.AuditEntry, l.Items[1].AuditEntry)
		require.EqualValues(t, 100, l.Items[1].RecordedAt)
		require.Equal(t, l.Items, everyEntry(t, s, &TrailQuery{}))
		stop()
		require.ErrorIs(t, s.Write(t.Context(), topic, records), ErrUnavailable)
		s, stop = open(t, o)
	}
}

func newestRecordCounts(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	alerts := Topic{"alerts", "x"}
	of := func(revision int64, status telemetry.AlertStatus) telemetry.Alert {
		return telemetry.Alert{
			AlertID: "a1", DeviceID: "d1", Revision: revision, Status: status, State: telemetry.AlarmUnacknowledged, RaisedAt: 10, Timestamp: 10 + revision,
			Message: fmt.Sprint("revision ", revision),
		}
	}
	check := func(message string) {
		t.Helper()
		a, err := s.Alarm(t.Context(), "a1")
		require.NoError(t, err)
		require.Equal(t, message, a.Message)
	}
	_, err := s.Positions(t.Context(), alerts)
	require.NoError(t, err)
	_, err = s.Alarm(t.Context(), "a1")
	require.ErrorIs(t, err, ErrUnknown)
	require.NoError(t, s.Write(t.Context(), alerts, []Record{alarmRecord(0, 1, of(2, telemetry.AlertActive)), alarmRecord(0, 2, of(1, telemetry.AlertActive))}))
	check("revision 2")
	require.NoError(t, s.Write(t.Context(), alerts, []Record{alarmRecord(0, 3, of(1, telemetry.AlertCleared))}))
	check("revision 2")
	cleared := of(3, telemetry.AlertCleared)
	cleared.ClearedAt = 500
	require.NoError(t, s.Write(t.Context(), alerts, []Record{alarmRecord(0, 4, cleared)}))
	check("revision 3")
	require.Empty(t, everyAlarm(t, s, &JournalQuery{From: 501}))
	require.Len(t, everyAlarm(t, s, &JournalQuery{From: 500}), 1)

	// The first version wrote no revisions.
	old := func(status, message string, at int64) Record {
		a, err := state.ParseAlert(fmt.Appendf(nil, `{"alert_id":"old","device_id":"d1","status":%q,"message":%q,"timestamp":%d}`, status, message, at))
		require.NoError(t, err)
		return Record{Alarm: a, Offset: at}
	}
	require.NoError(t, s.Write(t.Context(), alerts, []Record{old("active", "on", 10)}))
	require.NoError(t, s.Write(t.Context(), alerts, []Record{old("cleared", "off", 20)}))
	require.NoError(t, s.Write(t.Context(), alerts, []Record{old("active", "on", 10)}))
	a, err := s.Alarm(t.Context(), "old")
	require.NoError(t, err)
	require.Equal(t, "off", a.Message)
}

func anyText(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	odd := "a\x00'\"%_!?$1\u2028\U0001f600"
	require.NoError(t, s.Write(t.Context(), topic, []Record{
		entry(0, 1, 1, telemetry.AuditEntry{DeviceID: odd, By: odd, Building: odd, Note: "found"}),
		alarmRecord(0, 2, telemetry.Alert{AlertID: odd, DeviceID: odd, Revision: 1, State: telemetry.AlarmNormal, Message: "100 % of _ALL_", Location: telemetry.Location{Floor: 1 << 40}}),
	}))
	for _, q := range []TrailQuery{{Device: odd}, {By: odd}, {Building: odd, By: odd}} {
		require.Equal(t, []string{"found"}, ids(everyEntry(t, s, &q)))
	}
	a, err := s.Alarm(t.Context(), odd)
	require.NoError(t, err)
	require.Equal(t, odd, a.AlertID)
	for text, found := range map[string]int{"100 % of _all_": 1, "100 _": 0, "0 % o": 1, "%100%": 0, "a\x00'": 1, odd: 1} {
		require.Len(t, everyAlarm(t, s, &JournalQuery{Text: text}), found, text)
	}
}

func anyTime(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	var records []Record
	for i, at := range []int64{-1, 0, 946684799999, 946684800000, 1_700_000_000_000, 1_701_388_799_999, 1_701_388_800_000, 4102444800000, 1 << 60} {
		records = append(records, entry(0, int64(i), at, telemetry.AuditEntry{DeviceID: "d", Note: fmt.Sprint(i)}))
	}
	require.NoError(t, s.Write(t.Context(), topic, records))
	require.Equal(t, []string{"8", "7", "6", "5", "4", "3", "2", "1", "0"}, ids(everyEntry(t, s, &TrailQuery{})))
}

func anotherTopic(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	require.NoError(t, s.Write(t.Context(), topic, []Record{entry(0, 1, 1, telemetry.AuditEntry{DeviceID: "d", Note: "first"})}))
	again := Topic{topic.Name, "two"}
	require.ErrorIs(t, s.Write(t.Context(), again, nil), ErrStartOver)
	positions, err := s.Positions(t.Context(), again)
	require.NoError(t, err)
	require.Empty(t, positions)
	require.NoError(t, s.Write(t.Context(), again, []Record{entry(0, 1, 1, telemetry.AuditEntry{DeviceID: "d", Note: "second"})}))
	require.Equal(t, []string{"second", "first"}, ids(everyEntry(t, s, &TrailQuery{})))
	positions, err = s.Positions(t.Context(), Topic{topic.Name, "three"})
	require.NoError(t, err)
	require.Empty(t, positions)
}

func twoPortals(t *testing.T, o Options) {
	t.Helper()
	var group sync.WaitGroup
	const n = 4000
	for range 2 {
		s, _ := run(t, o) // at once
		group.Go(func() {
			for s.Up() != nil && lifecycle.Pause(t.Context(), time.Millisecond) {
				continue
			}
			if _, err := s.Positions(t.Context(), topic); err != nil {
				t.Error(err)
			}
			for from := 0; from < n; from += 100 {
				var records []Record
				for i := from; i < from+100; i++ {
					records = append(records, entry(0, int64(i), 1_700_000_000_000+int64(i)*3_600_000, telemetry.AuditEntry{DeviceID: "d", Note: fmt.Sprint(i)}))
				}
				for s.Write(t.Context(), topic, records) != nil && lifecycle.Pause(t.Context(), time.Millisecond) { // both made a month
					continue
				}
			}
		})
	}
	group.Wait()
	s, _ := open(t, o)
	all := everyEntry(t, s, &TrailQuery{})
	require.Len(t, all, n)
	for i, e := range all {
		require.Equal(t, fmt.Sprint(n-1-i), e.Note)
	}
}

func totalsEnd(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	for from := 0; from < Counted+2000; from += 1000 {
		var records []Record
		for i := from; i < from+1000; i++ {
			records = append(records, entry(0, int64(i), int64(i), telemetry.AuditEntry{DeviceID: "d", Note: fmt.Sprint(i)}))
		}
		require.NoError(t, s.Write(t.Context(), topic, records))
	}
	l, err := s.Trail(t.Context(), &TrailQuery{OldestFirst: true}, Page{Limit: 2, Offset: Counted - 1})
	require.NoError(t, err)
	require.Equal(t, List[*audit.Entry]{Items: l.Items, Total: Counted, More: true}, l)
	require.Equal(t, []string{"999", "1000"}, ids(l.Items))
	l, err = s.Trail(t.Context(), &TrailQuery{OldestFirst: true}, Page{Limit: 1000, Offset: 2500})
	require.NoError(t, err)
	require.Equal(t, List[*audit.Entry]{Items: l.Items, Total: Counted, More: true}, l)
	require.Equal(t, "2500", ids(l.Items)[0])
	require.Len(t, l.Items, 500, "pages go on behind what is counted")
	l, err = s.Trail(t.Context(), &TrailQuery{From: 2000}, Page{Limit: 1})
	require.NoError(t, err)
	require.False(t, l.More, "just as many as are counted")
	require.Equal(t, Counted, l.Total)
}

func newerTables(t *testing.T, o Options) {
	t.Helper()
	s, stop := open(t, o)
	_, err := s.opened().ExecContext(t.Context(), s.dialect.bind("insert into migrations (version_id, is_applied) values (?, ?)"), 99, true)
	require.NoError(t, err)
	stop()
	s, _ = run(t, o)
	require.Eventually(t, func() bool { return !errors.Is(s.Up(), errNotYet) }, waitTimeout, time.Millisecond)
	require.ErrorIs(t, s.Up(), errNewer)
	require.ErrorIs(t, s.Up(), ErrUnavailable)
}

func failedWrite(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	refuse(t, s)
	err := s.Write(t.Context(), topic, []Record{
		entry(0, 1, 1, telemetry.AuditEntry{DeviceID: "d"}), alarmRecord(0, 2, telemetry.Alert{AlertID: "poison", DeviceID: "poison"}),
	})
	require.ErrorIs(t, err, ErrRefused)
	require.NotErrorIs(t, err, ErrUnavailable)
	require.Empty(t, everyEntry(t, s, &TrailQuery{}))
	positions, err := s.Positions(t.Context(), topic)
	require.NoError(t, err)
	require.Empty(t, positions)
	require.NoError(t, s.Up())
}

// refuse makes the database refuse alarms of the device poison.
func refuse(t *testing.T, s *Store) {
	t.Helper()
	statement := "alter table alarms add constraint poison check (device <> 'poison')"
	if _, ok := s.dialect.(sqlite); ok {
		statement = "create trigger poison before insert on alarms when new.device = 'poison' begin select raise(abort, 'poison'); end"
	}
	_, err := s.opened().ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

func countsOfRules(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	alarms := []telemetry.Alert{
		{AlertID: "old", Rule: "hot", Severity: telemetry.SeverityHigh, RaisedAt: 100, Status: telemetry.AlertActive, State: telemetry.AlarmUnacknowledged},
		{AlertID: "a", Rule: "hot", Severity: telemetry.SeverityHigh, RaisedAt: 1000, Status: telemetry.AlertActive, State: telemetry.AlarmUnacknowledged},
		{AlertID: "b", Rule: "hot", Severity: telemetry.SeverityHigh, RaisedAt: 2000, Status: telemetry.AlertCleared, ClearedAt: 2500, State: telemetry.AlarmNormal},
		{AlertID: "c", Rule: "hot", Severity: telemetry.SeverityLow, RaisedAt: 3000, Status: telemetry.AlertActive, State: telemetry.AlarmAcknowledged},
	}
	records := make([]Record, len(alarms))
	for i, a := range alarms {
		a.DeviceID, a.AlertType, a.Revision = "d1", "hot", 1
		records[i] = alarmRecord(0, int64(i), a)
	}
	require.NoError(t, s.Write(t.Context(), topic, records))
	got, err := s.CountByRule(t.Context(), 1000)
	require.NoError(t, err)
	require.ElementsMatch(t, []RuleCount{
		{Rule: "hot", Severity: telemetry.SeverityHigh, Raised: 2, Standing: 1, Acknowledged: 1},
		{Rule: "hot", Severity: telemetry.SeverityLow, Raised: 1, Standing: 1, Acknowledged: 1},
	}, got)
}
