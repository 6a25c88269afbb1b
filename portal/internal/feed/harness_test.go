package feed

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTimeout bounds each wait of a test.
const waitTimeout = 180 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// startNATS runs a hub's NATS server; port -1 picks a free one.
func startNATS(tb testing.TB, port int) *server.Server {
	tb.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true})
	require.NoError(tb, err)
	s.Start()
	require.True(tb, s.ReadyForConnections(waitTimeout))
	tb.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

func portOf(tb testing.TB, s *server.Server) int {
	tb.Helper()
	a, ok := s.Addr().(*net.TCPAddr)
	require.True(tb, ok)
	return a.Port
}

// news records the alerts that the observer receives.
type news struct {
	mu     sync.Mutex
	alerts []string
}

func (n *news) Added(*state.Device)      {}
func (n *news) Removed(*state.Device)    {}
func (n *news) Described(*state.Device)  {}
func (n *news) Readings([]*state.Device) {}
func (n *news) Alert(a *state.Alert) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alerts = append(n.alerts, a.AlertID+" "+string(a.Status))
}

func (n *news) get() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.alerts...)
}

// rig is a running feed.
type rig struct {
	tb     testing.TB
	feed   *Feed
	model  *state.Model
	trail  *audit.Trail
	news   *news
	hub    *server.Server
	topics topology.Topics
	reg    *prometheus.Registry
}

func start(tb testing.TB, brokers []string, topics topology.Topics) *rig {
	tb.Helper()
	r := &rig{tb: tb, model: state.New(state.Options{}), trail: audit.NewTrail(100), news: &news{}, hub: startNATS(tb, -1), topics: topics, reg: prometheus.NewRegistry()}
	r.model.Observe(r.news)
	var err error
	r.feed, err = New(Options{
		Model: r.model, Trail: r.trail, HubURL: r.hub.ClientURL(), Cluster: kafka.At(brokers...), Topics: topics, Log: quiet, Registry: r.reg,
	})
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it must end before the servers do
	done := make(chan error, 1)
	go func() { done <- r.feed.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(tb, err)
		case <-time.After(waitTimeout):
			require.Fail(tb, "the feed does not stop")
		}
	})
	return r
}

func (r *rig) eventually(what string, f func() bool) {
	r.tb.Helper()
	require.Eventually(r.tb, f, waitTimeout, 10*time.Millisecond, what)
}

func (r *rig) ready() {
	r.tb.Helper()
	r.eventually("ready", func() bool { return r.feed.Ready() == nil })
}

// publish sends to the hub through a connection of its own.
func (r *rig) publish(subject string, data []byte) {
	r.tb.Helper()
	nc, err := nats.Connect(r.hub.ClientURL())
	require.NoError(r.tb, err)
	defer nc.Close()
	require.NoError(r.tb, nc.Publish(subject, data))
	require.NoError(r.tb, nc.Flush())
}

func frame(id string, ts int64) []byte {
	var b wire.FrameBuilder
	b.Reset("gw-a")
	b.Add(wire.FrameEntry{
		Device: id, Timestamp: ts, Received: ts,
		Payload: fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋"},"sensors":{}}`, id, ts),
	})
	return append([]byte(nil), b.Finish()...)
}

func (r *rig) timestamp(id string) (ts int64) {
	r.model.View(func() {
		if d := r.model.Device(id); d != nil {
			ts = d.Timestamp()
		}
	})
	return ts
}

func (r *rig) malformed(source string) float64 {
	r.tb.Helper()
	families, err := r.reg.Gather()
	require.NoError(r.tb, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "portal_decode_errors_total" && m.GetLabel()[0].GetValue() == source {
				return m.GetCounter().GetValue()
			}
		}
	}
	require.Fail(r.tb, "no such metric", source)
	return 0
}

func alert(id string, status telemetry.AlertStatus) kafkatest.Record {
	return kafkatest.Record{
		Key:   []byte("d1"),
		Value: fmt.Appendf(nil, `{"alert_id":%q,"device_id":"d1","severity":"high","status":%q,"timestamp":1}`, id, status),
	}
}

func ensure(tb testing.TB, brokers []string, topics topology.Topics) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), waitTimeout)
	defer cancel()
	require.NoError(tb, kafka.EnsureTopics(ctx, quiet, kafka.At(brokers...),
		kafka.Topic{Name: topics.Alerts, Partitions: 3}, kafka.Topic{Name: topics.DeviceState, Partitions: 10, Compacted: true}))
}
