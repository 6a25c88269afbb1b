package plant

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/web"
)

// centreTimeout bounds each wait.
const centreTimeout = 3 * time.Minute

// centre is a Kafka, with a bridge, a portal and a gateway that can be stopped and started again.
type centre struct {
	t                       *testing.T
	edge                    gateway.Config
	hub                     relay.Config
	page                    web.Config
	gateway                 *gateway.Gateway
	bridge                  *relay.Relay
	portal                  *web.Portal
	stopEdge, stopHub, stop func()
}

func newCentre(t *testing.T) *centre {
	t.Helper()
	at := kafka.Config{Cluster: kafka.At(kafkatest.Brokers(t)...)}
	topics := kafkatest.Topics(t)
	c := &centre{
		t: t,
		hub: relay.Config{
			HubAddr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Lanes: 1, GroupID: kafkatest.Name(t, "bridge"), TxnPrefix: kafkatest.Name(t, "bridge"),
			HubAuth: "off", LeafCompression: "off", TrimMargin: 100, Batch: 5000, CommitMin: 2 * time.Millisecond, CommitMax: 2 * time.Millisecond,
			Config: at, Topics: topics,
		},
		edge: gateway.Config{
			ID: "gw-a", Building: "A栋", NATSAddr: "127.0.0.1:0", MQTTAddr: "127.0.0.1:0", DataDir: t.TempDir(), BufferBytes: 1 << 30, Linger: 3 * time.Millisecond,
			MaxConnections: 1000, MaxPerIP: 1000, DeviceAuth: "required", TLSMode: "required", MaxDevices: 1000,
		},
		page: web.Config{
			Addr: "127.0.0.1:0", WebSocketPath: "/ws", MaxConnections: 100, AuditEntries: 100, GroupID: kafkatest.Name(t, "core"), Config: at, Topics: topics,
		},
	}
	c.startHub()
	c.startEdge()
	c.startPortal()
	return c
}

// startHub starts the bridge, always on the same ports.
func (c *centre) startHub() {
	c.t.Helper()
	b, err := relay.New(relay.Options{Config: c.hub, Log: slog.New(slog.DiscardHandler)})
	require.NoError(c.t, err)
	c.bridge, c.stopHub = b, running(c.t, b.Run)
	c.hub.LeafAddr, c.hub.HubAddr = b.LeafAddr(), strings.TrimPrefix(b.HubURL(), "nats://")
	c.edge.HubURL, c.page.HubURL = "nats-leaf://"+b.LeafAddr(), b.HubURL()
}

func (c *centre) startEdge() {
	c.t.Helper()
	g, err := gateway.New(gateway.Options{Config: c.edge, Log: slog.New(slog.DiscardHandler), StallAfter: centreTimeout})
	require.NoError(c.t, err)
	c.gateway, c.stopEdge = g, running(c.t, g.Run)
	c.edge.NATSAddr = g.NATSAddr()
}

func (c *centre) startPortal() {
	c.t.Helper()
	p, err := web.New(web.Options{Config: c.page, Log: slog.New(slog.DiscardHandler), AnswerWithin: centreTimeout})
	require.NoError(c.t, err)
	c.portal, c.stop = p, running(c.t, p.Run)
	c.eventually(func() bool { return p.Ready() == nil })
}

func (c *centre) eventually(f func() bool) {
	c.t.Helper()
	require.Eventually(c.t, f, centreTimeout, 10*time.Millisecond)
}

// ask asks the portal about the devices of the gateway, until it has read Kafka.
func (c *centre) ask(method, path, body string) (answer struct {
	Secret string
	Device struct{ State string }
	Items  []struct {
		Device string `json:"device_id"`
		State  string
	}
},
) {
	c.t.Helper()
	c.eventually(func() bool {
		r, err := http.NewRequestWithContext(c.t.Context(), method, c.portal.URL()+"/api/v1/gateways/gw-a/devices"+path, strings.NewReader(body))
		require.NoError(c.t, err)
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		client := http.Client{Timeout: centreTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(r)
		if err != nil {
			return false
		}
		data, err := io.ReadAll(resp.Body)
		require.NoError(c.t, errors.Join(err, resp.Body.Close()))
		return resp.StatusCode == http.StatusOK && json.Unmarshal(data, &answer) == nil
	})
	return answer
}

func (c *centre) state(device string) string {
	c.t.Helper()
	for _, d := range c.ask(http.MethodGet, "", "").Items {
		if d.Device == device {
			return d.State
		}
	}
	return ""
}

// becomes waits for the state of a device.
func (c *centre) becomes(device, state string) {
	c.t.Helper()
	c.eventually(func() bool { return c.state(device) == state })
}

// connect connects as a device.
func (c *centre) connect(id, secret string) (*nats.Conn, error) {
	return nats.Connect(c.gateway.NATSAddr(), nats.UserInfo(id, secret), nats.NoReconnect(), nats.Timeout(centreTimeout))
}

// TestDevicesFromTheCentre: a device that was added on the portal connects; one that is revoked while the gateway
// has no hub, or is off, is pending and still connected, and is cut and stays out once the gateway is back. All of
// it holds after restarts of everything, and after the gateway has lost what it stored.
func TestDevicesFromTheCentre(t *testing.T) {
	c := newCentre(t)
	added := c.ask(http.MethodPost, "", `{"by":"李工","device_id":"d1"}`)
	second := c.ask(http.MethodPost, "", `{"by":"李工","device_id":"d2"}`)
	c.becomes("d1", "held")
	c.becomes("d2", "held")
	device, err := c.connect("d1", added.Secret)
	require.NoError(t, err)
	defer device.Close()
	other, err := c.connect("d2", second.Secret)
	require.NoError(t, err)
	defer other.Close()
	_, err = c.connect("d2", added.Secret)
	require.ErrorIs(t, err, nats.ErrAuthorization)

	c.stopHub()
	require.Equal(t, "pending", c.ask(http.MethodDelete, "/d1", `{"by":"李工"}`).Device.State)
	require.Equal(t, "pending", c.state("d1"))
	require.NoError(t, device.FlushTimeout(centreTimeout), "the gateway does not know yet")
	c.startHub()
	c.becomes("d1", "revoked")
	c.eventually(device.IsClosed)
	_, err = c.connect("d1", added.Secret)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	require.NoError(t, other.FlushTimeout(centreTimeout), "the other one stays")

	c.stopEdge()
	require.Equal(t, "pending", c.ask(http.MethodDelete, "/d2", `{"by":"李工"}`).Device.State)
	c.ask(http.MethodPost, "", `{"by":"李工","device_id":"d3"}`)
	c.stop()
	c.stopHub()
	c.startHub()
	c.startPortal()
	require.Equal(t, "pending", c.state("d2"))
	c.startEdge()
	for device, state := range map[string]string{"d1": "revoked", "d2": "revoked", "d3": "held"} {
		c.becomes(device, state)
	}
	for id, secret := range map[string]string{"d1": added.Secret, "d2": second.Secret} {
		_, err = c.connect(id, secret)
		require.ErrorIs(t, err, nats.ErrAuthorization, id)
	}

	third := c.ask(http.MethodPost, "/d3/rotate", `{"by":"李工"}`)
	c.becomes("d3", "held")
	c.stopEdge()
	file := c.edge.DataDir + "/gw-a/security/devices.centre"
	require.FileExists(t, file)
	require.NoError(t, os.Remove(file))
	c.startEdge()
	c.eventually(func() bool {
		nc, err := c.connect("d3", third.Secret)
		if err != nil {
			return false
		}
		nc.Close()
		return true
	})
	require.FileExists(t, file)
}

// TestForgedRecordsOfDevicesReachNothing: from the account of another gateway, from that of the plant, and from a
// device of the gateway itself.
func TestForgedRecordsOfDevicesReachNothing(t *testing.T) {
	c := newCentre(t)
	added := c.ask(http.MethodPost, "", `{"by":"李工","device_id":"d1"}`)
	c.becomes("d1", "held")
	before, err := os.ReadFile(c.edge.DataDir + "/gw-a/security/devices.centre")
	require.NoError(t, err)
	forged, err := json.Marshal(wire.DeviceRecords{Topic: "forged", Records: []wire.DeviceRecord{{Version: 1, Record: []byte(`{"gateway":"gw-a","id":"d1","revoked":1}`)}}})
	require.NoError(t, err)
	for name, connect := range map[string]func() (*nats.Conn, error){
		"another gateway": func() (*nats.Conn, error) { return nats.Connect(c.bridge.HubURL(), nats.UserInfo("bridge/gw-b", "")) },
		"the plant":       func() (*nats.Conn, error) { return nats.Connect(c.bridge.HubURL()) },
	} {
		nc, err := connect()
		require.NoError(t, err, name)
		_, err = nc.Request(wire.DevicesSubject("gw-a"), forged, centreTimeout)
		require.ErrorIs(t, err, nats.ErrNoResponders, name)
		nc.Close()
	}
	refused := make(chan error, 1)
	device, err := nats.Connect(c.gateway.NATSAddr(), nats.UserInfo("d1", added.Secret), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	defer device.Close()
	require.NoError(t, device.Publish(wire.DevicesSubject("gw-a"), forged))
	require.ErrorIs(t, <-refused, nats.ErrPermissionViolation)
	after, err := os.ReadFile(c.edge.DataDir + "/gw-a/security/devices.centre")
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Equal(t, "held", c.state("d1"))
}
