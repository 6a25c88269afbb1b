package notify

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// desk is an outbox with a webhook, on the test's own clock.
type desk struct {
	t   *testing.T
	b   *outbox
	w   *webhook
	cfg Config
	now time.Time
	off int64
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Now().Add(time.Hour), cfg: Config{
		GroupWait: 10 * time.Second, GroupInterval: time.Minute, RepeatInterval: 4 * time.Hour, MaxAlerts: 100, ResendInterval: time.Minute,
	}}
	d.b = newOutbox(1, []time.Duration{0})
	d.w = newWebhook(d.b, 0, &d.cfg)
	d.b.open(0, 0, false)
	d.b.start(0, d.now)
	return d
}

// apply applies records, one after the other.
func (d *desk) apply(alerts ...telemetry.Alert) {
	for _, a := range alerts {
		d.b.apply(0, a, d.off, d.now, d.now)
		d.off++
	}
}

// next moves the clock to the next message within a time and delivers it; nil if none.
func (d *desk) next(within time.Duration) *groupJSON {
	d.t.Helper()
	m := d.due(within)
	if m == nil {
		return nil
	}
	d.b.delivered(0, m.items, d.now)
	d.w.done(m, d.now)
	return d.read(m)
}

func (d *desk) due(within time.Duration) *message {
	d.t.Helper()
	m, at := d.w.plan(d.now)
	if m == nil && !at.IsZero() && !at.After(d.now.Add(within)) {
		d.now = at
		m, _ = d.w.plan(d.now)
		require.NotNil(d.t, m, "it is due at the planned time")
	}
	if m == nil {
		d.now = d.now.Add(within)
	}
	return m
}

func (d *desk) read(m *message) *groupJSON {
	d.t.Helper()
	var g groupJSON
	require.NoError(d.t, json.Unmarshal(m.body, &g))
	return &g
}

func statuses(g *groupJSON) map[string]string {
	out := map[string]string{}
	for _, a := range g.Alerts {
		out[a.Labels["device_id"]+" "+a.Labels["severity"]] = a.Status
	}
	return out
}

func (d *desk) position() int64 {
	d.t.Helper()
	at, ok := d.b.position(0, d.now)
	require.True(d.t, ok)
	return at
}

func TestFirstMessageWaitsForCompany(t *testing.T) {
	d := newDesk(t)
	d.apply(alarm("a", "temperature_high"))
	require.Nil(t, d.next(9*time.Second))
	b := alarm("b", "humidity_high")
	other := alarm("c", "humidity_high")
	other.Location.Building = "B栋"
	d.apply(b, other)
	g := d.next(time.Second)
	require.Equal(t, map[string]string{"a high": "firing", "b high": "firing"}, statuses(g))
	require.Equal(t, map[string]string{"building": "A栋"}, g.GroupLabels)
	require.Equal(t, `{}/{partition="0"}:{building="A栋"}`, g.GroupKey)
	require.Equal(t, "4", g.Version)
	require.Equal(t, map[string]string{"building": "A栋", "floor": "3", "room": "301", "gateway": "gw-a", "severity": "high", "source": "rule"}, g.CommonLabels)
	require.Equal(t, time.Time{}, g.Alerts[0].EndsAt, "as Alertmanager writes it while firing")

	g = d.next(10 * time.Second)
	require.Equal(t, map[string]string{"c high": "firing"}, statuses(g), "the other building has its own message")
}

func TestNewsOfAGroupFollowAtAnInterval(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	d.apply(alarm("b", "temperature_high"))
	require.Nil(t, d.next(59*time.Second))
	require.Equal(t, map[string]string{"a high": "firing", "b high": "firing"}, statuses(d.next(time.Second)), "a message lists all firing alarms")
	d.apply(cleared(a))
	g := d.next(time.Minute)
	require.Equal(t, map[string]string{"a high": "resolved", "b high": "firing"}, statuses(g))
	require.Equal(t, "firing", g.Status)
	require.Nil(t, d.next(3*time.Hour), "no news, no message")
}

func TestMessageIsRepeatedUntilAcknowledged(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	require.Nil(t, d.next(4*time.Hour-time.Second))
	require.Equal(t, map[string]string{"a high": "firing"}, statuses(d.next(time.Second)))
	d.apply(then(a, telemetry.EventAcknowledged, func(a *telemetry.Alert) { a.Ack = &telemetry.Ack{By: "op"} }))
	require.Nil(t, d.next(24*time.Hour))
}

func TestRaisedAndClearedUnseenIsSentOnce(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a, cleared(a))
	g := d.next(time.Minute)
	require.Equal(t, map[string]string{"a high": "resolved"}, statuses(g))
	require.Equal(t, "resolved", g.Status)
	require.Nil(t, d.next(24*time.Hour))
	require.EqualValues(t, 2, d.position())
	require.Empty(t, d.b.partitions[0].incidents, "it is forgotten")
}

func TestShelvedAndUnshelved(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	shelved := then(a, telemetry.EventShelved, func(a *telemetry.Alert) { a.Shelved = &telemetry.Shelved{By: "op", Until: 1} })
	d.apply(shelved)
	g := d.next(time.Minute)
	require.Equal(t, map[string]string{"a high": "resolved"}, statuses(g))
	require.Contains(t, g.Alerts[0].Annotations["resolved_because"], "shelved by op")
	d.apply(then(shelved, telemetry.EventUnshelved, func(a *telemetry.Alert) { a.Shelved = nil }))
	require.Equal(t, map[string]string{"a high": "firing"}, statuses(d.next(time.Minute)), "it still holds")
}

func TestSuppressedAlarmIsSentOnceUnsuppressed(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "device_offline")
	a.Suppressed = &telemetry.Suppressed{ByAlarm: "gateway_down"}
	b := a
	b.AlertID, b.DeviceID = "other", "b"
	d.apply(a, b, cleared(b))
	require.Nil(t, d.next(24*time.Hour))
	d.apply(then(a, telemetry.EventUnsuppressed, func(a *telemetry.Alert) { a.Suppressed = nil }))
	require.Equal(t, map[string]string{"a high": "firing"}, statuses(d.next(time.Minute)))
}

func TestAlarmShelvedBeforeItWasSentIsNeverSent(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a, then(a, telemetry.EventShelved, func(a *telemetry.Alert) { a.Shelved = &telemetry.Shelved{By: "op"} }))
	require.Nil(t, d.next(24*time.Hour))
	require.EqualValues(t, 2, d.position())
}

func TestEscalatedIsResolvedUnderItsOldSeverity(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	worse := then(a, telemetry.EventEscalated, func(a *telemetry.Alert) { a.Severity = telemetry.SeverityCritical })
	d.apply(worse)
	require.Equal(t, map[string]string{"a high": "resolved", "a critical": "firing"}, statuses(d.next(time.Minute)))
	d.apply(cleared(worse))
	require.Equal(t, map[string]string{"a critical": "resolved"}, statuses(d.next(time.Minute)))
}

func TestEscalatedAndClearedUnseenIsResolvedAsItWasSent(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	worse := then(a, telemetry.EventEscalated, func(a *telemetry.Alert) { a.Severity = telemetry.SeverityCritical })
	d.apply(worse, cleared(worse))
	require.Equal(t, map[string]string{"a high": "resolved"}, statuses(d.next(time.Minute)))
}

func TestRepeatedIsNewsUnlessItChatters(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	again := then(cleared(a), telemetry.EventRepeated, func(a *telemetry.Alert) { a.Status, a.ClearedAt, a.OccurrenceCount = telemetry.AlertActive, 0, 2 })
	d.apply(cleared(a), again)
	require.Equal(t, map[string]string{"a high": "firing"}, statuses(d.next(time.Minute)))
	d.apply(then(again, telemetry.EventRepeated, func(a *telemetry.Alert) { a.Chattering, a.OccurrenceCount = true, 3 }))
	require.Nil(t, d.next(time.Hour))
}

func TestSameRevisionIsSentOnce(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	d.apply(a, a)
	require.Nil(t, d.next(time.Hour))
}

func TestChangeDuringARequestIsSentNext(t *testing.T) {
	d := newDesk(t)
	a := alarm("a", "temperature_high")
	d.apply(a)
	m := d.due(time.Minute)
	d.apply(cleared(a))
	d.b.delivered(0, m.items, d.now)
	d.w.done(m, d.now)
	require.EqualValues(t, 1, d.position(), "the end was not sent")
	require.Equal(t, map[string]string{"a high": "resolved"}, statuses(d.next(time.Minute)))
	require.EqualValues(t, 2, d.position())
}

func TestPositionStaysAtTheOldestUnsentRecord(t *testing.T) {
	d := newDesk(t)
	d.apply(alarm("a", "temperature_high"))
	require.NotNil(t, d.next(time.Minute))
	b := alarm("b", "temperature_high")
	b.Location.Building = "B栋"
	d.apply(b, alarm("c", "temperature_high"), then(b, telemetry.EventCommented, nil))
	require.EqualValues(t, 1, d.position())
	require.Equal(t, "firing", statuses(d.next(time.Minute))["b high"])
	require.EqualValues(t, 2, d.position(), "c's group has to wait longer")
	require.NotNil(t, d.next(time.Minute))
	require.EqualValues(t, 4, d.position())
}

func TestFloodIsTruncatedAndCounted(t *testing.T) {
	d := newDesk(t)
	d.cfg.MaxAlerts = 5
	var flood []telemetry.Alert
	for i := range 20 {
		a := alarm(fmt.Sprintf("d%02d", i), "temperature_high")
		if i >= 18 {
			a.Severity = telemetry.SeverityCritical
		}
		flood = append(flood, a)
	}
	d.apply(flood...)
	g := d.next(time.Minute)
	require.Len(t, g.Alerts, 5)
	require.Equal(t, 15, g.TruncatedAlerts)
	require.Equal(t, "critical", g.Alerts[0].Labels["severity"], "the worst are named")
	require.Equal(t, "critical", g.Alerts[1].Labels["severity"])
	require.EqualValues(t, 20, d.position(), "all of them were sent, if only as a count")

	for _, a := range flood {
		d.apply(cleared(a))
	}
	resolved := map[string]bool{}
	for range 3 {
		if g := d.next(time.Minute); g != nil {
			require.Equal(t, "resolved", g.Status)
			for k := range statuses(g) {
				resolved[k] = true
			}
		}
	}
	for _, want := range []string{"d18 critical", "d19 critical", "d00 high", "d01 high", "d02 high"} {
		require.True(t, resolved[want], "what was named as firing is named as resolved: %v", resolved)
	}
	require.EqualValues(t, 40, d.position())
	require.Empty(t, d.b.partitions[0].incidents)
}

func TestOutageQueueIsBounded(t *testing.T) {
	d := newDesk(t)
	d.b.limit = 100
	d.b.full[0] = 100
	given := 0
	d.b.overflow = func(_, n int) { given += n }
	for i := range 1000 {
		a := alarm(fmt.Sprintf("d%03d", i), "temperature_high")
		d.apply(a, cleared(a))
		d.now = d.now.Add(time.Millisecond)
	}
	holds := alarm("holds", "temperature_high")
	d.apply(holds)
	waiting, _ := d.b.stats(0)
	require.LessOrEqual(t, waiting, 111)
	require.Equal(t, 1001, waiting+given, "dropped ones are counted")
	g := d.next(time.Minute)
	require.Equal(t, "firing", statuses(g)["holds high"])
	require.Equal(t, "resolved", statuses(g)["d999 high"], "the newest are kept")
}

func TestPastCountsAsSent(t *testing.T) {
	d := newDesk(t)
	d.b.open(1, 3, false)
	a, b := alarm("a", "temperature_high"), alarm("b", "temperature_high")
	for off, r := range []telemetry.Alert{a, b, cleared(b)} {
		d.b.apply(1, r, int64(off), d.now.Add(-time.Hour), d.now)
	}
	d.b.start(1, d.now)
	require.Len(t, d.b.partitions[1].incidents, 1)
	require.Nil(t, d.next(2*time.Hour+59*time.Minute), "it was sent when it was raised")
	g := d.next(time.Minute)
	require.Equal(t, map[string]string{"a high": "firing"}, statuses(g), "repeats keep their rhythm")
	d.b.apply(1, cleared(a), 3, d.now, d.now)
	require.Equal(t, map[string]string{"a high": "resolved"}, statuses(d.next(time.Minute)))
}

func TestFirstStartSendsStandingAlarms(t *testing.T) {
	d := newDesk(t)
	d.b.open(1, 3, true)
	a, b := alarm("a", "temperature_high"), alarm("b", "temperature_high")
	for off, r := range []telemetry.Alert{a, b, cleared(b)} {
		d.b.apply(1, r, int64(off), d.now.Add(-time.Hour), d.now)
	}
	d.b.start(1, d.now)
	require.Equal(t, map[string]string{"a high": "firing"}, statuses(d.next(time.Minute)))
	at, ok := d.b.position(1, d.now)
	require.True(t, ok)
	require.EqualValues(t, 3, at)
}

// TestRebalanceSendsNothingTwice: a partition goes and comes back with the position that
// was committed, which is behind much that was sent.
func TestRebalanceSendsNothingTwice(t *testing.T) {
	d := newDesk(t)
	stuck := alarm("stuck", "temperature_high")
	stuck.Location.Building = "B栋"
	a, b := alarm("a", "temperature_high"), alarm("b", "temperature_high")
	d.apply(a)
	require.NotNil(t, d.next(time.Minute))
	d.apply(stuck, b, cleared(b), cleared(a))
	d.now = d.now.Add(time.Hour)
	m := d.due(0)
	if d.read(m).GroupLabels["building"] == "B栋" { // its message fails, the other's does not
		d.w.failed(m, d.now)
		m = d.due(0)
	}
	d.b.drop(0) // while the message is under way
	d.b.delivered(0, m.items, d.now)
	d.w.done(m, d.now)

	d.b.nextAssignment()
	d.b.open(0, 1, false)
	for off, r := range []telemetry.Alert{a} {
		d.b.apply(0, r, int64(off), d.now, d.now)
	}
	d.b.start(0, d.now)
	for off, r := range []telemetry.Alert{stuck, b, cleared(b), cleared(a)} {
		d.b.apply(0, r, int64(off+1), d.now, d.now)
	}
	require.Equal(t, map[string]string{"stuck high": "firing"}, statuses(d.next(time.Hour)))
	require.Nil(t, d.next(time.Hour))
	require.EqualValues(t, 5, d.position())
}

func TestFailedGroupDoesNotHoldUpOthers(t *testing.T) {
	d := newDesk(t)
	b := alarm("b", "temperature_high")
	b.Location.Building = "B栋"
	d.apply(alarm("a", "temperature_high"), b)
	m := d.due(time.Minute)
	require.Equal(t, 1, d.w.failed(m, d.now))
	failed := d.read(m).GroupLabels["building"]
	require.NotEqual(t, failed, d.next(0).GroupLabels["building"])
	require.Nil(t, d.next(minBackoff/2-time.Millisecond), "no sooner than half the pause")
	require.Equal(t, failed, d.next(minBackoff).GroupLabels["building"])
}

func TestAlertmanagerGetsStandingAndEndedAlarmsAgain(t *testing.T) {
	d := newDesk(t)
	am := &alertmanager{b: d.b, o: 0, cfg: &d.cfg}
	d.b.keep[0] = keepResolved
	send := func() []alertJSON {
		t.Helper()
		m, _ := am.plan(d.now)
		if m == nil {
			return nil
		}
		d.b.delivered(0, m.items, d.now)
		am.done(m, d.now)
		var alerts []alertJSON
		require.NoError(t, json.Unmarshal(m.body, &alerts))
		return alerts
	}
	a := alarm("a", "temperature_high")
	d.apply(a)
	got := send()
	require.Len(t, got, 1, "at once")
	require.Equal(t, d.now.Add(4*time.Minute).UTC(), got[0].EndsAt)
	require.Empty(t, got[0].Status, "the API has no such field")
	require.Empty(t, send())
	_, next := am.plan(d.now)
	require.Equal(t, d.now.Add(time.Minute), next)
	d.now = next
	require.Len(t, send(), 1)

	d.apply(cleared(a))
	got = send()
	require.False(t, got[0].EndsAt.After(d.now))
	sent := 0
	for range 30 {
		d.now = d.now.Add(time.Minute)
		sent += len(send())
		d.position()
	}
	require.Equal(t, 14, sent, "a quarter of an hour long")
	require.Empty(t, d.b.partitions[0].incidents)
}
