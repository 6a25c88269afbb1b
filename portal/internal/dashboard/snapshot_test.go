package dashboard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

func TestSnapshotNeedsAScanYoungerThanAPeriodAndAHalf(t *testing.T) {
	for name, last := range map[string]func(*Publisher) int64{
		"fleet":              func(p *Publisher) int64 { return p.scanned },
		"building/A":         func(p *Publisher) int64 { return p.scanned },
		"sensor/temperature": func(p *Publisher) int64 { return p.decoded },
	} {
		g := newStage(t, Limits{})
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["` + name + `"]}`))
		wanted := []*topic{g.p.topics[name]}
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
		require.Equal(t, i, g.signs("d").alarms)
		g.alarm(func(a *telemetry.Alert) { a.AlertID, a.Severity = string(c.severity), c.severity })
		require.Equal(t, signs{priority: c.priority, alarms: i + 1}, g.signs("d"))
	}
	require.Zero(t, g.signs("calm"))
}

func (g *stage) signs(device string) (s signs) {
	g.model.View(func() { s = g.p.signsOf(&state.Device{ID: device}) })
	return s
}

func TestWhatHoldsIsToldFromWhatIsOver(t *testing.T) {
	g := newStage(t, Limits{})
	g.read("d", 1, false)
	for _, c := range []struct {
		id       string
		severity telemetry.Severity
		change   func(*telemetry.Alert)
		want     signs
	}{
		{"over", telemetry.SeverityHigh, func(a *telemetry.Alert) { a.State, a.Status = telemetry.AlarmReturned, telemetry.AlertCleared }, signs{over: 2}},
		{"shelved", telemetry.SeverityCritical, func(a *telemetry.Alert) { a.Shelved = &telemetry.Shelved{Until: 1} }, signs{over: 2}},
		{"holds", telemetry.SeverityLow, func(*telemetry.Alert) {}, signs{priority: 4, alarms: 1, over: 2}},
		{"acknowledged", telemetry.SeverityMedium, func(a *telemetry.Alert) { a.State = telemetry.AlarmAcknowledged }, signs{priority: 3, alarms: 2, over: 2}},
		{"worse and over", telemetry.SeverityCritical, func(a *telemetry.Alert) { a.State, a.Status = telemetry.AlarmReturned, telemetry.AlertCleared }, signs{priority: 3, alarms: 2, over: 1}},
	} {
		g.alarm(func(a *telemetry.Alert) {
			a.AlertID, a.Severity = c.id, c.severity
			c.change(a)
		})
		require.Equal(t, c.want, g.signs("d"), c.id)
	}
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
	next(`{"devices":[[0,"d","A",-1,"101","","gw-a",1,0,0,"",[],0]]}`)
	at(-1, "m")
	next(`{"devices":[[0,"d","A",-1,"101","m","gw-a",1,0,0,"",[],0]]}`)
	g.model.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d", Name: "东泵", Tags: []string{"pump", "a\"b"}, Revision: 1})
	next(`{"devices":[[0,"d","A",-1,"101","m","gw-a",1,0,0,"东泵",["pump","a\"b"],0]]}`)
	g.model.ForgetMeta("d")
	next(`{"devices":[[0,"d","A",-1,"101","m","gw-a",1,0,0,"",[],0]]}`)
	ms := g.now.UnixMilli()
	g.receive("gw-b", wire.FrameEntry{Device: "d", Timestamp: ms, Received: ms, Backfill: true},
		`"location":{"building":"A","floor":-1,"room":"101"},"sensors":{},"device_info":{"model":"m"}`)
	next(`{"devices":[[0,"d","A",-1,"101","m","gw-b",1,0,0,"",[],0]]}`)
	g.alarm(func(*telemetry.Alert) {})
	next(`{"states":[[0,1,2,1,0]]}`)
	g.alarm(func(a *telemetry.Alert) { a.AlertID = "b" })
	next(`{"states":[[0,1,2,2,0]]}`)
	g.alarm(func(a *telemetry.Alert) { a.AlertID, a.Severity = "b", telemetry.SeverityCritical; a.Revision = 1 })
	next(`{"states":[[0,1,1,2,0]]}`)
	g.model.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOffline, Since: g.now.UnixMilli() + 1})
	next(`{"states":[[0,2,1,2,0]]}`)
	g.model.Remove("d", 0)
	next(`{"states":[[0,4,0,0,0]]}`)
	g.second()
	require.Empty(t, g.lines(s), "it is gone once")
	fresh, _ := g.open()
	fresh.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	g.work()
	require.Contains(t, g.lines(fresh)[2], `{"devices":[]}`)
	g.model.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOnline})
	g.second()
	require.Contains(t, g.lines(s)[0], `{"devices":[[0,"d","",0,"","",`, "it is a new one")
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
	g.model.Remove("d", 0)
	require.JSONEq(t, `{"values":[[0,null]]}`, next()["temperature"])
	require.Zero(t, g.p.columns.all["temperature"].held)
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
		func(a *telemetry.Alert) { a.DeviceID = "missing" },
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
	const none = `,"name":"","description":"","tags":[],"revision":0,"interval_ms":0}`
	require.JSONEq(t, `{"received":0,"time":0,"clock_offset_ms":0,"backfill":false,"gateway":"gw-z","reading":null,"state":2,"priority":2`+none, string(g.p.deviceSnapshot("d")))
	g.sense("d", `"temperature":{"value":1}`, ``)
	ms := g.now.UnixMilli()
	require.JSONEq(t, fmt.Sprintf(`{"received":%d,"time":%d,"clock_offset_ms":0,"backfill":false,"gateway":"gw-a","reading":{"device_id":"d","timestamp":%d,`+
		`"location":{"building":"A","floor":1,"room":"101"},"sensors":{"temperature":{"value":1}},"device_info":{}},"state":2,"priority":2`+none, ms, ms, ms),
		string(g.p.deviceSnapshot("d")))
	g.receive("gw-a", wire.FrameEntry{Device: "d", Timestamp: ms, Received: ms, ClockOffset: -3_600_000},
		`"location":{"building":"A"},"sensors":{"co2":{"value":[]}},"device_info":{"firmware":12}`)
	g.model.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d", Name: "东泵", Description: "by the\nriver", Tags: []string{"pump"}, Revision: 3})
	require.JSONEq(t, fmt.Sprintf(`{"received":%d,"time":%d,"clock_offset_ms":-3600000,"backfill":false,"gateway":"gw-a","flaws":["sensors.co2.value","device_info.firmware"],"reading":{"device_id":"d","timestamp":%d,`+
		`"location":{"building":"A"},"sensors":{"co2":{"value":[]}},"device_info":{"firmware":12}},"state":2,"priority":2,`+
		`"name":"东泵","description":"by the\nriver","tags":["pump"],"revision":3,"interval_ms":0}`, ms, ms, ms), string(g.p.deviceSnapshot("d")))
	g.model.Remove("d", 0)
	require.Contains(t, string(g.p.deviceSnapshot("d")), `"reading":null,"state":4,"priority":0,`)
}

// TestMaintenanceIsInRowAndSnapshot as long as it lasts.
func TestMaintenanceIsInRowAndSnapshot(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("d", `"temperature":{"value":1}`, ``)
	until := g.now.UnixMilli() + 60_000
	g.model.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d", Maintenance: &telemetry.Maintenance{By: "李工", At: 1, Until: until, Reason: "\"x\""}})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	g.work()
	lines, _ := g.got(s)
	require.Contains(t, lines[len(lines)-1], fmt.Sprintf(`"",[],0,%d]]`, until))
	require.Contains(t, string(g.p.deviceSnapshot("d")), fmt.Sprintf(`,"maintenance":{"by":"李工","at":1,"until":%d,"reason":"\"x\""}}`, until))
	g.model.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d"})
	g.second()
	lines, _ = g.got(s)
	require.Contains(t, lines[len(lines)-1], `"",[],0]]`, "the row without it")
	require.NotContains(t, string(g.p.deviceSnapshot("d")), "maintenance")
}
