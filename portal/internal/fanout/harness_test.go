package fanout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/state/statetest"
)

// waitTimeout is how long a test waits for what must happen.
const waitTimeout = 180 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps one goroutine for the Date header for the life of the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// And one of each server sleeps for ten seconds before it sees that it was stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// bench is a broadcaster behind a real HTTP server.
type bench struct {
	tb          testing.TB
	model       *state.Model
	broadcaster *Broadcaster
	publisher   *dashboard.Publisher
	reg         *prometheus.Registry
	addr        string
	stop        func() // ends Run and waits for it

	commands Commands   // of connections opened from now on; nil: not taken
	from     netip.Addr // of connections opened from now on
	present  func(string)
	ended    func() bool
}

func newBench(tb testing.TB, limits Limits) *bench {
	tb.Helper()
	return newBenchWith(tb, limits, dashboard.Options{})
}

// newBenchWith also takes options of the publisher.
func newBenchWith(tb testing.TB, limits Limits, o dashboard.Options) *bench {
	tb.Helper()
	p, log, reg := state.New(state.Options{}), slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	o.Model, o.Log, o.Registry = p, log, reg
	bd, err := dashboard.New(o)
	require.NoError(tb, err)
	h, err := New(Options{Model: p, Log: log, Registry: reg, Publisher: bd, Limits: limits})
	require.NoError(tb, err)
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	up := websocket.FastHTTPUpgrader{ReadBufferSize: 512, WriteBufferPool: &sync.Pool{}, Subprotocols: []string{dashboard.Subprotocol}}
	b := &bench{tb: tb, model: p, broadcaster: h, publisher: bd, reg: reg, addr: ln.Addr().String()}
	srv := &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) {
		_ = up.Upgrade(c, func(ws *websocket.Conn) {
			h.Serve(ws, Visitor{From: b.from, Commands: b.commands, Present: b.present, Ended: b.ended})
		})
	}}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(ln) }()
	ctx, cancel := context.WithCancel(tb.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		var parts sync.WaitGroup
		parts.Go(func() { _ = bd.Run(ctx) })
		_ = h.Run(ctx)
		parts.Wait()
	}()
	b.stop = func() { cancel(); <-ran }
	tb.Cleanup(func() {
		b.stop()
		_ = srv.Shutdown()
		<-served
	})
	return b
}

// reading returns a reading whose only news are its time and a padding.
func reading(id string, ts int64, pad int) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":1,"room":"101"},"sensors":{},"pad":"%0*d"}`, id, ts, pad, 0)
}

// push applies one live frame and waits until it is in the clients' queues.
func (b *bench) push(entries ...wire.FrameEntry) {
	b.tb.Helper()
	b.apply(entries...)
	b.broadcaster.router.distribute()
}

// apply applies one live frame.
func (b *bench) apply(entries ...wire.FrameEntry) {
	b.tb.Helper()
	statetest.Apply(b.tb, b.model, "gw-a", entries...)
}

func entry(id string, ts int64, pad int) wire.FrameEntry {
	return wire.FrameEntry{Device: id, Timestamp: ts, Received: time.Now().UnixMilli(), Payload: reading(id, ts, pad)}
}

func (b *bench) raise(id, device string, status telemetry.AlertStatus, ts int64) {
	b.tb.Helper()
	b.model.ApplyAlert(parsed(b.tb, id, device, status, ts), true)
	b.broadcaster.router.distribute()
}

func parsed(tb testing.TB, id, device string, status telemetry.AlertStatus, ts int64) *state.Alert {
	tb.Helper()
	raw, err := json.Marshal(telemetry.Alert{
		AlertID: id, DeviceID: device, AlertType: "temperature_high", Severity: telemetry.SeverityHigh, Status: status, Timestamp: ts,
	})
	require.NoError(tb, err)
	a, err := state.ParseAlert(raw)
	require.NoError(tb, err)
	return a
}

// peer is a client of the broadcaster.
type peer struct {
	tb testing.TB
	ws *websocket.Conn
}

// message is any message of the simple dialect.
type message struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
	Code    string          `json:"code"`
	Message string          `json:"message"`
}

func (m message) device(tb testing.TB) (id string, ts int64) {
	tb.Helper()
	var v struct {
		DeviceID  string `json:"device_id"`
		Timestamp int64  `json:"timestamp"`
	}
	require.NoError(tb, json.Unmarshal(m.Payload, &v))
	return v.DeviceID, v.Timestamp
}

func (b *bench) dial() *peer {
	b.tb.Helper()
	ws, resp, err := websocket.DefaultDialer.DialContext(b.tb.Context(), "ws://"+b.addr+"/ws", nil)
	require.NoError(b.tb, err)
	require.NoError(b.tb, resp.Body.Close())
	b.tb.Cleanup(func() { _ = ws.Close() })
	return &peer{b.tb, ws}
}

func (p *peer) send(text string) {
	p.tb.Helper()
	require.NoError(p.tb, p.ws.WriteMessage(websocket.TextMessage, []byte(text)))
}

func (p *peer) read() message {
	p.tb.Helper()
	m, err := p.tryRead(waitTimeout)
	require.NoError(p.tb, err)
	return m
}

func (p *peer) tryRead(within time.Duration) (message, error) {
	if err := p.ws.SetReadDeadline(time.Now().Add(within)); err != nil {
		return message{}, err
	}
	_, data, err := p.ws.ReadMessage()
	if err != nil {
		return message{}, err
	}
	var m message
	return m, json.Unmarshal(data, &m)
}

// expectDevice reads a reading of that device.
func (p *peer) expectDevice(id string, ts int64) {
	p.tb.Helper()
	m := p.read()
	require.Equal(p.tb, "device_data", m.Type, "%+v", m)
	gotID, gotTS := m.device(p.tb)
	require.Equal(p.tb, id, gotID)
	require.Equal(p.tb, ts, gotTS)
}

func (p *peer) expectError(code string) {
	p.tb.Helper()
	m := p.read()
	require.Equal(p.tb, "error", m.Type, "%+v", m)
	require.Equal(p.tb, code, m.Code)
	require.NotEmpty(p.tb, m.Message)
}

// expectClose reads until the connection ends and returns how many messages came.
func (p *peer) expectClose(code int) int {
	p.tb.Helper()
	for n := 0; ; n++ {
		_, err := p.tryRead(waitTimeout)
		if err == nil {
			continue
		}
		var ce *websocket.CloseError
		require.ErrorAs(p.tb, err, &ce)
		require.Equal(p.tb, code, ce.Code, ce.Text)
		return n
	}
}

// quiet asserts that every message sent so far has been handled and that nothing waits:
// the answer to a bad message is the next thing that comes.
func (p *peer) quiet() {
	p.tb.Helper()
	p.send(`{"type":"are you there"}`)
	p.expectError(codeUnknownType)
}

// synced waits until every message sent so far has been handled.
func (p *peer) synced() { p.tb.Helper(); p.quiet() }

var errStop = errors.New("stop")
