package publisher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// verdict is a test gateway's reaction to one publish.
type verdict int

const (
	accept  verdict = iota
	later           // "try again"; over MQTT: disconnect
	refuse          // for good; MQTT 3.1.1 cannot say so
	swallow         // store it, say nothing
	ignore          // neither
)

// memory holds the readings stored by the test gateways, by device, in order of arrival.
type memory struct {
	mu     sync.Mutex
	decide func(device string, timestamp int64, seen int) verdict // seen: earlier arrivals of the reading
	seen   map[string]int
	stored map[string][]int64
	total  int
}

func newMemory() *memory {
	return &memory{seen: map[string]int{}, stored: map[string][]int64{}}
}

func (m *memory) arrive(device string, payload []byte) (verdict, error) {
	var r struct {
		DeviceID  string `json:"device_id"`
		Timestamp int64  `json:"timestamp"`
	}
	if err := json.Unmarshal(payload, &r); err != nil {
		return refuse, err
	}
	if r.DeviceID != device {
		return refuse, fmt.Errorf("%s published as %s", r.DeviceID, device)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := fmt.Sprintf("%s %d", r.DeviceID, r.Timestamp)
	v := accept
	if m.decide != nil {
		v = m.decide(r.DeviceID, r.Timestamp, m.seen[key])
	}
	m.seen[key]++
	if v == accept || v == swallow {
		m.stored[r.DeviceID] = append(m.stored[r.DeviceID], r.Timestamp)
		m.total++
	}
	return v, nil
}

// arriveAll takes a concentrator's batch and returns the readings refused; the others are
// stored.
func (m *memory) arriveAll(payload []byte) (refused []wire.BatchRefusal, err error) {
	var all []json.RawMessage
	if err := json.Unmarshal(payload, &all); err != nil {
		return nil, err
	}
	for i, raw := range all {
		var r struct {
			DeviceID string `json:"device_id"`
		}
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, err
		}
		if v, err := m.arrive(r.DeviceID, raw); err != nil || v == refuse {
			refused = append(refused, wire.BatchRefusal{Index: i, Error: wire.ReplyError{Code: 400}})
		}
	}
	return refused, nil
}

func (m *memory) snapshot() (stored map[string][]int64, total int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stored = map[string][]int64{}
	for d, ts := range m.stored {
		stored[d] = append([]int64(nil), ts...)
	}
	return stored, m.total
}

func (m *memory) count() int {
	_, n := m.snapshot()
	return n
}

// natsGateway is a NATS server with an intake that answers as a gateway does.
type natsGateway struct {
	t   *testing.T
	mem *memory
	srv *server.Server
	nc  *nats.Conn
}

func startNATS(t *testing.T, mem *memory, port int) *natsGateway {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(30*time.Second))
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	require.NoError(t, err)
	g := &natsGateway{t: t, mem: mem, srv: srv, nc: nc}
	_, err = nc.Subscribe(wire.TelemetrySubjects, g.intake)
	require.NoError(t, err)
	_, err = nc.Subscribe(wire.ConcentratorSubjects, g.batch)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	t.Cleanup(g.stop)
	return g
}

func (g *natsGateway) intake(m *nats.Msg) {
	device, _ := wire.DeviceOfSubject(m.Subject, '.')
	v, err := g.mem.arrive(device, m.Data)
	var reply []byte
	switch {
	case err != nil:
		reply = wire.EncodeRefusal(&telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON, Message: err.Error()})
	case v == accept:
		reply = wire.AppendAck(nil, "PACKS_test", 1, false)
	case v == later:
		reply = wire.EncodeRefusal(&telemetry.Refusal{Reason: telemetry.ReasonBufferFull, Message: "the buffer is full"})
	case v == refuse:
		reply = wire.EncodeRefusal(&telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Message: "no"})
	default:
		return
	}
	_ = m.Respond(reply) // fails only while the test stops the server
}

func (g *natsGateway) batch(m *nats.Msg) {
	refused, err := g.mem.arriveAll(m.Data)
	if err != nil {
		_ = m.Respond(wire.EncodeRefusal(&telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON, Message: err.Error()}))
		return
	}
	reply, _ := json.Marshal(wire.Reply{Stream: "PACKS_test", Seq: 1, Refused: refused})
	_ = m.Respond(reply)
}

func (g *natsGateway) stop() {
	g.nc.Close()
	g.srv.Shutdown()
	g.srv.WaitForShutdown()
}

func (g *natsGateway) addr() string { return g.srv.Addr().String() }

// mqttGateway is an MQTT broker whose publish hook decides before the PUBACK.
type mqttGateway struct {
	stop func()
	addr string
}

type intakeHook struct {
	mqtt.HookBase
	mem *memory
	srv *mqtt.Server
}

// ID implements mqtt.Hook.
func (h *intakeHook) ID() string { return "intake" }

// Provides implements mqtt.Hook.
func (h *intakeHook) Provides(b byte) bool {
	return b == mqtt.OnPublish || b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

// OnConnectAuthenticate implements mqtt.Hook.
func (h *intakeHook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck implements mqtt.Hook.
func (h *intakeHook) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// OnPublish implements mqtt.Hook.
func (h *intakeHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	from, _ := wire.SenderOfSubject(pk.TopicName, '/')
	if from.Concentrator {
		_, err := h.mem.arriveAll(pk.Payload)
		return pk, err
	}
	v, err := h.mem.arrive(from.ID, bytes.Clone(pk.Payload))
	switch {
	case err == nil && v == accept:
		return pk, nil
	case err == nil && v == later:
		cl.Stop(errors.New("later"))
	}
	return pk, packets.ErrRejectPacket
}

func startMQTT(t *testing.T, mem *memory, addr string) *mqttGateway {
	t.Helper()
	srv := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, srv.AddHook(&intakeHook{mem: mem, srv: srv}, nil))
	l := listeners.NewTCP(listeners.Config{ID: "t", Address: addr})
	require.NoError(t, srv.AddListener(l))
	require.NoError(t, srv.Serve())
	stop := sync.OnceFunc(func() { require.NoError(t, srv.Close()) })
	t.Cleanup(stop)
	return &mqttGateway{stop: stop, addr: l.Address()}
}
