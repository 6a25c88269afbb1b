package publisher

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
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

func startNATS(t *testing.T, mem *memory, addr string) *natsGateway {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	srv, err := server.NewServer(&server.Options{Host: host, Port: number, NoLog: true, NoSigs: true})
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

// mqttGateway accepts MQTT connections and answers a publish as a gateway does.
type mqttGateway struct {
	mem  *memory
	ln   net.Listener
	addr string
	work sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil after stop
}

func startMQTT(t *testing.T, mem *memory, addr string) *mqttGateway {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	require.NoError(t, err)
	g := &mqttGateway{mem: mem, ln: ln, addr: ln.Addr().String(), conns: map[net.Conn]bool{}}
	g.work.Go(g.accept)
	t.Cleanup(g.stop)
	return g
}

func (g *mqttGateway) accept() {
	for {
		conn, err := g.ln.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		stopped := g.conns == nil
		if !stopped {
			g.conns[conn] = true
			g.work.Go(func() { g.serve(conn) })
		}
		g.mu.Unlock()
		if stopped {
			_ = conn.Close()
		}
	}
}

// serve answers packets until one says goodbye or cannot be answered.
func (g *mqttGateway) serve(conn net.Conn) {
	in, err := bufio.NewReader(conn), error(nil)
	for err == nil {
		var p packets.ControlPacket
		if p, err = packets.ReadPacket(in); err == nil {
			err = g.answer(conn, p)
		}
	}
	_ = conn.Close()
	g.mu.Lock()
	delete(g.conns, conn)
	g.mu.Unlock()
}

func (g *mqttGateway) answer(conn net.Conn, p packets.ControlPacket) error {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return packets.NewControlPacket(packets.Connack).Write(conn)
	case *packets.PingreqPacket:
		return packets.NewControlPacket(packets.Pingresp).Write(conn)
	case *packets.PublishPacket:
		v, err := g.take(p)
		switch {
		case err != nil:
			return err
		case v == later:
			return errors.New("later")
		case v == accept:
			ack := packets.PubackPacket{FixedHeader: packets.FixedHeader{MessageType: packets.Puback}, MessageID: p.MessageID}
			return ack.Write(conn)
		}
		return nil
	default:
		return io.EOF
	}
}

func (g *mqttGateway) take(p *packets.PublishPacket) (verdict, error) {
	from, _ := wire.SenderOfSubject(p.TopicName, '/')
	if from.Concentrator {
		_, err := g.mem.arriveAll(p.Payload)
		return accept, err
	}
	return g.mem.arrive(from.ID, p.Payload)
}

// stop closes all connections and returns when nothing runs any more.
func (g *mqttGateway) stop() {
	_ = g.ln.Close()
	g.mu.Lock()
	for conn := range g.conns {
		_ = conn.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.work.Wait()
}
