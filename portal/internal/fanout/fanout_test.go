package fanout

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

func TestNewNeedsItsParts(t *testing.T) {
	_, err := New(Options{})
	require.ErrorIs(t, err, errMissing)
}

func TestMessagesAreExactlyThoseOfTheContract(t *testing.T) {
	b := newBench(t, Limits{})
	p := b.dial()
	p.send(`{"type":"subscribe","device_ids":["device_001"]}`)
	p.synced()
	raw := reading("device_001", 1000, 3)
	b.push(wire.FrameEntry{Device: "device_001", Timestamp: 1000, Payload: raw})
	_, data, err := p.ws.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, `{"type":"device_data","payload":`+string(raw)+`}`, string(data))

	a, err := state.ParseAlert([]byte(`{"alert_id":"x","device_id":"device_001","status":"active","extra":[1]}`))
	require.NoError(t, err)
	b.model.ApplyAlert(a, true)
	_, data, err = p.ws.ReadMessage()
	require.NoError(t, err)
	want := `{"type":"alert","payload":{"alert_id":"x","device_id":"device_001","status":"active","extra":[1]}}`
	require.Equal(t, want, string(data))
}

func TestSubscribeGetsTheNewestReadingThenNews(t *testing.T) {
	b := newBench(t, Limits{})
	b.push(entry("d1", 1000, 1), entry("d2", 1000, 1), entry("d1", 2000, 1))
	p := b.dial()
	p.send(`{"type":"subscribe","device_ids":["d1"]}`)
	p.expectDevice("d1", 2000)
	b.push(entry("d2", 2000, 1), entry("d1", 3000, 1))
	p.expectDevice("d1", 3000)
	p.send(`{"type":"subscribe","device_ids":["d1"]}`) // once more changes nothing
	p.quiet()
	p.send(`{"type":"unsubscribe","device_ids":["d1"]}`)
	p.synced()
	b.push(entry("d1", 4000, 1))
	p.quiet()
}

func TestSubscribeToADeviceNobodyHasHeardOf(t *testing.T) {
	b := newBench(t, Limits{})
	p, q := b.dial(), b.dial()
	p.send(`{"type":"subscribe","device_ids":["new","other"]}`)
	p.synced()
	q.send(`{"type":"subscribe","device_ids":["new"]}`)
	q.send(`{"type":"unsubscribe","device_ids":["new"]}`)
	q.synced()
	b.model.ApplyState(telemetry.DeviceState{DeviceID: "new", Presence: telemetry.PresenceOffline}) // known, but silent
	p.quiet()
	b.push(entry("x", 1, 1), entry("new", 1, 1))
	p.expectDevice("new", 1)
	q.quiet()
}

func TestSubscribeAllWithExceptions(t *testing.T) {
	b := newBench(t, Limits{})
	b.push(entry("d1", 1000, 1), entry("d2", 1000, 1))
	p := b.dial()
	p.send(`{"type":"subscribe","device_ids":["d1"]}`)
	p.expectDevice("d1", 1000)
	p.send(`{"type":"subscribe_all"}`)
	p.expectDevice("d2", 1000) // d1 was sent already
	p.send(`{"type":"unsubscribe","device_ids":["d1"]}`)
	p.synced()
	b.push(entry("d1", 2000, 1), entry("d2", 2000, 1), entry("d3", 2000, 1))
	p.expectDevice("d2", 2000)
	p.expectDevice("d3", 2000)
	b.raise("a1", "d1", telemetry.AlertActive, 1)
	p.quiet()
	p.send(`{"type":"subscribe","device_ids":["d1"]}`)
	require.Equal(t, "alert", p.read().Type)
	p.expectDevice("d1", 2000)
	p.send(`{"type":"unsubscribe","device_ids":["d1","d2"]}`)
	p.send(`{"type":"subscribe_all"}`)
	for range 3 {
		p.read() // what it did not have: d1 and d2, and d1's alert
	}
	p.quiet()
	p.send(`{"type":"unsubscribe"}`)
	p.synced()
	b.push(entry("d3", 3000, 1))
	b.raise("a2", "d3", telemetry.AlertActive, 1)
	p.quiet()
}

func TestActiveAlertsComeWithTheSubscription(t *testing.T) {
	b := newBench(t, Limits{})
	b.raise("a1", "d1", telemetry.AlertActive, 1)
	b.raise("a2", "d2", telemetry.AlertActive, 2)
	b.raise("a3", "d1", telemetry.AlertActive, 3)
	b.raise("a3", "d1", telemetry.AlertCleared, 4)
	p := b.dial()
	p.send(`{"type":"subscribe","device_ids":["d1"]}`)
	require.Contains(t, string(p.read().Payload), `"a1"`)
	p.quiet()
	b.raise("a1", "d1", telemetry.AlertCleared, 5)
	require.Contains(t, string(p.read().Payload), `"cleared"`)
	b.raise("a1", "d1", telemetry.AlertCleared, 5) // repeated by a replay
	p.quiet()
	p.send(`{"type":"subscribe_all"}`)
	require.Contains(t, string(p.read().Payload), `"a2"`)
	p.quiet()
}

func TestBadMessagesAreAnsweredAndTheConnectionLives(t *testing.T) {
	b := newBench(t, Limits{Subscriptions: 3})
	p := b.dial()
	many := `["a","b","c","d"]`
	for _, c := range []struct{ name, text, code string }{
		{"not JSON", `hello`, codeBadJSON},
		{"cut short", `{"type":`, codeBadJSON},
		{"empty", ``, codeBadJSON},
		{"an array", `[]`, codeBadJSON},
		{"null", `null`, codeBadRequest},
		{"no type", `{}`, codeBadRequest},
		{"type is a number", `{"type":1}`, codeBadRequest},
		{"unknown type", `{"type":"<script>"}`, codeUnknownType},
		{"long type", `{"type":"` + strings.Repeat("x", 5000) + `"}`, codeUnknownType},
		{"subscribe without ids", `{"type":"subscribe"}`, codeBadRequest},
		{"ids are no list", `{"type":"subscribe","device_ids":"d1"}`, codeBadRequest},
		{"ids are numbers", `{"type":"subscribe","device_ids":[1]}`, codeBadRequest},
		{"empty id", `{"type":"subscribe","device_ids":[""]}`, codeBadDevice},
		{"id with a star", `{"type":"unsubscribe","device_ids":["*"]}`, codeBadDevice},
		{"id too long", `{"type":"subscribe","device_ids":["` + strings.Repeat("x", 65) + `"]}`, codeBadDevice},
		{"too many ids", `{"type":"subscribe","device_ids":` + many + `}`, codeTooMany},
		{"deep", strings.Repeat("[", 20_000), codeBadJSON},
	} {
		p.send(c.text)
		m := p.read()
		require.Equal(t, "error", m.Type, c.name)
		require.Equal(t, c.code, m.Code, c.name)
		require.NotEmpty(t, m.Message, c.name)
		require.Less(t, len(m.Message), 300, c.name)
	}
	require.NoError(t, p.ws.WriteMessage(websocket.BinaryMessage, []byte("x")))
	p.expectError(codeBadRequest)
	p.send(`{"type":"subscribe","device_ids":["a","b","c"],"unknown":{"fields":1}}`)
	p.send(`{"type":"subscribe","device_ids":["c","d"]}`)
	p.expectError(codeTooMany)
	p.send(`{"type":"subscribe_all"}`)
	p.send(`{"type":"unsubscribe","device_ids":` + many + `}`)
	p.expectError(codeTooMany)
	b.push(entry("z", 1, 1))
	p.expectDevice("z", 1)
}

func TestTooManyMessagesAreRefusedWithAWord(t *testing.T) {
	b := newBench(t, Limits{RatePerSecond: 0.001, RateBurst: 3})
	p := b.dial()
	for range 20 {
		p.send(`{"type":"unsubscribe","device_ids":[]}`)
	}
	p.expectError(codeRateLimited)
	require.Equal(t, int64(3), b.broadcaster.counts.accepted.Load())
	b.push(entry("z", 1, 1))
	require.NoError(t, p.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(waitTimeout)))
}

func TestTooBigMessageEndsTheConnection(t *testing.T) {
	b := newBench(t, Limits{})
	p := b.dial()
	p.send(`{"type":"subscribe","device_ids":["` + strings.Repeat("x", 70_000) + `"]}`)
	p.expectClose(closeTooBig)
}

func TestPingIsAnsweredWithItsData(t *testing.T) {
	b := newBench(t, Limits{})
	p := b.dial()
	got := make(chan string, 1)
	p.ws.SetPongHandler(func(data string) error { got <- data; return errStop })
	require.NoError(t, p.ws.WriteControl(websocket.PingMessage, []byte("hello"), time.Now().Add(waitTimeout)))
	_, _ = p.tryRead(waitTimeout)
	require.Equal(t, "hello", <-got)
}

func TestCloseIsEchoed(t *testing.T) {
	b := newBench(t, Limits{})
	p := b.dial()
	require.NoError(t, p.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"), time.Now().Add(waitTimeout)))
	p.expectClose(1000)
	require.Eventually(t, func() bool { return b.broadcaster.Stats().Clients == 0 }, waitTimeout, 5*time.Millisecond)
	q := b.dial()
	require.NoError(t, q.ws.WriteControl(websocket.CloseMessage, nil, time.Now().Add(waitTimeout)))
	q.expectClose(closeNoCodeGiven)
}

func TestConnectionLimitIsToldWith4504(t *testing.T) {
	b := newBench(t, Limits{Connections: 2})
	p := b.dial()
	p.synced()
	b.dial().synced()
	b.dial().expectClose(CloseLimit)
	p.quiet()
	require.NoError(t, p.ws.Close())
	require.Eventually(t, func() bool { return b.broadcaster.Stats().Clients == 1 }, waitTimeout, 5*time.Millisecond)
	b.dial().quiet()
	require.Equal(t, int64(1), b.broadcaster.Stats().Refused)
}

func TestSilentClientIsClosedWith4012(t *testing.T) {
	b := newBench(t, Limits{PingInterval: 50 * time.Millisecond, PongTimeout: 500 * time.Millisecond})
	mute := b.dial()
	mute.ws.SetPingHandler(func(string) error { return nil }) // hears pings, does not answer
	lively := b.dial()
	heard := make(chan error, 1)
	go func() {
		_, err := lively.tryRead(waitTimeout) // reading answers pings
		heard <- err
	}()
	mute.expectClose(CloseNoPong)
	lively.send(`{"type":"?"}`)
	require.NoError(t, <-heard)
}

func TestClientWhoseSessionEndedIsClosedWith4003(t *testing.T) {
	b := newBench(t, Limits{})
	var over atomic.Bool
	b.ended = over.Load
	p, dash := b.dial(), b.dashboard()
	p.send(`{"type":"subscribe_all"}`)
	p.synced()
	p.quiet()
	over.Store(true)
	p.expectClose(CloseEnded)
	dash.expectClose(CloseEnded)
}

func TestShutdownClosesEverybodyWith4001(t *testing.T) {
	b := newBench(t, Limits{})
	var peers []*peer
	for range 5 {
		peers = append(peers, b.dial())
	}
	peers[0].send(`{"type":"subscribe_all"}`)
	peers[0].synced()
	b.raise("a1", "d1", telemetry.AlertActive, 1) // sent before the end
	go b.stop()
	require.Equal(t, 1, peers[0].expectClose(CloseShutdown))
	for _, p := range peers[1:] {
		p.expectClose(CloseShutdown)
	}
	b.stop()
	b.dial().expectClose(CloseShutdown)
}

func TestShutdownDoesNotWaitForADeadClient(t *testing.T) {
	b := newBench(t, Limits{WriteStallTimeout: time.Hour})
	p := b.dial()
	p.send(`{"type":"subscribe_all"}`)
	p.synced()
	clog(b, 1)
	start := time.Now()
	b.stop()
	require.Less(t, time.Since(start), waitTimeout)
}

// clog pushes readings until a client that does not read is stuck in a write.
func clog(b *bench, peers int) {
	b.tb.Helper()
	ts := int64(0)
	stuckSince, written := time.Now(), int64(-1)
	require.Eventually(b.tb, func() bool {
		ts++
		var es []wire.FrameEntry
		for d := range 50 {
			es = append(es, entry(fmt.Sprintf("d%02d", d), ts, 20_000))
		}
		b.push(es...)
		if now := b.broadcaster.Stats().Messages; now != written {
			stuckSince, written = time.Now(), now
		}
		return time.Since(stuckSince) > time.Second && b.broadcaster.Stats().Conflated > int64(50*peers)
	}, waitTimeout, 2*time.Millisecond)
}
