package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/dashboard"
)

// description is the AsyncAPI document as served, with its schemas compiled.
type description struct {
	tb       testing.TB
	doc      map[string]any
	compiler *jsonschema.Compiler
	seen     map[string]bool // channel and type of each message that was checked
}

func describe(tb testing.TB, text string) *description {
	tb.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(tb, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(tb, err)
	c := jsonschema.NewCompiler()
	require.NoError(tb, c.AddResource("asyncapi.json", doc))
	d := &description{tb: tb, compiler: c, seen: map[string]bool{}}
	require.NoError(tb, json.Unmarshal(raw, &d.doc))
	return d
}

// types returns the types of the messages that an operation has.
func (d *description) types(operation string) (types []string) {
	d.tb.Helper()
	var doc struct {
		Operations map[string]struct {
			Messages []struct {
				Ref string `json:"$ref"`
			}
		}
	}
	raw, err := json.Marshal(d.doc)
	require.NoError(d.tb, err)
	require.NoError(d.tb, json.Unmarshal(raw, &doc))
	for _, m := range doc.Operations[operation].Messages {
		types = append(types, m.Ref[strings.LastIndexByte(m.Ref, '/')+1:])
	}
	return types
}

// complaint returns how a message of a channel violates the document, nil if it does not.
func (d *description) complaint(channel string, message []byte) error {
	d.tb.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(message))
	require.NoError(d.tb, err)
	var m struct{ Type string }
	require.NoError(d.tb, json.Unmarshal(message, &m))
	name := m.Type
	if channel == "simple" {
		name = map[string]string{
			"subscribe": "simpleSubscribe", "subscribe_all": "simpleSubscribeAll", "unsubscribe": "simpleUnsubscribe", "alarm_command": "simpleCommand",
			"device_data": "simpleDeviceData", "alert": "simpleAlert", "error": "simpleError", "device_removed": "simpleDeviceRemoved", "command_result": "simpleCommandResult",
		}[m.Type]
	}
	s, err := d.compiler.Compile("asyncapi.json#/components/messages/" + name + "/payload")
	if err != nil {
		return fmt.Errorf("type %q of channel %s: %w", m.Type, channel, err)
	}
	d.seen[channel+" "+m.Type] = true
	return s.Validate(v)
}

func (d *description) check(channel string, message []byte) {
	d.tb.Helper()
	require.NoError(d.tb, d.complaint(channel, message), "%.1000s", message)
}

// talk is a connection that checks the messages of both directions against the document.
type talk struct {
	d       *description
	ws      *websocket.Conn
	channel string
}

func (c *talk) send(text string) {
	c.d.tb.Helper()
	c.d.check(c.channel, []byte(text))
	require.NoError(c.d.tb, c.ws.WriteMessage(websocket.TextMessage, []byte(text)))
}

// until reads on to a message that holds all texts.
func (c *talk) until(texts ...string) {
	c.d.tb.Helper()
	for {
		_, data, err := c.ws.ReadMessage()
		require.NoError(c.d.tb, err, texts)
		c.d.check(c.channel, data)
		if !slices.ContainsFunc(texts, func(s string) bool { return !bytes.Contains(data, []byte(s)) }) {
			return
		}
	}
}

func TestAsyncAPIDescribesWhatIsSent(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.Dashboard = dashboard.Limits{Every: 50 * time.Millisecond} })
	now := populate(r)
	hb, err := wire.GatewayStatus{Gateway: "gw-a", Building: "A栋", Time: now, BufferLimit: 100}.Encode()
	require.NoError(t, err)
	require.NoError(t, r.nc.Publish(wire.StatusSubject("gw-a"), hb))
	r.raise(alert("x1", "a03", telemetry.SeverityCritical, telemetry.AlertActive, now))

	a := r.get("/api/asyncapi.yaml")
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.header.Get("Content-Type"), "yaml")
	d := describe(t, a.body)

	s := &talk{d, r.connect(r.portal.Addr()), "simple"}
	s.send(`{"type":"subscribe","device_ids":["a03"],"since":1}`)
	s.until(`"alert"`)
	s.send(`{"type":"subscribe_all","since":5700000000000000,"seq":true}`)
	s.until(`"device_data"`, `"seq":`)
	s.send(`{"type":"unsubscribe","device_ids":["a03"]}`)
	s.send(`{"type":"unsubscribe"}`)
	require.NoError(t, s.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"?"}`)))
	s.until(`"unknown_type"`)

	p := &talk{d, r.dashboard(), "dashboard"}
	p.until(`"hello"`)
	p.send(`{"type":"subscribe","id":"1","topics":["fleet","alerts","stats","gateways","device/a03","device/silent","building/A栋","sensors","fact/seen","fact/firmware","sensor/temperature","sensor/switch_status"],` +
		`"resume":{"epoch":"0000000000000000","seq":{"alerts":5}}}`)
	p.until(`"ack"`, `"recovered":{"alerts":false}`)
	for _, topic := range []string{"stats", "gateways", "building/A栋"} {
		p.until(`"delta"`, `"`+topic+`"`)
	}
	p.until(`"delta"`, `"fleet"`)
	r.publish("gw-a", reading("a03", "A栋", now+1000), reading("new", "C栋", now+1000))
	p.until(`"delta"`, `"device/a03"`)
	p.until(`"delta"`, `"fleet"`, `"new"`)
	r.raise(alert("x1", "a03", telemetry.SeverityCritical, telemetry.AlertCleared, now+1))
	p.until(`"delta"`, `"alerts"`)
	p.send(`{"type":"ping","id":"2"}`)
	p.until(`"pong"`)
	p.send(`{"type":"unsubscribe","id":"3","topics":["fleet"]}`)
	p.until(`"ack"`, `"3"`)
	p.send(`{"type":"command","id":"4","command":{"action":"acknowledge"}}`)
	p.until(`"id":"4"`)
	require.NoError(t, p.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","id":"5","topics":["nowhere"]}`)))
	p.until(`"unknown_topic"`, `"5"`)
	for channel, messages := range map[string][]string{ // the tests of fanout and dashboard cover these
		"dashboard": {`{"type":"lagged","topic":"fleet","dropped":3}`, `{"type":"command_result","id":"4","status":200,"result":{}}`},
		"simple":    {`{"type":"alarm_command","command":{}}`, `{"type":"device_removed","device_id":"d"}`, `{"type":"command_result","status":409,"error":{"code":"x","message":"y"}}`},
	} {
		for _, m := range messages {
			d.check(channel, []byte(m))
		}
	}
	for _, kind := range d.types("pushDashboard") {
		require.True(t, d.seen["dashboard "+kind], "%s was not seen", kind)
	}
	for _, kind := range append(d.types("pushSimple"), d.types("takeSimple")...) {
		require.True(t, d.seen["simple "+kind], "%s was not seen", kind)
	}
}

func TestAsyncAPIKnowsEveryType(t *testing.T) {
	d := describe(t, string(asyncAPI))
	require.ElementsMatch(t, dashboard.ClientTypes, d.types("takeDashboard"))
	require.ElementsMatch(t, dashboard.ServerTypes, d.types("pushDashboard"))
	for _, bad := range []string{
		`{"type":"hello"}`, `{"type":"delta","topic":"fleet","seq":1,"ts":1,"data":{"devices":[[1]]}}`, `{"type":"delta","topic":"nothing","seq":1,"ts":1,"data":{}}`,
		`{"type":"snapshot","topic":"alerts","seq":1,"ts":1,"part":1,"parts":1,"data":{}}`, `{"type":"pong","server_time":"now"}`, `{"type":"surprise"}`,
	} {
		require.Error(t, d.complaint("dashboard", []byte(bad)), bad)
	}
}

// dashboard opens a connection in the dashboard's dialect.
func (r *rig) dashboard() *websocket.Conn {
	r.tb.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: waitTimeout, Subprotocols: []string{dashboard.Subprotocol}}
	ws, resp, err := dialer.DialContext(r.tb.Context(), "ws://"+r.portal.WSAddr()+"/ws", nil)
	require.NoError(r.tb, err)
	require.NoError(r.tb, resp.Body.Close())
	r.tb.Cleanup(func() { _ = ws.Close() })
	require.NoError(r.tb, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	return ws
}

func TestSubprotocolIsNegotiated(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for offered, want := range map[string]string{
		"": "", "iot.v1.json": "iot.v1.json", "other, iot.v1.json": "iot.v1.json", "other": "refused", "iot.v2.json,graphql-ws": "refused", "IOT.V1.JSON": "refused",
	} {
		h := http.Header{}
		if offered != "" {
			h.Set("Sec-WebSocket-Protocol", offered)
		}
		ws, status, err := r.dial(r.portal.Addr(), h)
		if want == "refused" {
			require.Error(t, err, offered)
			require.Equal(t, http.StatusBadRequest, status, offered)
			continue
		}
		require.NoError(t, err, offered)
		require.Equal(t, want, ws.Subprotocol(), offered)
	}
	a := r.get("/ws", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol", "x")
	require.Contains(t, a.body, "unknown_subprotocol")
}
