package dashboard

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// stage is a publisher driven by hand, with a clock.
type stage struct {
	tb    testing.TB
	now   time.Time
	model *state.Model
	p     *Publisher
}

func newStage(tb testing.TB, l Limits) *stage {
	tb.Helper()
	g := &stage{tb: tb, now: time.UnixMilli(1_700_000_000_000)}
	g.model = state.New(state.Options{Now: func() time.Time { return g.now }})
	var err error
	g.p, err = New(Options{
		Model: g.model, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Limits: l,
		Stats: func() any { return map[string]int{"n": 1} }, Gateways: func() any { return []string{"gw"} },
	})
	require.NoError(tb, err)
	return g
}

// second is one round of Run.
func (g *stage) second() {
	g.now = g.now.Add(time.Second)
	g.p.everySecond()
	g.work()
}

func (g *stage) work() {
	g.p.wakeForAlerts()
	g.p.makeSnapshots()
	g.p.sendDevices()
}

func (g *stage) read(id string, temperature float64, backfill bool) {
	g.tb.Helper()
	ms := g.now.UnixMilli()
	g.apply(wire.FrameEntry{Device: id, Timestamp: ms, Received: ms - 5, Backfill: backfill, Payload: fmt.Appendf(nil,
		`{"device_id":%q,"timestamp":%d,"location":{"building":"A","floor":1,"room":"101"},"sensors":{"temperature":{"value":%g}}}`, id, ms, temperature)})
}

func (g *stage) raise(id, device string) {
	g.tb.Helper()
	raw, err := json.Marshal(telemetry.Alert{AlertID: id, DeviceID: device, Severity: telemetry.SeverityHigh, Status: telemetry.AlertActive, Timestamp: 1})
	require.NoError(g.tb, err)
	a, err := state.ParseAlert(raw)
	require.NoError(g.tb, err)
	g.model.ApplyAlert(a, true)
}

func (g *stage) open() (*Session, *fakeClient) {
	c := &fakeClient{}
	return g.p.Open(c, ClientLimits{MessageBytes: 10, MessagesPerSecond: 5}, Caller{}), c
}

// got gathers everything and returns it, a line per message: type topic seq data.
func (g *stage) got(s *Session) (lines []string, sum Batch) {
	g.tb.Helper()
	for more := true; more; {
		b := Batch{}
		more = s.Gather(&b, 1<<20)
		buf := append(b.Buf, b.Shared...)
		for len(buf) > 0 {
			n, head := int(buf[1]), 2
			switch n {
			case 126:
				n, head = int(binary.BigEndian.Uint16(buf[2:])), 4
			case 127:
				n, head = int(binary.BigEndian.Uint64(buf[2:])), 10
			}
			var m struct {
				Type, Topic, Code string
				Seq, Dropped      uint64
				Data, Recovered   json.RawMessage
			}
			require.NoError(g.tb, json.Unmarshal(buf[head:head+n], &m))
			lines = append(lines, line(m.Type, m.Topic+m.Code, m.Seq, m.Dropped, string(m.Recovered)+string(m.Data)))
			buf = buf[head+n:]
		}
		sum.Received, sum.Readings, sum.Alerts = append(sum.Received, b.Received...), sum.Readings+b.Readings, sum.Alerts+b.Alerts
	}
	return lines, sum
}

const acked = "ack  0/0 "

func line(kind, topic string, seq, dropped uint64, data string) string {
	return fmt.Sprintf("%s %s %d/%d %s", kind, topic, seq, dropped, data)
}

func TestEachTopicFromSnapshotToDelta(t *testing.T) {
	const row = `[0,"d","A",1,"101","","gw-a",1,0,0,"",[],0]`
	for _, c := range []struct {
		topic    string
		snapshot string
		delta    []string
	}{
		{"fleet", `{"devices":[` + row + `]}`, []string{`{"states":[[0,1,2,1,0]]}`}},
		{"sensor/temperature", `{"values":[[0,20]]}`, []string{`{"values":[[0,21]]}`}},
		{"sensor/humidity", `{"values":[]}`, nil},
		{"stats", `{"n":1}`, []string{`{"n":1}`}},
		{"gateways", `["gw"]`, []string{`["gw"]`}},
		{
			"building/A",
			`{"devices":1,"online":1,"offline":0,"unknown":0,"alarms":0,"means":{},"gateways":["gw-a"]}`,
			[]string{`{"devices":1,"online":1,"offline":0,"unknown":0,"alarms":1,"means":{},"gateways":["gw-a"]}`},
		},
		{"building/B", `{"devices":0,"online":0,"offline":0,"unknown":0,"alarms":0,"means":{},"gateways":[]}`, nil},
	} {
		t.Run(c.topic, func(t *testing.T) {
			g := newStage(t, Limits{})
			g.read("d", 20, false)
			s, client := g.open()
			cost, ok := s.Handle([]byte(`{"type":"subscribe","topics":["` + c.topic + `"]}`))
			require.True(t, ok)
			require.InDelta(t, map[bool]float64{true: 5, false: 0.01}[c.topic == "fleet" || c.topic[:3] == "sen"], cost, 0)
			g.work()
			lines, _ := g.got(s)
			base := uint64(0)
			if c.topic == "fleet" || c.topic[:3] == "sen" {
				base = 1 // the scan that the snapshot is made from is published
			}
			require.Equal(t, []string{line("hello", "", 0, 0, ""), acked, line("snapshot", c.topic, base, 0, c.snapshot)}, lines)
			g.raise("a", "d")
			g.now = g.now.Add(time.Second)
			g.read("d", 21, false)
			woken := client.woken
			g.second()
			lines, _ = g.got(s)
			var want []string
			for i, d := range c.delta {
				want = append(want, line("delta", c.topic, base+uint64(i)+1, 0, d))
			}
			require.Equal(t, want, lines)
			if want != nil {
				require.Greater(t, client.woken, woken)
			}
			s.Handle([]byte(`{"type":"unsubscribe","topics":["` + c.topic + `"]}`))
			g.second()
			lines, _ = g.got(s)
			require.Equal(t, []string{acked}, lines)
			require.Empty(t, g.p.followed())
		})
	}
}

func TestDeviceTopicSendsNewestReadingAtItsPace(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["device/d"]}`))
	g.work()
	lines, _ := g.got(s)
	require.Equal(t, `snapshot device/d 0/0 {"received":0,"time":0,"clock_offset_ms":0,"backfill":false,"gateway":"","reading":null,"state":4,"priority":0,"name":"","description":"","tags":[],"revision":0,"interval_ms":0}`, lines[2])
	send := func(v float64, backfill bool) { g.read("d", v, backfill); g.work() }
	send(1, false)
	g.now = g.now.Add(50 * time.Millisecond)
	send(2, false) // too soon, and replaced by the next
	g.now = g.now.Add(49 * time.Millisecond)
	send(3, false)
	lines, sum := g.got(s)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `"value":1}`)
	require.Equal(t, []int64{1_700_000_000_000 - 5}, sum.Received)
	require.Equal(t, 1, sum.Readings)
	require.Equal(t, time.Millisecond, g.p.sendDevices(), "when the next is due")
	g.now = g.now.Add(time.Millisecond)
	g.work()
	lines, _ = g.got(s)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "delta device/d 2/0")
	require.Contains(t, lines[0], `"value":3}`)
	g.now = g.now.Add(time.Second)
	send(4, true)
	lines, sum = g.got(s)
	require.Contains(t, lines[0], `"backfill":true`)
	require.Empty(t, sum.Received, "backfill has no delivery time")
	require.Equal(t, 1, sum.Readings)
}

func TestAlertsComeInOrderAndResumeOnlyInTheSameEpoch(t *testing.T) {
	g := newStage(t, Limits{})
	g.raise("a0", "d")
	s, _ := g.open()
	cost, _ := s.Handle([]byte(`{"type":"subscribe","topics":["alerts"]}`))
	require.InDelta(t, 5, cost, 0)
	g.work()
	lines, _ := g.got(s)
	require.Len(t, lines, 3)
	require.Contains(t, lines[2], "snapshot alerts 1/0")
	for i := range 3 {
		g.raise(fmt.Sprint("a", i+1), "d")
	}
	g.work()
	lines, sum := g.got(s)
	require.Equal(t, 3, sum.Alerts)
	for i, l := range lines {
		require.Contains(t, l, fmt.Sprintf("delta alerts %d/0", i+2))
	}
	for _, c := range []struct {
		resume string
		want   []string // starts of the lines after hello
	}{
		{fmt.Sprintf(`{"epoch":%q,"seq":{"alerts":2}}`, g.p.Epoch()), []string{`ack  0/0 {"alerts":true}`, "delta alerts 3/0", "delta alerts 4/0"}},
		{fmt.Sprintf(`{"epoch":%q,"seq":{"alerts":4}}`, g.p.Epoch()), []string{`ack  0/0 {"alerts":true}`}},
		{fmt.Sprintf(`{"epoch":%q,"seq":{"alerts":5}}`, g.p.Epoch()), []string{`ack  0/0 {"alerts":false}`, "snapshot alerts 4/0"}},
		{`{"epoch":"other","seq":{"alerts":2}}`, []string{`ack  0/0 {"alerts":false}`, "snapshot alerts 4/0"}},
	} {
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["alerts"],"resume":` + c.resume + `}`))
		g.work()
		lines, _ := g.got(s)
		require.Len(t, lines, 1+len(c.want), c.resume)
		for i, w := range c.want {
			require.Contains(t, lines[1+i], w)
		}
	}
	fleet, _ := g.open()
	fleet.Handle(fmt.Appendf(nil, `{"type":"subscribe","topics":["fleet"],"resume":{"epoch":%q,"seq":{"fleet":0}}}`, g.p.Epoch()))
	lines, _ = g.got(fleet)
	require.Equal(t, `ack  0/0 {"fleet":false}`, lines[1], "only alerts resume")
}

func TestClientBehindInAlertsIsClosed(t *testing.T) {
	g := newStage(t, Limits{QueueBytes: 1000})
	s, c := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["alerts"]}`))
	g.work()
	g.got(s)
	g.raise("a0", "d")
	g.work()
	require.Empty(t, c.slow)
	for i := range 5 {
		g.raise(fmt.Sprint("a", i+1), "d")
	}
	require.Empty(t, c.slow)
	g.work()
	require.NotEmpty(t, c.slow)
}

func TestClientBehindInDeltasGetsLaggedAndASnapshot(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet","stats"]}`))
	g.work()
	g.got(s)
	for i := range stateDeltas + 2 {
		g.read(fmt.Sprint("d", i), 1, false)
		g.second()
	}
	lines, _ := g.got(s)
	require.Contains(t, lines, line("lagged", "fleet", 0, stateDeltas+2, ""))
	require.Contains(t, lines, line("lagged", "stats", 0, stateDeltas+1, ""))
	require.Contains(t, lines, line("delta", "stats", stateDeltas+2, 0, `{"n":1}`), "the newest is whole")
	require.Len(t, lines, 3)
	g.work()
	lines, _ = g.got(s)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], fmt.Sprintf("snapshot fleet %d/0", 1+stateDeltas+2))
}

func TestQuietFleetGivesASignOfLifeEveryFiveRounds(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	g.work()
	g.got(s)
	var at []int
	for i := range 12 {
		g.second()
		if lines, _ := g.got(s); len(lines) > 0 {
			require.Contains(t, lines[0], "{}")
			at = append(at, i)
		}
	}
	require.Equal(t, []int{4, 9}, at)
}

func TestUnsubscribingOneLeavesTheOthers(t *testing.T) {
	g := newStage(t, Limits{})
	var all []*Session
	for range 3 {
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["stats"]}`))
		all = append(all, s)
	}
	g.work()
	for _, s := range all {
		g.got(s)
	}
	require.Equal(t, 3, g.p.Clients())
	all[0].Close()
	require.Equal(t, 2, g.p.Clients())
	all[1].Handle([]byte(`{"type":"unsubscribe","topics":["stats"]}`))
	g.second()
	lines, _ := g.got(all[0])
	require.Empty(t, lines)
	lines, _ = g.got(all[1])
	require.Equal(t, []string{acked}, lines)
	lines, _ = g.got(all[2])
	require.Equal(t, []string{`delta stats 1/0 {"n":1}`}, lines)
	all[2].Close()
	require.Empty(t, g.p.followed())
}

func TestSmallBatchesLoseNothing(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	for i := range 20 {
		s.Handle(fmt.Appendf(nil, `{"type":"ping","id":"%d"}`, i))
	}
	s.Handle([]byte(`{"type":"subscribe","topics":["stats","fleet","alerts","gateways"]}`))
	g.work()
	n := 0
	for more := true; more; n++ {
		var b Batch
		more = s.Gather(&b, 1)
		require.NotEmpty(t, b.Buf)
		require.True(t, json.Valid(body(b.Buf)), "one whole frame a batch")
	}
	require.Equal(t, 1+20+1+4, n)
}

func TestLimitsHaveDefaults(t *testing.T) {
	require.Equal(t, Limits{
		Topics: 2000, FrameBytes: 262_144, QueueBytes: 1_048_576, Alerts: 10_000, AlertBytes: 16_777_216, Replies: 100,
		Every: time.Second, DeviceEvery: 100 * time.Millisecond,
	}, Limits{}.withDefaults())
	given := Limits{1, 2, 3, 4, 5, 6, 7, 8}
	require.Equal(t, given, given.withDefaults())
}

func TestFrameHeadersAtTheirBounds(t *testing.T) {
	for n, want := range map[int][]byte{
		0: {opText, 0}, 125: {opText, 125}, 126: {opText, 126, 0, 126}, 65_535: {opText, 126, 255, 255}, 65_536: {opText, 127, 0, 0, 0, 0, 0, 1, 0, 0},
	} {
		require.Equal(t, want, AppendFrameHeader(nil, opText, n))
		require.Len(t, TextFrame(make([]byte, n)), len(want)+n)
	}
}

func TestBigFrameIsSharedAndGoesAlone(t *testing.T) {
	g := newStage(t, Limits{})
	for i := range 1000 {
		g.read(fmt.Sprintf("device_%04d", i), 1, false)
	}
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet","stats"]}`))
	g.work()
	var first, second, third Batch
	require.True(t, s.Gather(&first, 1<<20))
	require.Nil(t, first.Shared, "small frames go first, copied")
	require.NotEmpty(t, first.Buf)
	require.True(t, s.Gather(&second, 1<<20))
	require.Empty(t, second.Buf)
	require.Greater(t, len(second.Shared), bigFrame)
	require.Same(t, &g.p.topics["fleet"].snapshot.frames[0][0], &second.Shared[0])
	require.False(t, s.Gather(&third, 1<<20))
	require.Contains(t, string(third.Buf), `"n":1`)
	require.Nil(t, s.replies)
	require.Nil(t, s.parts)
}

// urgency records how a client was woken.
type urgency struct {
	fakeClient

	urgent, normal int
}

func (c *urgency) Wake(urgent bool) {
	if urgent {
		c.urgent++
	} else {
		c.normal++
	}
}

func TestAnswersSnapshotsAndAlertsAreUrgentDeltasAreNot(t *testing.T) {
	g := newStage(t, Limits{})
	c := &urgency{}
	s := g.p.Open(c, ClientLimits{}, Caller{})
	woken := func(urgent, normal int) {
		t.Helper()
		require.Equal(t, []int{urgent, normal}, []int{c.urgent, c.normal})
		c.urgent, c.normal = 0, 0
		g.got(s)
	}
	woken(1, 0)
	s.Handle([]byte(`{"type":"ping"}`))
	woken(1, 0)
	s.Handle([]byte(`{"type":"subscribe","topics":["stats","alerts"]}`))
	woken(1, 0)
	g.work()
	woken(2, 0)
	g.second()
	woken(0, 1)
	g.raise("a", "d")
	g.work()
	woken(1, 0)
}

func TestAlertsOfTheSnapshotDoNotCountAsWaiting(t *testing.T) {
	g := newStage(t, Limits{QueueBytes: 2000})
	for i := range 50 {
		g.raise(fmt.Sprint("a", i), "d")
	}
	s, c := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["alerts"]}`))
	g.work()
	g.got(s)
	g.raise("b", "d")
	g.work()
	require.Empty(t, c.slow)
	require.Less(t, s.subs["alerts"].behind(), int64(1000))
	require.Positive(t, s.subs["alerts"].behind())
	g.got(s)
	require.Zero(t, s.subs["alerts"].behind())
}

func TestCommandResultCarriesTheRequestsID(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"command","id":"7","command":{}}`))
	require.JSONEq(t, `{"type":"command_result","id":"7","status":200}`, string(body(s.replies[1])))
	s.answer("8", struct{}{})
	require.JSONEq(t, `{"type":"command_result","id":"8"}`, string(body(s.replies[2])))
	s.answer("9", []int{1})
	require.JSONEq(t, `{"type":"command_result","id":"9"}`, string(body(s.replies[3])))
}

func TestClearedAlarmLeavesTheSnapshotAndIsNewsOnce(t *testing.T) {
	g := newStage(t, Limits{})
	g.raise("a", "d")
	require.Len(t, g.p.open, 1)
	g.p.Alert(&state.Alert{Alert: telemetry.Alert{AlertID: "a", State: telemetry.AlarmNormal}, Raw: []byte("{}")})
	require.Empty(t, g.p.open)
	s, c := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["alerts"]}`))
	g.work()
	g.got(s)
	g.raise("b", "d")
	g.work()
	woken := c.woken
	g.work()
	require.Equal(t, woken, c.woken, "no news, no wake-up")
}

func TestReadingOfAFollowedDeviceWakesRun(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["device/d"]}`))
	<-g.p.work
	g.work()
	g.read("other", 1, false)
	require.Empty(t, g.p.work)
	g.read("d", 1, false)
	require.Len(t, g.p.work, 1)
}

func TestScreenSaysWhoIsAtIt(t *testing.T) {
	g := newStage(t, Limits{})
	s, c := g.open()
	g.got(s) // hello
	for _, text := range []string{`{"type":"present","name":"李工"}`, `{"type":"present"}`} {
		_, ok := s.Handle([]byte(text))
		require.True(t, ok)
	}
	require.Equal(t, []string{"李工", ""}, c.present)
	_, ok := s.Handle([]byte(`{"type":"present","name":5}`))
	require.False(t, ok)
	require.Len(t, c.present, 2)
	lines, _ := g.got(s)
	require.Len(t, lines, 1, "only the bad one is answered")
}
