package relay

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/topology"
)

// child is set in a copy of the test program that runs as a bridge, to be killed by a test.
type child struct {
	Run bool `env:"BRIDGE_TEST_CHILD"`
}

func TestMain(m *testing.M) {
	var c child
	if err := config.FromEnvironment(&c); err == nil && c.Run {
		os.Exit(beBridge()) //nolint:forbidigo // this process is a bridge, not a test
	}
	goleak.VerifyTestMain(m)
}

// beBridge runs a bridge set up by the environment.
func beBridge() int {
	var cfg Config
	if err := config.FromEnvironment(&cfg); err != nil {
		return 2
	}
	ctx, cancel := lifecycle.SignalContext()
	defer cancel()
	r, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 2
	}
	if err := r.Run(ctx); err != nil {
		return 1
	}
	return 0
}

// cluster is the Kafka side of a test: brokers, topics and names that no other test uses.
type cluster struct {
	t       testing.TB
	brokers []string
	topics  topology.Topics
	cfg     Config
}

func newCluster(tb testing.TB) *cluster {
	tb.Helper()
	return newClusterAt(tb, kafkatest.Brokers(tb))
}

func newClusterAt(tb testing.TB, brokers []string) *cluster {
	tb.Helper()
	p := &cluster{t: tb, brokers: brokers, topics: kafkatest.Topics(tb)}
	p.cfg = Config{
		HubAddr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0",
		Lanes: 4, GroupID: kafkatest.Name(tb, "bridge"), TxnPrefix: kafkatest.Name(tb, "bridge") + "-",
		HubAuth: "off", LeafCompression: compressAuto, TrimMargin: 100, Batch: 5000, CommitMin: 2 * time.Millisecond, CommitMax: 2 * time.Millisecond,
	}
	p.cfg.Brokers, p.cfg.Topics = p.brokers, p.topics
	return p
}

// bridge is a running relay.
type bridge struct {
	*Relay
	t      testing.TB
	reg    *prometheus.Registry
	cancel context.CancelFunc
	done   chan error
}

// bridge starts a bridge. Changes are made to its options before. The next one listens where it
// listened, so a test that starts several does not run in parallel: a server of another could
// take the port.
func (p *cluster) bridge(wrap func(int32, lane.Producer) lane.Producer) *bridge {
	p.t.Helper()
	b := &bridge{t: p.t, reg: prometheus.NewRegistry(), done: make(chan error, 1)}
	var err error
	log := slog.New(slog.NewTextHandler(testLog{p.t}, nil))
	if _, measuring := p.t.(*testing.B); measuring {
		log = slog.New(slog.DiscardHandler)
	}
	b.Relay, err = New(Options{Config: p.cfg, Log: log, Registry: b.reg})
	require.NoError(p.t, err)
	if wrap != nil {
		b.wrap = wrap
	}
	// Gateways that were given the address dial it again after a restart of the bridge.
	p.cfg.LeafAddr = b.Relay.LeafAddr()
	if p.cfg.LeafAddr == "" {
		p.cfg.LeafAddr = "127.0.0.1:0"
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	b.cancel = cancel
	go func() { b.done <- b.Run(ctx) }()
	p.t.Cleanup(func() { b.stop() })
	return b
}

// stop ends the bridge in order.
func (b *bridge) stop() {
	b.t.Helper()
	if b.cancel == nil {
		return
	}
	b.cancel()
	b.cancel = nil
	select {
	case err := <-b.done:
		require.NoError(b.t, err)
	case <-time.After(waitTimeout):
		require.Fail(b.t, "bridge does not stop")
	}
}

func (b *bridge) ready() {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.Ready() == nil }, waitTimeout, 20*time.Millisecond, "bridge gets ready")
}

// metric sums the samples of a counter or gauge that have the labels. It is -1 when there
// are none.
func (b *bridge) metric(name string, labels ...string) int {
	b.t.Helper()
	families, err := b.reg.Gather()
	require.NoError(b.t, err)
	sum, found := 0.0, false
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && has(m, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				found = true
			}
		}
	}
	if !found {
		return -1
	}
	return int(sum)
}

// reaches waits for a metric, which follows a moment after what it counts.
func (b *bridge) reaches(want int, name string, labels ...string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.metric(name, labels...) == want }, waitTimeout, 10*time.Millisecond, "%s %v becomes %d", name, labels, want)
}

func has(m *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		ok := false
		for _, l := range m.GetLabel() {
			ok = ok || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !ok {
			return false
		}
	}
	return true
}

// testLog shows the log of a test that failed.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Helper()
	l.t.Log(string(p[:len(p)-1]))
	return len(p), nil
}
