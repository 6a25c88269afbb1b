package dashboard

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewNeedsItsParts(t *testing.T) {
	whole := Options{Model: state.New(state.Options{}), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}
	for _, o := range []Options{
		{},
		{Log: whole.Log, Registry: whole.Registry},
		{Model: whole.Model, Registry: whole.Registry},
		{Model: whole.Model, Log: whole.Log},
	} {
		_, err := New(o)
		require.ErrorIs(t, err, errMissing)
	}
	_, err := New(whole)
	require.NoError(t, err)
}

func TestTopicsAreUnderstood(t *testing.T) {
	for name, want := range map[string]topicName{
		"fleet":               {"fleet", kindFleet, ""},
		"sensor/current":      {"sensor/current", kindSensor, "current"},
		"sensor/pm2_5":        {"sensor/pm2_5", kindSensor, "pm2_5"},
		"device/a_b-1":        {"device/a_b-1", kindDevice, "a_b-1"},
		"building/A栋/north":   {"building/A栋/north", kindBuilding, "A栋/north"},
		"alerts":              {"alerts", kindAlerts, ""},
		"stats":               {"stats", kindStats, ""},
		"gateways":            {"gateways", kindGateways, ""},
		"sensors":             {"sensors", kindSensors, ""},
		"sensor/battery":      {"sensor/battery", kindSensor, "battery"},
		"fact/seen":           {"fact/seen", kindFact, "seen"},
		"building/" + longest: {"building/" + longest, kindBuilding, longest},
	} {
		got, err := parseTopic(name)
		require.NoError(t, err, name)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"", "/", "fleet/", "Fleet", "device/", "device/*", "devices/a", "sensor/", "sensor/CO2", "sensor/a b", "sensor/" + longest, "sensors/", "fact/", "fact/age", "building/", "building/" + longest + "x", "building/\xff"} {
		_, err := parseTopic(name)
		var r *RequestError
		require.ErrorAs(t, err, &r, name)
	}
}

var longest = strings.Repeat("x", maxBuildingName)

func TestDeltaLogKeepsTheNewest(t *testing.T) {
	var l deltaLog
	l.limit(3, 100)
	require.Equal(t, uint64(1), l.first(0))
	require.Nil(t, l.after(0, 0))
	for seq := uint64(1); seq <= 500; seq++ {
		l.push(entry{seq: seq, frame: make([]byte, 10)})
		require.LessOrEqual(t, l.length(), 3)
		require.LessOrEqual(t, len(l.entries), 300)
	}
	require.Equal(t, uint64(498), l.first(500))
	require.Equal(t, uint64(498), l.after(0, 500).seq, "the oldest there is")
	require.Equal(t, uint64(500), l.after(499, 500).seq)
	require.Nil(t, l.after(500, 500))
	require.Equal(t, int64(5000), l.reached(500, 500))
	require.Equal(t, int64(4990), l.reached(499, 500))
	l.push(entry{seq: 501, frame: make([]byte, 95)})
	require.Equal(t, 1, l.length(), "bounded in bytes too")
	l.push(entry{seq: 502, frame: make([]byte, 500)})
	require.Equal(t, 1, l.length(), "the newest always stays")
}

func TestPackerKeepsTheBound(t *testing.T) {
	p := newPacker(60)
	for i := range 10 {
		p.add("a", fmt.Appendf(nil, "[%d,1,2,3]", i))
	}
	for i := range 10 {
		p.add("b", fmt.Appendf(nil, "[%d]", i))
	}
	var a, b []int
	for _, part := range p.finish("{}") {
		require.LessOrEqual(t, len(part), 64)
		var v struct{ A, B [][]int }
		require.NoError(t, json.Unmarshal(part, &v), string(part))
		for _, r := range v.A {
			a = append(a, r[0])
		}
		for _, r := range v.B {
			b = append(b, r[0])
		}
	}
	require.Len(t, a, 10)
	require.Len(t, b, 10)
	require.IsIncreasing(t, append([]int{-1}, a...))
	require.Equal(t, [][]byte{[]byte("{}")}, newPacker(60).finish("{}"))
}

// FuzzHandle gives any bytes to a session: it must answer each message once, in JSON, and
// keep its limits.
func FuzzHandle(f *testing.F) {
	for _, s := range []string{
		`{"type":"subscribe","id":"1","topics":["fleet","alerts","device/device_001"],"resume":{"epoch":"x","seq":{"alerts":123}}}`,
		`{"type":"unsubscribe","id":"2","topics":["fleet"]}`, `{"type":"ping","id":"3"}`, `{"type":"command","id":"4","command":{}}`,
		`{"type":"subscribe","topics":["building/A栋","sensor/current"]}`, `{"type":"subscribe","topics":null}`, `null`, `[]`, `{"id":"\ud800"}`, "\xff",
		`{"type":"subscribe","topics":["device/\u0000"],"resume":{"seq":{"":18446744073709551615}}}`,
	} {
		f.Add([]byte(s))
	}
	b := newTestPublisher(f, state.New(state.Options{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &fakeClient{}
		s := b.Open(c, ClientLimits{MessageBytes: 1, MessagesPerSecond: 1}, Caller{})
		cost, ok := s.Handle(data)
		require.LessOrEqual(t, len(s.subs), b.limits.Topics)
		require.GreaterOrEqual(t, cost, float64(len(s.subs))/101)
		require.Len(t, s.replies, 2, "hello and the answer")
		var m struct{ Type, Code, Message string }
		require.NoError(t, json.Unmarshal(body(s.replies[1]), &m))
		require.Equal(t, ok, m.Type != typeError)
		require.Contains(t, ServerTypes, m.Type)
		require.Less(t, len(m.Message), 500)
		s.Close()
		require.LessOrEqual(t, len(b.topics), 4, "nothing is left behind")
		require.Empty(t, b.devices)
	})
}

// body returns the payload of a frame.
func body(frame []byte) []byte {
	switch frame[1] {
	case 126:
		return frame[4:]
	case 127:
		return frame[10:]
	}
	return frame[2:]
}

type fakeClient struct {
	woken   int
	slow    string
	present []string
	screens []string
}

func (c *fakeClient) Wake(bool)           { c.woken++ }
func (c *fakeClient) TooSlow(why string)  { c.slow = why }
func (c *fakeClient) Present(name string) { c.present = append(c.present, name) }

// Screen implements Client.
func (c *fakeClient) Screen(report []byte) { c.screens = append(c.screens, string(report)) }

func (c *fakeClient) Command(_ json.RawMessage, answer func(any)) error {
	answer(map[string]any{"type": "x", "status": 200})
	return nil
}

func newTestPublisher(tb testing.TB, p *state.Model) *Publisher {
	tb.Helper()
	b, err := New(Options{Model: p, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(tb, err)
	return b
}

func TestAnswersThatAreNotTakenEndTheConnection(t *testing.T) {
	b := newTestPublisher(t, state.New(state.Options{}))
	c := &fakeClient{}
	s := b.Open(c, ClientLimits{}, Caller{})
	for range b.limits.Replies + 1 {
		s.Handle([]byte(`{"type":"ping"}`))
	}
	require.NotEmpty(t, c.slow)
	require.Len(t, s.replies, b.limits.Replies)
	s.Close()
	s.Close()
	require.Zero(t, b.Clients())
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	require.Empty(t, b.followed())
}

// A client that stops reading costs next to nothing, whatever happens meanwhile.
func TestClientThatDoesNotReadCostsNoMemory(t *testing.T) {
	p := state.New(state.Options{})
	b := newTestPublisher(t, p)
	for i := range 1000 {
		p.ApplyState(telemetry.DeviceState{DeviceID: fmt.Sprint("d", i), Presence: telemetry.PresenceOnline})
	}
	s := b.Open(&fakeClient{}, ClientLimits{}, Caller{})
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet","sensor/temperature","device/d1","stats"]}`))
	for i := range 300 {
		p.ApplyState(telemetry.DeviceState{
			DeviceID: "d1", Presence: []telemetry.Presence{telemetry.PresenceOnline, telemetry.PresenceOffline}[i%2],
		})
		b.makeSnapshots()
		b.everySecond()
		b.sendDevices()
	}
	require.LessOrEqual(t, len(s.fifo), 4)
	b.mu.Lock()
	for _, topic := range b.topics {
		require.LessOrEqual(t, topic.log.length(), stateDeltas)
	}
	b.mu.Unlock()
	var got Batch
	for s.Gather(&got, 1<<20) {
		got.Shared = nil
	}
	require.Contains(t, string(got.Buf), `"ack"`)
}

func TestOversizedAlertLosesItsPastNotItself(t *testing.T) {
	b := newTestPublisher(t, state.New(state.Options{}))
	b.limits.FrameBytes = 4096
	a := telemetry.Alert{AlertID: "a", DeviceID: "d", Status: telemetry.AlertActive, Message: "hot"}
	for range 1000 {
		a.Comments = append(a.Comments, telemetry.Comment{By: "x", Text: "y"})
	}
	raw, err := json.Marshal(a)
	require.NoError(t, err)
	parsed, err := state.ParseAlert(raw)
	require.NoError(t, err)
	b.model.ApplyAlert(parsed, true)
	frame := b.alerts.log.after(0, 1).frame
	require.Less(t, len(frame), 4096)
	require.Contains(t, string(frame), `"hot"`)
}

func TestStateIsByOurOwnClock(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	p := state.New(state.Options{Now: func() time.Time { return now }})
	b := newTestPublisher(t, p)
	p.ApplyState(telemetry.DeviceState{DeviceID: "d", Presence: telemetry.PresenceOnline, IntervalMS: 2000})
	push := func(received int64, backfill bool) {
		statetest.Apply(t, p, "gw-a", wire.FrameEntry{Device: "d", Timestamp: now.UnixMilli(), Received: received, Backfill: backfill, Payload: fmt.Appendf(nil, `{"device_id":"d","timestamp":%d}`, now.UnixMilli())})
	}
	judge := func() (s cellState) {
		p.View(func() { s = b.stateOf(p.DeviceAt(0), p.Now()) })
		return s
	}
	require.Equal(t, stateOnline, judge(), "not heard since the portal's start, which was now")
	now = now.Add(7 * time.Second)
	require.Equal(t, stateStale, judge())
	push(now.UnixMilli()-3_600_000, false) // the gateway's clock is an hour behind
	require.Equal(t, stateOnline, judge())
	now = now.Add(6 * time.Second)
	require.Equal(t, stateOnline, judge())
	now = now.Add(time.Second)
	require.Equal(t, stateStale, judge())
	push(now.UnixMilli()-60_000, true)
	require.Equal(t, stateStale, judge(), "it waited in a buffer")
}

func TestFramesAreSharedByAllClients(t *testing.T) {
	p := state.New(state.Options{})
	b := newTestPublisher(t, p)
	for i := range 2000 {
		p.ApplyState(telemetry.DeviceState{DeviceID: fmt.Sprint("d", i), Presence: telemetry.PresenceOnline})
	}
	var frames []*byte
	for range 3 {
		s := b.Open(&fakeClient{}, ClientLimits{}, Caller{})
		s.Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
		b.makeSnapshots()
		for more := true; more; {
			var got Batch
			more = s.Gather(&got, 64<<10)
			if got.Shared != nil {
				require.Empty(t, got.Buf)
				frames = append(frames, &got.Shared[0])
			}
		}
	}
	require.Len(t, frames, 3)
	require.Same(t, frames[0], frames[1])
	require.Same(t, frames[0], frames[2])
}
