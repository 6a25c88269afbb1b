package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

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
	require.Empty(t, g.p.dirty, "no client follows it")
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
	s := g.p.Open(&failing{}, ClientLimits{}, Caller{})
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
