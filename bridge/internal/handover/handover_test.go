package handover

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = time.Minute

// gateway answers as one does, with what it has taken so far.
type gateway struct {
	mu      sync.Mutex
	have    wire.DeviceVersion
	problem string // with which it refuses everything
	taken   map[string]int64
	asked   int
}

func (g *gateway) answer(m *nats.Msg) {
	var r wire.DeviceRecords
	if json.Unmarshal(m.Data, &r) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	if r.Topic != g.have.Topic && r.After == 0 {
		g.have = wire.DeviceVersion{Topic: r.Topic}
	}
	have := g.have
	if have.Error = g.problem; have.Error == "" && r.After <= have.Version {
		for _, d := range r.Records {
			c, err := access.DecodeDevice(d.Record)
			if err == nil {
				g.taken[c.ID] = d.Version
				have.Version = d.Version
			}
		}
		g.have = have
	}
	data, _ := json.Marshal(have) // of strings and numbers
	_ = m.Respond(data)
}

// stored is what its heartbeat says.
func (g *gateway) stored() *wire.DeviceVersion {
	g.mu.Lock()
	defer g.mu.Unlock()
	return new(g.have)
}

func (g *gateway) set(problem string, have wire.DeviceVersion) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.problem, g.have = problem, have
}

// start returns a Handover, with a line to one gateway.
func start(t *testing.T) (*Handover, *gateway) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(waitTimeout))
	nc, err := nats.Connect(srv.ClientURL())
	require.NoError(t, err)
	g := &gateway{taken: map[string]int64{}}
	_, err = nc.Subscribe(wire.DevicesSubject("gw-a"), g.answer)
	require.NoError(t, err)
	h, err := New(Options{
		Line: func(string) (*nats.Conn, error) { return nc, nil }, Serves: func(string) bool { return true },
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		h.Close()
		nc.Close()
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	return h, g
}

// beat has the gateway's heartbeat arrive, and waits until what it starts has ended.
func beat(h *Handover, g *gateway) {
	h.Beat("gw-a", g.stored())
	h.working.Wait()
}

func add(h *Handover, id string, version int64) {
	d := access.Device{Gateway: "gw-a", Credential: credential.Credential{ID: id, Kind: credential.Secret, Hashes: [][]byte{credential.HashOf(id)}}}
	h.Apply(access.DeviceRecordKey("gw-a", id), d.Encode(), version)
}

// TestOnlyWhatAGatewayLacksTravels, once all records were read, and again after a failure.
func TestOnlyWhatAGatewayLacksTravels(t *testing.T) {
	h, g := start(t)
	h.Start("t1")
	add(h, "d1", 3)
	add(h, "d2", 5)
	add(h, "d1", 9)
	beat(h, g)
	require.Empty(t, g.taken, "they were not all read")
	h.Complete()
	g.set("the disk is full", wire.DeviceVersion{})
	beat(h, g)
	require.Empty(t, g.taken)
	require.InDelta(t, 1, testutil.ToFloat64(h.failed), 0)
	g.set("", wire.DeviceVersion{})
	beat(h, g)
	require.Equal(t, map[string]int64{"d2": 5, "d1": 9}, g.taken)
	asked := g.asked
	beat(h, g)
	require.Equal(t, asked, g.asked, "it has everything")
	clear(g.taken)
	add(h, "d3", 12)
	beat(h, g)
	require.Equal(t, map[string]int64{"d3": 12}, g.taken)
	clear(g.taken)
	g.set("", wire.DeviceVersion{})
	beat(h, g)
	require.Equal(t, map[string]int64{"d2": 5, "d1": 9, "d3": 12}, g.taken, "it lost its disk")
	clear(g.taken)
	h.Start("t2")
	add(h, "d1", 1)
	h.Complete()
	beat(h, g)
	require.Equal(t, map[string]int64{"d1": 1}, g.taken, "another topic counts from its start")
}

// TestManyDevicesTravelInSeveralMessages that a gateway takes.
func TestManyDevicesTravelInSeveralMessages(t *testing.T) {
	h, g := start(t)
	h.Start("t1")
	for i := range int64(4000) {
		add(h, fmt.Sprintf("%s_%d", strings.Repeat("d", 40), i), i+1)
	}
	h.Complete()
	beat(h, g)
	require.Len(t, g.taken, 4000)
	require.Greater(t, g.asked, 1)
}

// TestBadRecordLeavesTheOneBefore, and a heartbeat of another gateway asks for nothing.
func TestBadRecordLeavesTheOneBefore(t *testing.T) {
	h, g := start(t)
	h.Start("t1")
	add(h, "d1", 1)
	h.Apply(access.DeviceRecordKey("gw-a", "d1"), []byte(`{"gateway":"gw-b","id":"d1","revoked":1}`), 2)
	h.Apply(access.DeviceRecordKey("gw-a", "d1"), []byte(`{`), 3)
	h.Apply(access.GatewayRecordKey("gw-a"), []byte(`{}`), 4)
	h.Complete()
	h.Beat("gw-b", &wire.DeviceVersion{})
	h.Beat("gw-a", nil)
	h.working.Wait()
	require.Zero(t, g.asked, "another gateway, one that takes none")
	beat(h, g)
	require.Equal(t, map[string]int64{"d1": 1}, g.taken)
	h.Apply(access.DeviceRecordKey("gw-a", "d1"), nil, 5)
	g.set("", wire.DeviceVersion{})
	beat(h, g)
	require.Equal(t, 1, g.asked, "what was removed is not handed over")
}
