package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// receive gives the model a reading whose fields after the timestamp are rest.
func (g *stage) receive(gateway string, e wire.FrameEntry, rest string) {
	g.tb.Helper()
	e.Payload = fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,%s}`, e.Device, e.Timestamp, rest)
	var fb wire.FrameBuilder
	fb.Reset(gateway)
	fb.Add(e)
	f, err := wire.OpenFrame(fb.Finish())
	require.NoError(g.tb, err)
	_, err = g.model.ApplyFrame(f)
	require.NoError(g.tb, err)
}

// sense is receive of a live reading from room 101.
func (g *stage) sense(id, sensors, info string) {
	g.tb.Helper()
	ms := g.now.UnixMilli()
	g.receive("gw-a", wire.FrameEntry{Device: id, Timestamp: ms, Received: ms},
		`"location":{"building":"A","floor":1,"room":"101"},"sensors":{`+sensors+`},"device_info":{`+info+`}`)
}

// follow opens a session, subscribes it and takes what it gets first.
func (g *stage) follow(topics ...string) (*Session, *fakeClient) {
	g.tb.Helper()
	s, c := g.open()
	list, err := json.Marshal(topics)
	require.NoError(g.tb, err)
	_, ok := s.Handle(fmt.Appendf(nil, `{"type":"subscribe","topics":%s}`, list))
	require.True(g.tb, ok)
	g.work()
	g.got(s)
	return s, c
}

// lines is got without the sum.
func (g *stage) lines(s *Session) []string {
	g.tb.Helper()
	lines, _ := g.got(s)
	return lines
}

func (g *stage) alarm(change func(*telemetry.Alert)) {
	g.tb.Helper()
	a := telemetry.Alert{
		AlertID: "a", DeviceID: "d", Severity: telemetry.SeverityHigh,
		Status: telemetry.AlertActive, State: telemetry.AlarmUnacknowledged, Timestamp: 1,
	}
	change(&a)
	raw, err := json.Marshal(a)
	require.NoError(g.tb, err)
	parsed, err := state.ParseAlert(raw)
	require.NoError(g.tb, err)
	g.model.ApplyAlert(parsed, true)
}

func TestSnapshotNeedsAScanYoungerThanAPeriodAndAHalf(t *testing.T) {
	for name, last := range map[string]func(*Publisher) int64{
		"fleet":              func(p *Publisher) int64 { return p.scanned },
		"building/A":         func(p *Publisher) int64 { return p.scanned },
		"sensor/temperature": func(p *Publisher) int64 { return p.decoded },
	} {
		g := newStage(t, Limits{})
		n, err := parseTopic(name)
		require.NoError(t, err)
		wanted := []*topic{g.p.newTopic(n)}
		start := g.p.model.Now()
		g.p.freshen(wanted, start)
		require.Equal(t, start, last(g.p), name)
		g.p.freshen(wanted, start+1499)
		require.Equal(t, start, last(g.p), name)
		g.p.freshen(wanted, start+1500)
		require.Equal(t, start+1500, last(g.p), name)
	}
}

func TestSnapshotsScanNoMoreThanTheyNeed(t *testing.T) {
	g := newStage(t, Limits{})
	now := g.p.model.Now()
	topicOf := func(k kind) []*topic { return []*topic{g.p.newTopic(topicName{kind: k})} }
	g.p.freshen(topicOf(kindStats), now)
	require.Zero(t, g.p.scanned, "figures need no scan")
	g.p.freshen(topicOf(kindFleet), now)
	require.Equal(t, now, g.p.scanned)
	require.Zero(t, g.p.decoded, "no reading is decoded for the fleet")
	require.Empty(t, g.p.tallies.by, "no building is counted for the fleet")
}

func TestBuildingIsCountedThoughTheFleetWasJustScanned(t *testing.T) {
	g := newStage(t, Limits{})
	g.read("d", 20, false)
	g.follow("fleet")
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["building/A"]}`))
	g.work()
	require.Contains(t, g.lines(s)[2], `"devices":1,"online":1`)
}

func TestSnapshotOfFiguresServesOthersForASecond(t *testing.T) {
	g := newStage(t, Limits{})
	g.follow("stats")
	first := g.p.topics["stats"].snapshot
	join := func() []string {
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["stats"]}`))
		return g.lines(s)
	}
	g.now = g.now.Add(999 * time.Millisecond)
	require.Len(t, join(), 3, "hello, ack and the snapshot at hand")
	g.now = g.now.Add(time.Millisecond)
	require.Len(t, join(), 2, "it waits for a new one")
	g.work()
	require.NotSame(t, first, g.p.topics["stats"].snapshot)
}

func TestSnapshotOfTheFleetServesOthersUntilItChanges(t *testing.T) {
	g := newStage(t, Limits{})
	g.follow("fleet")
	g.now = g.now.Add(time.Hour)
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	require.Len(t, g.lines(s), 3)
	g.read("d", 1, false)
	g.second()
	s, _ = g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	require.Len(t, g.lines(s), 2)
}

func TestQuotationsOfAClientAreCutAfter80Bytes(t *testing.T) {
	whole := strings.Repeat("x", 80)
	require.Equal(t, whole, cut(whole))
	require.Equal(t, whole+"…", cut(whole+"y"))
}

func TestIDOfUpTo64BytesComesBackALongerOneIsRefused(t *testing.T) {
	id := strings.Repeat("i", 64)
	for _, c := range []struct{ message, id, code string }{
		{`{"type":"ping","id":"` + id + `"}`, id, ""},
		{`{"type":"ping","id":"` + id + `i"}`, "", codeBadRequest},
		{`{"id":"` + id + `","type":1}`, id, codeBadRequest},
		{`{"id":"` + id + `i","type":1}`, "", codeBadRequest},
	} {
		r, err := parseRequest([]byte(c.message))
		require.Equal(t, c.id, r.ID)
		if c.code == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.code)
	}
}

func TestRefusalsNameTheirReason(t *testing.T) {
	for message, code := range map[string]string{
		`{`:                              codeBadJSON,
		`[]`:                             codeBadJSON,
		`{"type":1}`:                     codeBadRequest,
		`{}`:                             codeBadRequest,
		`{"type":"x"}`:                   codeUnknownType,
		`{"type":"subscribe"}`:           codeBadRequest,
		`{"type":"command"}`:             codeBadRequest,
		`{"type":"command","command":1}`: codeBadRequest,
		`{"type":"subscribe","topics":["device/ü"]}`: codeBadDevice,
		`{"type":"unsubscribe","topics":["x"]}`:      codeUnknownTopic,
	} {
		_, err := parseRequest([]byte(message))
		var r *RequestError
		require.ErrorAs(t, err, &r, message)
		require.Equal(t, code, r.Code, message)
	}
	r, err := parseRequest([]byte(`{"type":"subscribe","topics":["fleet","stats","fleet"]}`))
	require.NoError(t, err)
	require.Len(t, r.names, 2, "a topic counts once")
}

func TestDeviceIsStaleAfterThreeIntervalsAndAtLeastThreeSeconds(t *testing.T) {
	for interval, limit := range map[int64]int64{500: 3000, 2000: 6000, 1: 3000, 0: 60_000} {
		g := newStage(t, Limits{})
		g.model.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOnline, IntervalMS: interval})
		judge := func(now int64) (s cellState) {
			g.model.View(func() { s = g.p.stateOf(g.model.DeviceAt(0), now) })
			return s
		}
		require.Equal(t, stateOnline, judge(g.p.started+limit), interval)
		require.Equal(t, stateStale, judge(g.p.started+limit+1), interval)
	}
}

func TestPriorityIsThatOfTheWorstAlarm(t *testing.T) {
	g := newStage(t, Limits{})
	g.read("d", 1, false)
	for i, c := range []struct {
		severity telemetry.Severity
		priority int8
	}{
		{"odd", 4},
		{telemetry.SeverityLow, 4},
		{telemetry.SeverityMedium, 3},
		{telemetry.SeverityHigh, 2},
		{telemetry.SeverityCritical, 1},
	} {
		g.model.View(func() {
			_, alarms := g.p.attention(g.model.DeviceAt(0))
			require.Equal(t, i, alarms)
		})
		g.alarm(func(a *telemetry.Alert) { a.AlertID, a.Severity = string(c.severity), c.severity })
		g.model.View(func() {
			priority, alarms := g.p.attention(g.model.DeviceAt(0))
			require.Equal(t, c.priority, priority)
			require.Equal(t, i+1, alarms)
		})
	}
	g.model.View(func() {
		priority, _ := g.p.attention(&state.Device{ID: "calm"})
		require.Zero(t, priority)
	})
}

func TestFleetDeltaSaysWhatChanged(t *testing.T) {
	g := newStage(t, Limits{})
	at := func(floor int, model string) {
		g.model.ApplyState(telemetry.DeviceState{
			DeviceID: "d", Presence: telemetry.PresenceOnline, Gateway: "gw-a",
			Location: telemetry.Location{Building: "A", Floor: floor, Room: "101"}, Info: telemetry.DeviceInfo{Model: model},
		})
	}
	at(1, "")
	s, _ := g.follow("fleet")
	next := func(want string) {
		t.Helper()
		g.second()
		lines := g.lines(s)
		require.Len(t, lines, 1)
		require.True(t, strings.HasSuffix(lines[0], " "+want), lines[0])
	}
	at(-1, "")
	next(`{"devices":[[0,"d","A",-1,"101","","gw-a",1,0,0]]}`)
	at(-1, "m")
	next(`{"devices":[[0,"d","A",-1,"101","m","gw-a",1,0,0]]}`)
	ms := g.now.UnixMilli()
	g.receive("gw-b", wire.FrameEntry{Device: "d", Timestamp: ms, Received: ms, Backfill: true},
		`"location":{"building":"A","floor":-1,"room":"101"},"sensors":{},"device_info":{"model":"m"}`)
	next(`{"devices":[[0,"d","A",-1,"101","m","gw-b",1,0,0]]}`)
	g.alarm(func(*telemetry.Alert) {})
	next(`{"states":[[0,1,2,1]]}`)
	g.alarm(func(a *telemetry.Alert) { a.AlertID = "b" })
	next(`{"states":[[0,1,2,2]]}`)
	g.alarm(func(a *telemetry.Alert) { a.AlertID, a.Severity = "b", telemetry.SeverityCritical; a.Revision = 1 })
	next(`{"states":[[0,1,1,2]]}`)
	g.model.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOffline, Since: g.now.UnixMilli() + 1})
	next(`{"states":[[0,2,1,2]]}`)
	g.model.Forget("d")
	next(`{"states":[[0,4,0,0]]}`)
	g.second()
	require.Empty(t, g.lines(s), "it is gone once")
	fresh, _ := g.open()
	fresh.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	g.work()
	require.Contains(t, g.lines(fresh)[2], `{"devices":[]}`)
	g.model.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOnline})
	g.second()
	require.Contains(t, g.lines(s)[0], `{"devices":[[0,"d","A",-1,"101","m",`)
}

func TestSensorDeltaSaysWhatChanged(t *testing.T) {
	g := newStage(t, Limits{})
	topics := []string{"temperature", "humidity", "pressure", "current", "switch_status", "battery", "signal_strength"}
	all := make([]string, 0, len(topics))
	for _, n := range topics {
		all = append(all, "sensor/"+n)
	}
	s, _ := g.follow(all...)
	next := func() map[string]string {
		t.Helper()
		g.second()
		m := map[string]string{}
		for _, l := range g.lines(s) {
			name, data, _ := strings.Cut(strings.TrimPrefix(l, "delta sensor/"), " ")
			_, data, _ = strings.Cut(data, " ")
			m[name] = data
		}
		return m
	}
	g.sense("d", `"temperature":{"value":-1.5},"humidity":{"value":2},"pressure":{"value":3},"current":{"value":4},"switch_status":{"value":true}`,
		`"battery":55,"signal_strength":-70`)
	require.Equal(t, map[string]string{
		"temperature": `{"values":[[0,-1.5]]}`, "humidity": `{"values":[[0,2]]}`, "pressure": `{"values":[[0,3]]}`, "current": `{"values":[[0,4]]}`,
		"switch_status": `{"values":[[0,true]]}`, "battery": `{"values":[[0,55]]}`, "signal_strength": `{"values":[[0,-70]]}`,
	}, next())
	g.sense("d", `"temperature":{"value":-1.5},"pressure":{"value":3},"current":{"value":4},"switch_status":{"value":false}`, `"battery":55,"signal_strength":-70`)
	require.Equal(t, map[string]string{"humidity": `{"values":[[0,null]]}`, "switch_status": `{"values":[[0,false]]}`}, next())
	require.Empty(t, next(), "nothing new, nothing sent")
	ms := g.now.UnixMilli()
	g.receive("gw-a", wire.FrameEntry{Device: "d", Timestamp: ms, Received: ms}, `"sensors":{"temperature":{"value":7}}`)
	require.Empty(t, next(), "a reading that cannot be decoded changes nothing")
	g.sense("d", `"temperature":{"value":7}`, ``)
	ms = g.now.UnixMilli()
	changed := next()
	require.JSONEq(t, `{"values":[[0,7]]}`, changed["temperature"])
	require.JSONEq(t, `{"values":[[0,null]]}`, changed["battery"])
	g.receive("gw-a", wire.FrameEntry{Device: "d", Timestamp: ms, Received: ms + 1},
		`"location":{"building":"A","floor":1,"room":"101"},"sensors":{"temperature":{"value":8}}`)
	require.JSONEq(t, `{"values":[[0,8]]}`, next()["temperature"], "the same time, received later")
	g.model.Forget("d")
	require.JSONEq(t, `{"values":[[0,null]]}`, next()["temperature"])
	g.model.View(func() { require.True(t, math.IsNaN(g.p.cells[0].values[0])) })
	g.sense("d", `"temperature":{"value":8}`, ``)
	require.JSONEq(t, `{"values":[[0,8]]}`, next()["temperature"])
}

func TestScanReachesEveryDevice(t *testing.T) {
	for _, n := range []int{0, 1, scanStep - 1, scanStep, scanStep + 1, 2*scanStep + 500} {
		g := newStage(t, Limits{})
		for i := range n {
			g.model.ApplyState(telemetry.DeviceState{DeviceID: fmt.Sprint("d", i), Presence: telemetry.PresenceOnline})
		}
		g.p.scan(1, false)
		require.Len(t, g.p.changes.rows, n)
		require.Len(t, g.p.cells, n)
		g.p.scan(2, true)
		require.Empty(t, g.p.changes.rows)
		require.Equal(t, []int64{2, 2}, []int64{g.p.scanned, g.p.decoded})
	}
}

func TestBuildingCountsItsDevicesGatewaysMeansAndAlarms(t *testing.T) {
	g := newStage(t, Limits{})
	in := func(id, gateway string, p telemetry.Presence, building string) {
		g.model.ApplyState(telemetry.DeviceState{
			DeviceID: id, Presence: p, Gateway: gateway, IntervalMS: 1000, Location: telemetry.Location{Building: building},
		})
	}
	in("on", "gw-b", telemetry.PresenceOnline, "A")
	in("off", "gw-a", telemetry.PresenceOffline, "A")
	in("off2", "gw-a", telemetry.PresenceOffline, "A")
	in("new", "", "", "A")
	in("on2", "gw-c", telemetry.PresenceOnline, "B")
	g.model.ApplyWindows([]telemetry.Window{{
		Scope: "building", ID: "A", Parameter: "temperature", Start: g.now.UnixMilli() - 1000, WidthMS: 1000, Count: 4, Sum: 80, Min: 10, Max: 30,
	}})
	for i, change := range []func(*telemetry.Alert){
		func(a *telemetry.Alert) { a.DeviceID = "on" },
		func(a *telemetry.Alert) { a.DeviceID = "on2" },
		func(a *telemetry.Alert) { a.DeviceID, a.Location.Building = "on2", "A" }, // it moved since
		func(a *telemetry.Alert) { a.DeviceID = "nobody" },
		func(a *telemetry.Alert) { a.DeviceID, a.Shelved = "on", &telemetry.Shelved{} },
		func(a *telemetry.Alert) { a.DeviceID, a.Suppressed = "on", &telemetry.Suppressed{} },
		func(a *telemetry.Alert) { a.DeviceID, a.OutOfService = "on", &telemetry.OutOfService{} },
	} {
		g.alarm(func(a *telemetry.Alert) { change(a); a.AlertID = fmt.Sprint("a", i) })
	}
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["building/A"]}`))
	g.work()
	lines := g.lines(s)
	require.Equal(t, `snapshot building/A 0/0 {"devices":4,"online":1,"offline":2,"unknown":1,"alarms":2,`+
		`"means":{"temperature":{"mean":20,"min":10,"max":30,"count":4}},"gateways":["gw-a","gw-b"]}`, lines[2])
	g.second()
	require.Contains(t, g.lines(s)[0], `"devices":4,"online":1`, "each round counts from 0")
}

func TestStaleDeviceStillCountsAsOnlineInItsBuilding(t *testing.T) {
	g := newStage(t, Limits{})
	g.model.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOnline, IntervalMS: 1000, Location: telemetry.Location{Building: "A"}})
	g.now = g.now.Add(time.Minute)
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["building/A"]}`))
	g.work()
	require.Contains(t, g.lines(s)[2], `"devices":1,"online":1,"offline":0,"unknown":0`)
}

func TestBuildingsAreCountedOnlyWhileOneIsFollowed(t *testing.T) {
	g := newStage(t, Limits{})
	g.read("d", 1, false)
	g.follow("fleet")
	g.second()
	require.Empty(t, g.p.tallies.by)
	s, _ := g.follow("building/A")
	g.second()
	require.Len(t, g.p.tallies.by, 1)
	s.Close()
	g.second()
	require.Empty(t, g.p.tallies.by)
}

func TestOnlyAlarmsThatAreNotNormalAreOpen(t *testing.T) {
	for _, c := range []struct {
		alert telemetry.Alert
		open  bool
	}{
		{telemetry.Alert{State: telemetry.AlarmUnacknowledged}, true},
		{telemetry.Alert{State: telemetry.AlarmAcknowledged}, true},
		{telemetry.Alert{State: telemetry.AlarmReturned}, true},
		{telemetry.Alert{State: telemetry.AlarmNormal}, false},
		{telemetry.Alert{State: telemetry.AlarmUnacknowledged, Historical: true}, false},
		{telemetry.Alert{Status: telemetry.AlertActive}, true},
		{telemetry.Alert{Status: telemetry.AlertCleared}, false},
	} {
		require.Equal(t, c.open, isOpen(&state.Alert{Alert: c.alert}), "%+v", c.alert)
	}
}

func TestDeviceSnapshotShowsStateAndPriority(t *testing.T) {
	g := newStage(t, Limits{})
	g.alarm(func(*telemetry.Alert) {})
	g.model.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOffline, Gateway: "gw-z", Since: g.now.UnixMilli() + 1})
	require.JSONEq(t, `{"received":0,"backfill":false,"gateway":"gw-z","reading":null,"state":2,"priority":2}`, string(g.p.deviceSnapshot("d")))
	g.sense("d", `"temperature":{"value":1}`, ``)
	ms := g.now.UnixMilli()
	require.JSONEq(t, fmt.Sprintf(`{"received":%d,"backfill":false,"gateway":"gw-a","reading":{"device_id":"d","timestamp":%d,`+
		`"location":{"building":"A","floor":1,"room":"101"},"sensors":{"temperature":{"value":1}},"device_info":{}},"state":2,"priority":2}`, ms, ms),
		string(g.p.deviceSnapshot("d")))
	g.model.Forget("d")
	require.Contains(t, string(g.p.deviceSnapshot("d")), `"reading":null,"state":0,"priority":0}`)
}

func TestAlertSnapshotIsInTheOrderOfTimeThenID(t *testing.T) {
	g := newStage(t, Limits{})
	for _, c := range []struct {
		id string
		at int64
	}{{"c", 5}, {"b", 7}, {"a", 7}, {"d", 1}} {
		g.alarm(func(a *telemetry.Alert) { a.AlertID, a.Timestamp = c.id, c.at })
	}
	var v struct {
		Alerts []struct {
			ID string `json:"alert_id"`
		}
	}
	m := g.p.alertSnapshot()
	require.Len(t, m.parts, 1)
	require.NoError(t, json.Unmarshal(m.parts[0], &v))
	var ids []string
	for _, a := range v.Alerts {
		ids = append(ids, a.ID)
	}
	require.Equal(t, []string{"d", "c", "a", "b"}, ids)
	require.Equal(t, uint64(4), m.seq)
}

func TestAlertsOfARepeatedSubscriptionComeOnce(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("alerts")
	g.raise("a1", "d")
	s.Handle([]byte(`{"type":"subscribe","topics":["alerts"]}`))
	g.p.makeSnapshots()
	g.raise("a2", "d")
	g.work()
	lines := g.lines(s)
	require.Len(t, lines, 4)
	for i, want := range []string{"ack", "delta alerts 1/0", "snapshot alerts 1/0", "delta alerts 2/0"} {
		require.True(t, strings.HasPrefix(lines[i], want), lines[i])
	}
}

func TestResumeReachesBackToTheOldestAlertKept(t *testing.T) {
	g := newStage(t, Limits{Alerts: 3})
	for i := range 5 {
		g.raise(fmt.Sprint("a", i), "d")
	}
	resume := func(from int) []string {
		s, _ := g.open()
		s.Handle(fmt.Appendf(nil, `{"type":"subscribe","topics":["alerts"],"resume":{"epoch":%q,"seq":{"alerts":%d}}}`, g.p.Epoch(), from))
		g.work()
		return g.lines(s)
	}
	lines := resume(2)
	require.Len(t, lines, 5)
	require.Contains(t, lines[1], `{"alerts":true}`)
	require.Contains(t, lines[2], "delta alerts 3/0")
	lines = resume(1)
	require.Len(t, lines, 3)
	require.Contains(t, lines[1], `{"alerts":false}`)
	require.Contains(t, lines[2], "snapshot alerts 5/0")
}

func TestClientMayBeBehindByAllOfItsQueue(t *testing.T) {
	g := newStage(t, Limits{})
	_, c := g.follow("alerts")
	g.raise("a1", "d")
	g.p.limits.QueueBytes = 2 * len(g.p.alerts.log.after(0, 1).frame)
	g.raise("a2", "d")
	g.work()
	require.Empty(t, c.slow)
	g.raise("a3", "d")
	g.work()
	require.Contains(t, c.slow, "too slow")
}

func TestClientWhoseAlertsHaveLeftTheLogIsClosed(t *testing.T) {
	g := newStage(t, Limits{Alerts: 2})
	s, c := g.follow("alerts")
	for i := range 2 {
		g.raise(fmt.Sprint("a", i), "d")
	}
	g.p.wakeForAlerts()
	require.Len(t, g.lines(s), 2)
	require.Empty(t, c.slow)
	for i := range 3 {
		g.raise(fmt.Sprint("b", i), "d")
	}
	g.p.wakeForAlerts()
	require.Empty(t, g.lines(s))
	require.Contains(t, c.slow, "too slow")
}

func TestLogHoldsAsManyBytesAsItMay(t *testing.T) {
	var l deltaLog
	l.limit(10, 100)
	for seq := uint64(1); seq <= 5; seq++ {
		l.push(entry{seq: seq, frame: make([]byte, 20)})
	}
	require.Equal(t, 5, l.length())
	l.push(entry{seq: 6, frame: make([]byte, 1)})
	require.Equal(t, 5, l.length())
	require.Equal(t, uint64(2), l.first(6))
	l.push(entry{seq: 7, frame: make([]byte, 19)})
	require.Equal(t, 6, l.length(), "the bytes of the dropped ones count no more")
}

func TestPackerFillsMessagesToTheBound(t *testing.T) {
	fill := func(most int) (parts []string) {
		p := newPacker(most)
		p.add("a", []byte("1"))
		p.add("b", []byte("2"))
		for _, part := range p.finish("") {
			parts = append(parts, string(part))
		}
		return parts
	}
	const whole = `{"a":[1],"b":[2]}`
	require.Equal(t, []string{whole}, fill(len(whole)))
	require.Equal(t, []string{`{"a":[1]}`, `{"b":[2]}`}, fill(len(whole)-1))
}

func TestSnapshotInPartsNumbersThem(t *testing.T) {
	g := newStage(t, Limits{FrameBytes: 4096})
	for i := range 200 {
		g.read(fmt.Sprintf("device_%04d", i), 1, false)
	}
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	g.work()
	frames := g.p.topics["fleet"].snapshot.frames
	require.Greater(t, len(frames), 2)
	devices := 0
	for i, f := range frames {
		require.LessOrEqual(t, len(f), 4096)
		var m struct {
			Type        string
			Part, Parts int
			Data        struct{ Devices []json.RawMessage }
		}
		require.NoError(t, json.Unmarshal(body(f), &m))
		require.Equal(t, []int{i + 1, len(frames)}, []int{m.Part, m.Parts})
		devices += len(m.Data.Devices)
	}
	require.Equal(t, 200, devices)
	var first Batch
	require.True(t, s.Gather(&first, 1))
	s.Handle([]byte(`{"type":"unsubscribe","topics":["fleet"]}`))
	require.Equal(t, []string{acked, acked}, g.lines(s), "the rest of the snapshot is not sent")
}

func TestUnsubscribingInASnapshotDropsItsRest(t *testing.T) {
	g := newStage(t, Limits{FrameBytes: 4096})
	for i := range 200 {
		g.read(fmt.Sprintf("device_%04d", i), 1, false)
	}
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet","stats"]}`))
	g.work()
	for s.partsOf == nil {
		require.True(t, s.Gather(&Batch{}, 1))
	}
	s.Handle([]byte(`{"type":"unsubscribe","topics":["fleet"]}`))
	for _, l := range g.lines(s) {
		require.NotContains(t, l, "fleet")
	}
}

func TestLongestMessageFitsTheFrameAndALongerOneIsDropped(t *testing.T) {
	g := newStage(t, Limits{FrameBytes: 8192})
	g.follow("building/" + strings.Repeat("\x01", maxBuildingName))
	top := g.p.followed()[0]
	g.p.publish(top, math.MaxInt64, make([]byte, g.p.maxData()), 0)
	require.Equal(t, uint64(1), top.seq)
	require.LessOrEqual(t, len(top.log.after(0, 1).frame), 8192)
	g.p.publish(top, math.MaxInt64, make([]byte, g.p.maxData()+1), 0)
	require.Equal(t, uint64(1), top.seq)
}

func TestFollowedDevicesThatAreDueAllGetTheirReading(t *testing.T) {
	g := newStage(t, Limits{})
	const devices = 250
	var topics []string
	for i := range devices {
		topics = append(topics, fmt.Sprint("device/d", i))
	}
	s, _ := g.follow(topics...)
	for i := range devices {
		g.read(fmt.Sprint("d", i), 1, false)
		g.read(fmt.Sprint("d", i), 2, false)
	}
	require.Len(t, g.p.dirty, devices, "each is noted once")
	g.work()
	require.Empty(t, g.p.dirty)
	_, sum := g.got(s)
	require.Equal(t, devices, sum.Readings)
}

func TestDeviceIsSentAtOnceWhenTheClockWasPutBack(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("device/d")
	g.read("d", 1, false)
	g.work()
	require.Len(t, g.lines(s), 1)
	g.now = g.now.Add(-time.Hour)
	ms := g.now.UnixMilli()
	g.receive("gw-a", wire.FrameEntry{Device: "d", Timestamp: ms + 3_600_001, Received: ms}, `"sensors":{}`)
	g.work()
	require.Len(t, g.lines(s), 1)
}

func TestFleetGivesASignOfLifeWhenTheClockWasPutBack(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("fleet")
	g.now = g.now.Add(-time.Hour)
	g.second()
	require.Len(t, g.lines(s), 1)
}

func TestDeviceFollowedAgainGoesOnCounting(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("device/d", "device/other")
	for i := range 3 {
		g.now = g.now.Add(time.Second)
		g.read("d", float64(i), false)
		g.work()
		require.Len(t, g.lines(s), 1)
	}
	g.now = g.now.Add(time.Second)
	g.read("d", 9, false)
	s.Handle([]byte(`{"type":"unsubscribe","topics":["device/d"]}`))
	g.work()
	require.Equal(t, []string{acked}, g.lines(s))
	require.Empty(t, g.p.dirty)
	require.NotContains(t, g.p.devices, "d")
	g.now = g.now.Add(time.Second)
	g.read("d", 10, false)
	require.Empty(t, g.p.dirty, "nobody follows it")
	s.Handle([]byte(`{"type":"subscribe","topics":["device/d"]}`))
	g.work()
	lines := g.lines(s)
	require.Contains(t, lines[1], "snapshot device/d 3/0")
	g.now = g.now.Add(time.Second)
	g.read("d", 11, false)
	g.work()
	require.Contains(t, g.lines(s)[0], "delta device/d 4/0")
}

func TestTopicsUpToTheLimitMayBeFollowed(t *testing.T) {
	g := newStage(t, Limits{Topics: 2})
	s, _ := g.open()
	_, ok := s.Handle([]byte(`{"type":"subscribe","topics":["fleet","stats"]}`))
	require.True(t, ok)
	_, ok = s.Handle([]byte(`{"type":"subscribe","topics":["fleet","stats"]}`))
	require.True(t, ok, "these are followed already")
	cost, ok := s.Handle([]byte(`{"type":"subscribe","topics":["gateways"]}`))
	require.False(t, ok)
	require.InDelta(t, 0.01, cost, 0)
	require.Len(t, s.subs, 2)
	cost, ok = s.Handle([]byte(`{"type":"unsubscribe","topics":["fleet"]}`))
	require.True(t, ok)
	require.InDelta(t, 0.01, cost, 0, "leaving is cheap")
	_, ok = s.Handle([]byte(`{"type":"subscribe","topics":["gateways"]}`))
	require.True(t, ok)
}

func TestHelloNamesTheLimits(t *testing.T) {
	g := newStage(t, Limits{Topics: 7, FrameBytes: 9000})
	s, _ := g.open()
	var m map[string]any
	require.NoError(t, json.Unmarshal(body(s.replies[0]), &m))
	require.Len(t, m["session"], 16)
	delete(m, "session")
	require.Equal(t, map[string]any{
		"type": "hello", "epoch": g.p.Epoch(), "server_time": float64(g.now.UnixMilli()),
		"limits": map[string]any{"topics": 7., "message_bytes": 10., "messages_per_second": 5., "frame_bytes": 9000.},
	}, m)
	s.Handle([]byte(`{"type":"ping","id":"p"}`))
	require.JSONEq(t, fmt.Sprintf(`{"type":"pong","id":"p","server_time":%d}`, g.now.UnixMilli()), string(body(s.replies[1])))
}

// failing is a client whose commands fail.
type failing struct{ fakeClient }

func (*failing) Command(json.RawMessage, func(any)) error { return errors.New("secret") }

func TestInternalErrorsAreHiddenFromClients(t *testing.T) {
	g := newStage(t, Limits{})
	s := g.p.Open(&failing{}, ClientLimits{})
	_, ok := s.Handle([]byte(`{"type":"command","id":"c","command":{}}`))
	require.False(t, ok)
	require.Contains(t, string(s.replies[1]), `"id":"c","code":"internal"`)
	require.NotContains(t, string(s.replies[1]), "secret")
}

func TestFiguresThatAreMissingOrBrokenAreStillJSON(t *testing.T) {
	p := newTestPublisher(t, state.New(state.Options{}))
	require.Equal(t, "{}", string(p.figures(kindStats)))
	require.Equal(t, "{}", string(p.figures(kindGateways)))
	require.Equal(t, "null", string(p.encode(make(chan int))))
	require.Contains(t, string(replyFrame(make(chan int))), `"code":"internal"`)
}

func TestClosedSessionHoldsNothing(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("alerts", "stats", "device/d")
	s.Handle([]byte(`{"type":"ping"}`))
	g.second()
	s.Close()
	require.Empty(t, s.replies)
	require.Empty(t, s.subs)
	require.Empty(t, s.fifo)
	require.Nil(t, s.alerts)
	require.Empty(t, g.p.alerts.subs)
	require.Empty(t, g.p.devices)
	s.Handle([]byte(`{"type":"ping"}`))
	s.Handle([]byte(`{"type":"unsubscribe","topics":["stats"]}`))
	require.Empty(t, g.lines(s))
}

func TestFiguresCountNeitherAsReadingsNorAsAlerts(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("stats", "gateways", "building/A", "fleet", "sensor/temperature")
	g.read("d", 1, false)
	g.second()
	lines, sum := g.got(s)
	require.NotEmpty(t, lines)
	require.Zero(t, sum.Readings)
	require.Zero(t, sum.Alerts)
	require.Empty(t, sum.Received)
}

func TestClosingAClientLeavesEachOtherInItsPlace(t *testing.T) {
	g := newStage(t, Limits{})
	var all []*Session
	for range 4 {
		s, _ := g.follow("stats")
		all = append(all, s)
	}
	for _, i := range []int{0, 3, 1, 2} {
		all[i].Close()
		subs := g.p.topics["stats"].subs
		for place, sub := range subs {
			require.Equal(t, place, sub.place)
			require.False(t, sub.gone)
		}
	}
	require.Empty(t, g.p.topics["stats"].subs)
}

func TestRunPublishesWhatIsDueUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newStage(t, Limits{})
		g.model = state.New(state.Options{})
		g.p = newTestPublisher(t, g.model)
		ran := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ran <- g.p.Run(ctx) }()
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["stats","device/d","alerts"]}`))
		synctest.Wait()
		require.Len(t, g.lines(s), 5)
		<-time.After(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"delta stats 1/0 {}"}, g.lines(s))
		read := func(v float64) { g.now = time.Now(); g.read("d", v, false); synctest.Wait() }
		read(1)
		require.Contains(t, g.lines(s)[0], "delta device/d 1/0")
		<-time.After(40 * time.Millisecond)
		read(2)
		require.Empty(t, g.lines(s))
		<-time.After(59 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, g.lines(s))
		<-time.After(time.Millisecond)
		synctest.Wait()
		require.Contains(t, g.lines(s)[0], "delta device/d 2/0")
		g.raise("a", "d")
		synctest.Wait()
		require.Contains(t, g.lines(s)[0], "delta alerts 1/0")
		cancel()
		require.NoError(t, <-ran)
	})
}

func TestNumbersAreDecimal(t *testing.T) {
	g := newStage(t, Limits{FrameBytes: 4096})
	for i := range 12 {
		g.model.ApplyState(telemetry.DeviceState{DeviceID: fmt.Sprint("d", i), Presence: telemetry.PresenceOnline})
	}
	g.now = g.now.Add(time.Second)
	ms := g.now.UnixMilli()
	g.receive("gw-a", wire.FrameEntry{Device: "d11", Timestamp: ms, Received: ms},
		`"location":{"building":"A","floor":11,"room":"101"},"sensors":{"temperature":{"value":11.5}}`)
	for i := range 11 {
		g.alarm(func(a *telemetry.Alert) { a.AlertID, a.DeviceID = fmt.Sprint("a", i), "d11" })
	}
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet","sensor/temperature"]}`))
	g.work()
	lines := g.lines(s)
	require.Contains(t, lines[2], `,[11,"d11","A",11,"101","","gw-a",1,2,11]]`)
	require.Contains(t, lines[3], `[[11,11.5]]`)
	g.alarm(func(a *telemetry.Alert) { a.AlertID, a.DeviceID = "b", "d11" })
	g.second()
	require.Contains(t, g.lines(s)[0], `{"states":[[11,1,2,12]]}`)
	top := g.p.topics["fleet"]
	require.Contains(t, string(deltaFrame(top, 11, 12, []byte("1"))), `"seq":11,"ts":12,"data":1}`)
	require.Contains(t, string(laggedFrame(top, 13)), `"dropped":13}`)
	parts := snapshotFrames(top, 1, 2, make([][]byte, 12))
	require.Contains(t, string(parts[10]), `"part":11,"parts":12`)
}

func TestSnapshotThatManyWaitForIsMadeOnce(t *testing.T) {
	g := newStage(t, Limits{})
	var all []*Session
	for range 3 {
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["stats"]}`))
		all = append(all, s)
	}
	require.Len(t, g.p.wanted, 1)
	g.work()
	require.Equal(t, uint64(1), g.p.topics["stats"].made)
	for _, s := range all {
		require.Len(t, g.lines(s), 3)
	}
	g.now = g.now.Add(time.Hour)
	all[0].Handle([]byte(`{"type":"subscribe","topics":["stats"]}`))
	require.Len(t, g.p.wanted, 1, "a later request is noted again")
}

func TestFramesAreCountedByKindOfTopic(t *testing.T) {
	g := newStage(t, Limits{})
	reg := prometheus.NewRegistry()
	m, err := newMetrics(reg)
	require.NoError(t, err)
	g.p.metrics = m
	s, _ := g.follow("fleet", "stats")
	for i := range stateDeltas + 2 {
		g.read(fmt.Sprint("d", i), 1, false)
		g.second()
	}
	g.got(s)
	g.p.publish(g.p.topics["stats"], 1, make([]byte, g.p.maxData()+1), 0)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, v := range f.GetMetric() {
			name := strings.TrimSuffix(strings.TrimPrefix(f.GetName(), "portal_dashboard_"), "_total")
			for _, l := range v.GetLabel() {
				name += " " + l.GetValue()
			}
			if n := v.GetCounter().GetValue(); n != 0 && !strings.HasPrefix(name, "bytes") {
				got[name] = n
			}
		}
	}
	require.Equal(t, map[string]float64{
		"frames reply": 2, "frames fleet": 2, "frames stats": 3, "oversized": 1,
		"lagged fleet": 1, "lagged stats": 1, "dropped fleet": stateDeltas + 2, "dropped stats": stateDeltas + 1,
	}, got)
	_, err = newMetrics(reg)
	require.Error(t, err, "registered already")
}

func TestTopicThatDidNotFitWaitsOnceHoweverMuchComes(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("stats", "gateways")
	g.second()
	require.True(t, s.Gather(&Batch{}, 1))
	for range 3 {
		g.second()
	}
	require.LessOrEqual(t, len(s.fifo), 2)
	require.NotEmpty(t, g.lines(s))
}

func TestSecondReadingOfTheSameMillisecondWaits(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("device/d")
	g.read("d", 1, false)
	g.work()
	require.Len(t, g.lines(s), 1)
	g.read("d", 2, false)
	require.Equal(t, 100*time.Millisecond, g.p.sendDevices())
	require.Empty(t, g.lines(s))
}

func TestClientUpToEightDeltasBehindGetsThemAll(t *testing.T) {
	for behind, want := range map[int]int{stateDeltas: stateDeltas, stateDeltas + 1: 1} {
		g := newStage(t, Limits{})
		s, _ := g.follow("fleet")
		for i := range behind {
			g.read(fmt.Sprint("d", i), 1, false)
			g.second()
		}
		lines := g.lines(s)
		require.Len(t, lines, want)
		require.Equal(t, behind > stateDeltas, strings.HasPrefix(lines[0], "lagged"))
	}
}

func TestSecondScanOfAMillisecondGivesNoSignOfLife(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("fleet")
	g.read("d", 1, false)
	g.second()
	require.Len(t, g.lines(s), 1)
	g.p.scanAndPublish(g.now.UnixMilli(), true)
	require.Empty(t, g.lines(s))
}

// oneByOne gathers with room for one frame at a time and returns the first message of each
// batch: type, topic, seq.
func (g *stage) oneByOne(s *Session) (lines []string) {
	g.tb.Helper()
	for more := true; more; {
		var b Batch
		more = s.Gather(&b, 1)
		if len(b.Buf) == 0 {
			continue
		}
		var m struct {
			Type, Topic string
			Seq         uint64
		}
		require.NoError(g.tb, json.Unmarshal(body(b.Buf), &m))
		lines = append(lines, fmt.Sprint(m.Type, " ", m.Topic, " ", m.Seq))
	}
	return lines
}

func TestAlertsKeepTheirOrderWhenThereIsLittleRoom(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("alerts")
	g.raise("a1", "d")
	g.raise("a2", "d")
	s.Handle([]byte(`{"type":"subscribe","topics":["alerts"]}`))
	g.p.makeSnapshots()
	g.raise("a3", "d")
	g.work()
	require.Equal(t, []string{"ack  0", "delta alerts 1", "delta alerts 2", "snapshot alerts 2", "delta alerts 3"}, g.oneByOne(s))
}

func TestAlertsOvertakeWhatElseWaits(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("stats", "alerts", "gateways")
	g.second()
	g.raise("a1", "d")
	g.work()
	lines := g.oneByOne(s)
	require.Len(t, lines, 3)
	require.Equal(t, "delta alerts 1", lines[0])
}

func TestCommandResultCannotReplaceTheRequestsID(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.answer("8", map[string]any{"id": "other", "type": "other", "b": 1, "a": 2})
	require.Equal(t, `{"type":"command_result","id":"8","a":2,"b":1}`, string(body(s.replies[1]))) //nolint:testifylint // JSONEq would take the last of two ids
}

func TestAcksNameTheTopicsAskedFor(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","id":"1","topics":["fleet","stats","fleet"]}`))
	s.Handle([]byte(`{"type":"unsubscribe","id":"2","topics":["stats","gateways"]}`))
	require.JSONEq(t, `{"type":"ack","id":"1","topics":["fleet","stats"]}`, string(body(s.replies[1])))
	require.JSONEq(t, `{"type":"ack","id":"2","topics":["stats","gateways"]}`, string(body(s.replies[2])))
}

func TestBatchThatIsExactlyFullTakesNoMore(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"ping"}`))
	var b Batch
	hello := s.replies[0]
	require.True(t, s.Gather(&b, len(hello)))
	require.Equal(t, hello, b.Buf)
	require.False(t, s.Gather(&b, len(hello)+1))
	require.Greater(t, len(b.Buf), len(hello))
}
