package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// waitTimeout bounds each wait of a test.
const waitTimeout = 180 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps one goroutine for the Date header for the life of the process,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// and one of each server sleeps for ten seconds before it sees that it was stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// Its compressors, which a test uses, keep their workers.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp/stackless.funcWorker"),
	)
}

// rig is a running portal with a hub and a Kafka.
type rig struct {
	tb      testing.TB
	portal  *Portal
	hub     *server.Server
	nc      *nats.Conn
	brokers []string
	cfg     Config
	client  *http.Client
	stop    func()
}

func startNATS(tb testing.TB) *server.Server {
	tb.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	require.NoError(tb, err)
	s.Start()
	require.True(tb, s.ReadyForConnections(waitTimeout))
	tb.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// start runs a portal and waits until it is ready.
func start(tb testing.TB, change func(*Options)) *rig {
	tb.Helper()
	h := startNATS(tb)
	r := &rig{tb: tb, hub: h, brokers: kafkatest.Brokers(tb), client: &http.Client{Timeout: waitTimeout, Transport: checkedTransport(tb)}}
	r.cfg = Config{
		Addr: "127.0.0.1:0", WebSocketPath: "/ws", MaxConnections: 1000, AuditEntries: 1000, HubURL: h.ClientURL(),
		GroupID: kafkatest.Name(tb, "core"), Config: kafka.Config{Cluster: kafka.At(r.brokers...)}, Topics: kafkatest.Topics(tb),
	}
	o := Options{Config: r.cfg, Log: slog.New(slog.DiscardHandler), AnswerWithin: waitTimeout}
	if change != nil {
		change(&o)
		r.cfg = o.Config
		r.brokers = o.Config.Brokers
	}
	p, err := New(o)
	require.NoError(tb, err)
	r.portal = p
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it must end before the servers do
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(tb, err)
		case <-time.After(waitTimeout):
			require.Fail(tb, "the portal does not stop")
		}
	})
	tb.Cleanup(r.stop)
	r.nc, err = nats.Connect(h.ClientURL())
	require.NoError(tb, err)
	tb.Cleanup(r.nc.Close)
	tb.Cleanup(r.client.CloseIdleConnections)
	r.eventually("ready", func() bool { return p.Ready() == nil })
	return r
}

func (r *rig) eventually(what string, f func() bool) {
	r.tb.Helper()
	require.Eventually(r.tb, f, waitTimeout, 10*time.Millisecond, what)
}

// publish sends a live frame of readings.
func (r *rig) publish(gateway string, entries ...wire.FrameEntry) {
	r.tb.Helper()
	var b wire.FrameBuilder
	b.Reset(gateway)
	for _, e := range entries {
		b.Add(e)
	}
	require.NoError(r.tb, r.nc.Publish(wire.LiveSubject(gateway), b.Finish()))
	require.NoError(r.tb, r.nc.Flush())
}

func reading(id, building string, ts int64) wire.FrameEntry {
	return wire.FrameEntry{
		Device: id, Timestamp: ts, Received: ts,
		Payload: fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":%q,"floor":2,"room":"201"},`+
			`"sensors":{"temperature":{"value":21.5,"unit":"°C","status":"normal"}},"device_info":{"model":"IOT-SENSOR-V2"},"extra":"kept"}`, id, ts, building),
	}
}

func (r *rig) raise(alerts ...telemetry.Alert) {
	r.tb.Helper()
	before := r.portal.model.Totals().Alerts
	for _, a := range alerts {
		raw := record(r.tb, a)
		kafkatest.Produce(r.tb, r.brokers, r.cfg.Alerts, -1, kafkatest.Record{Key: []byte(a.DeviceID), Value: raw})
	}
	r.eventually("alerts", func() bool { return r.portal.model.Totals().Alerts == before+int64(len(alerts)) })
}

// record returns the Kafka record of an alarm. One without a revision has the form of older versions.
func record(tb testing.TB, a telemetry.Alert) []byte {
	tb.Helper()
	raw, err := json.Marshal(a)
	require.NoError(tb, err)
	if a.Revision > 0 {
		return raw
	}
	var fields map[string]any
	require.NoError(tb, json.Unmarshal(raw, &fields))
	for _, name := range []string{"revision", "event", "state", "priority", "source", "detected_at", "last_seen", "occurrence_count"} {
		delete(fields, name)
	}
	raw, err = json.Marshal(fields)
	require.NoError(tb, err)
	return raw
}

func alert(id, device string, s telemetry.Severity, status telemetry.AlertStatus, ts int64) telemetry.Alert {
	return telemetry.Alert{AlertID: id, DeviceID: device, AlertType: "temperature_high", Severity: s, Status: status, Timestamp: ts}
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks the portal; header holds names and values in turn.
func (r *rig) get(path string, header ...string) answer {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(r.tb.Context(), http.MethodGet, r.portal.URL()+path, nil)
	require.NoError(r.tb, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := r.client.Do(req)
	require.NoError(r.tb, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.tb, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// getJSON asks for an answer of 200 and decodes it.
func (r *rig) getJSON(path string, into any) {
	r.tb.Helper()
	a := r.get(path)
	require.Equal(r.tb, http.StatusOK, a.status, a.body)
	require.Equal(r.tb, "application/json", a.header.Get("Content-Type"))
	require.NoError(r.tb, json.Unmarshal([]byte(a.body), into))
}

// refused asks for an answer that is an error and returns its message.
func (r *rig) refused(path string, status int, code string) string {
	r.tb.Helper()
	a := r.get(path)
	require.Equal(r.tb, status, a.status, a.body)
	var e struct {
		Error struct{ Code, Message string }
	}
	require.NoError(r.tb, json.Unmarshal([]byte(a.body), &e), a.body)
	require.Equal(r.tb, code, e.Error.Code)
	require.NotEmpty(r.tb, e.Error.Message)
	return e.Error.Message
}

// dial tries to open a WebSocket and returns the status of the answer, 0 without one.
func (r *rig) dial(addr string, header http.Header) (*websocket.Conn, int, error) {
	d := websocket.Dialer{HandshakeTimeout: waitTimeout}
	ws, resp, err := d.DialContext(r.tb.Context(), "ws://"+addr+"/ws", header)
	status := 0
	if resp != nil {
		status = resp.StatusCode
		_ = resp.Body.Close()
	}
	if ws != nil {
		r.tb.Cleanup(func() { _ = ws.Close() })
	}
	return ws, status, err
}

// connect opens a WebSocket that must be let in.
func (r *rig) connect(addr string) *websocket.Conn {
	r.tb.Helper()
	ws, _, err := r.dial(addr, nil)
	require.NoError(r.tb, err)
	require.NoError(r.tb, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	return ws
}

// message is any message of the simple dialect.
type message struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
	Code    string          `json:"code"`
}

func (r *rig) receive(ws *websocket.Conn) message {
	r.tb.Helper()
	var m message
	require.NoError(r.tb, ws.ReadJSON(&m))
	return m
}

func (r *rig) closedWith(ws *websocket.Conn, code int) {
	r.tb.Helper()
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			require.ErrorAs(r.tb, err, &ce)
			require.Equal(r.tb, code, ce.Code)
			return
		}
	}
}
