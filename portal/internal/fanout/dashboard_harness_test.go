package fanout

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/state"
)

// dash is a client in the dashboard's dialect.
type dash struct {
	*peer

	hello dashMessage
}

// dashMessage is any message of the dashboard's dialect.
type dashMessage struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Topic      string          `json:"topic"`
	Seq        uint64          `json:"seq"`
	TS         int64           `json:"ts"`
	Part       int             `json:"part"`
	Parts      int             `json:"parts"`
	Data       json.RawMessage `json:"data"`
	Code       string          `json:"code"`
	Message    string          `json:"message"`
	Session    string          `json:"session"`
	Epoch      string          `json:"epoch"`
	ServerTime int64           `json:"server_time"`
	Dropped    int             `json:"dropped"`
	Topics     []string        `json:"topics"`
	Recovered  map[string]bool `json:"recovered"`
	Result     json.RawMessage `json:"result"`

	size int
}

// dashboard opens a connection in the dashboard's dialect and reads its hello.
func (b *bench) dashboard() *dash {
	b.tb.Helper()
	d := websocket.Dialer{Subprotocols: []string{dashboard.Subprotocol}}
	ws, resp, err := d.DialContext(b.tb.Context(), "ws://"+b.addr+"/ws", nil)
	require.NoError(b.tb, err)
	require.NoError(b.tb, resp.Body.Close())
	require.Equal(b.tb, dashboard.Subprotocol, ws.Subprotocol())
	b.tb.Cleanup(func() { _ = ws.Close() })
	p := &dash{peer: &peer{b.tb, ws}}
	p.hello = p.next()
	require.Equal(b.tb, "hello", p.hello.Type)
	return p
}

func (p *dash) tryNext(within time.Duration) (dashMessage, error) {
	var m dashMessage
	if err := p.ws.SetReadDeadline(time.Now().Add(within)); err != nil {
		return m, err
	}
	_, data, err := p.ws.ReadMessage()
	if err != nil {
		return m, err
	}
	m.size = len(data)
	return m, json.Unmarshal(data, &m)
}

func (p *dash) next() dashMessage {
	p.tb.Helper()
	m, err := p.tryNext(waitTimeout)
	require.NoError(p.tb, err)
	return m
}

// until reads on to a message that f says yes to.
func (p *dash) until(f func(m dashMessage) bool) dashMessage {
	p.tb.Helper()
	for deadline := time.Now().Add(waitTimeout); ; {
		require.False(p.tb, time.Now().After(deadline), "timed out")
		if m := p.next(); f(m) {
			return m
		}
	}
}

// of reads on to a message of that type and topic.
func (p *dash) of(kind, topic string) dashMessage {
	p.tb.Helper()
	return p.until(func(m dashMessage) bool { return m.Type == kind && m.Topic == topic })
}

// ask sends a request and returns the answer to it.
func (p *dash) ask(v any) dashMessage {
	p.tb.Helper()
	text, err := json.Marshal(v)
	require.NoError(p.tb, err)
	var r struct {
		ID string `json:"id"`
	}
	require.NoError(p.tb, json.Unmarshal(text, &r))
	p.send(string(text))
	return p.until(func(m dashMessage) bool { return m.ID == r.ID })
}

// wants is a subscribe or unsubscribe.
type wants struct {
	Type   string   `json:"type"`
	ID     string   `json:"id"`
	Topics []string `json:"topics"`
	Resume *place   `json:"resume,omitempty"`
}

// place is where a client was.
type place struct {
	Epoch string            `json:"epoch"`
	Seq   map[string]uint64 `json:"seq"`
}

func (p *dash) subscribe(topics ...string) dashMessage {
	p.tb.Helper()
	m := p.ask(wants{Type: "subscribe", ID: "s", Topics: topics})
	require.Equal(p.tb, "ack", m.Type, m.Message)
	require.Equal(p.tb, topics, m.Topics)
	return m
}

func (m dashMessage) alert(tb testing.TB) telemetry.Alert {
	tb.Helper()
	var v struct{ Alert telemetry.Alert }
	require.NoError(tb, json.Unmarshal(m.Data, &v))
	return v.Alert
}

// fleetView is what a client knows of the fleet.
type fleetView map[int][]any // index → row without its index

func (v fleetView) apply(tb testing.TB, m dashMessage) {
	tb.Helper()
	var d struct {
		Devices [][]any
		States  [][]any
	}
	require.NoError(tb, json.Unmarshal(m.Data, &d))
	index := func(r []any) int { n, ok := r[0].(float64); require.True(tb, ok); return int(n) }
	for _, r := range d.Devices {
		require.Len(tb, r, 13)
		v[index(r)] = r[1:]
	}
	for _, s := range d.States {
		require.Len(tb, s, 5)
		require.Contains(tb, v, index(s), "a state of a device that has no row")
		copy(v[index(s)][6:9], s[1:4])
		v[index(s)][11] = s[4]
	}
}

// row returns the row of the device with this id.
func (v fleetView) row(id string) []any {
	for _, r := range v {
		if r[0] == id {
			return r
		}
	}
	return nil
}

// snapshot reads a whole snapshot of a topic.
func (p *dash) snapshot(topic string) []dashMessage {
	p.tb.Helper()
	var parts []dashMessage
	for {
		m := p.of("snapshot", topic)
		parts = append(parts, m)
		require.Equal(p.tb, len(parts), m.Part)
		require.Equal(p.tb, parts[0].Seq, m.Seq)
		if m.Part == m.Parts {
			return parts
		}
	}
}

// state applies the state of a device that sends once an hour, so that it does not become stale.
func (b *bench) state(id, building string, presence telemetry.Presence) {
	b.stateEvery(3_600_000, id, building, presence)
}

func (b *bench) stateEvery(intervalMS int64, id, building string, presence telemetry.Presence) {
	b.model.ApplyState(telemetry.DeviceState{
		DeviceID: id, Presence: presence, Since: 1, Gateway: "gw-a", IntervalMS: intervalMS,
		Location: telemetry.Location{Building: building, Floor: 2, Room: "201"}, Info: telemetry.DeviceInfo{Model: "M1"},
	})
}

func quickPublisher() dashboard.Options {
	return dashboard.Options{Limits: dashboard.Limits{Every: 50 * time.Millisecond, DeviceEvery: 20 * time.Millisecond}}
}

var _ state.Observer = (*router)(nil)
