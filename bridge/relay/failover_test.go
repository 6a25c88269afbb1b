package relay

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// newSharedPlant is a plant with a hub of its own, four gateways and a bridge that is
// ready; further bridges share its lanes.
func newSharedPlant(t *testing.T) (*cluster, *expected, []*gateway, *bridge) {
	t.Helper()
	p, want := newCluster(t), newExpected()
	h, err := hub.New(hub.Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(h.Shutdown)
	p.cfg.HubURL = h.URL()
	p.cfg.Batch = 100
	var gateways []*gateway
	for i := range 4 {
		gateways = append(gateways, newGateway(t, fmt.Sprintf("gw-%d", i), h.LeafAddr(), want))
	}
	survivor := p.bridge(nil)
	survivor.ready()
	return p, want, gateways, survivor
}

// bothWork waits until the readings of all lanes have arrived: the second bridge is a member of the
// group for good and works. One that is killed while it joins may stay a member of the embedded
// broker's group for ever. More packs are on their way when it returns.
func (p *cluster) bothWork(gateways []*gateway) {
	p.t.Helper()
	for _, g := range gateways {
		g.storeMany(50, 10)
	}
	kafkatest.ReadAll(p.t, p.brokers, p.topics.DeviceData, 50*10*len(gateways), waitTimeout)
	for _, g := range gateways {
		g.storeMany(50, 10)
	}
}

// A second bridge shares the lanes; then one of them is killed, as by a power cut.
func TestKilledBridgeIsTakenOver(t *testing.T) {
	t.Parallel()
	p, want, gateways, survivor := newSharedPlant(t)
	victim := spawn(t, p.cfg)
	require.Eventually(t, func() bool { return survivor.metric("bridge_lanes_owned") == 2 }, waitTimeout, 20*time.Millisecond, "lanes are shared")
	p.bothWork(gateways)
	require.NoError(t, victim.Process.Kill())
	_, _ = victim.Process.Wait()
	for _, g := range gateways {
		g.storeMany(20, 10)
	}
	require.Eventually(t, func() bool { return survivor.metric("bridge_lanes_owned") == 4 }, waitTimeout, 20*time.Millisecond, "lanes are taken over")
	want.check(t, p)
	require.Zero(t, survivor.metric("bridge_losses_total"))
}

// spawn runs a bridge in a process of its own.
func spawn(tb testing.TB, cfg Config) *exec.Cmd {
	tb.Helper()
	self, err := os.Executable()
	require.NoError(tb, err)
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), self)
	cmd.Dir = tb.TempDir()
	cmd.Env = append(cmd.Environ(),
		"BRIDGE_TEST_CHILD=true", "BRIDGE_HTTP_ADDR=", "HUB_URL="+cfg.HubURL, "KAFKA_BROKERS="+strings.Join(cfg.Brokers, ","),
		"BRIDGE_GROUP_ID="+cfg.GroupID, "BRIDGE_TXN_PREFIX="+cfg.TxnPrefix, fmt.Sprintf("BRIDGE_BATCH=%d", cfg.Batch), fmt.Sprintf("BRIDGE_TRIM_MARGIN=%d", cfg.TrimMargin),
		"KAFKA_TOPIC_DEVICE_DATA="+cfg.DeviceData, "KAFKA_TOPIC_DEAD_LETTERS="+cfg.DeadLetters, "KAFKA_TOPIC_CHECKPOINTS="+cfg.Checkpoints,
	)
	require.NoError(tb, cmd.Start())
	tb.Cleanup(func() { kill(cmd) })
	return cmd
}

// kill ends a process as a power cut does. One that is gone already is no matter.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_, _ = cmd.Process.Wait()
}

// A bridge that is stopped by its host for a while must not go on where it was: its lanes
// are another's.
func TestFrozenBridgeIsFencedWhenItWakes(t *testing.T) {
	t.Parallel()
	p, want, gateways, survivor := newSharedPlant(t)
	frozen := spawn(t, p.cfg)
	survivor.reaches(2, "bridge_lanes_owned")
	p.bothWork(gateways)
	require.NoError(t, frozen.Process.Signal(syscall.SIGSTOP))
	start := time.Now()
	for _, g := range gateways {
		g.storeMany(20, 10)
	}
	survivor.reaches(4, "bridge_lanes_owned")
	t.Logf("lanes were taken over after %s", time.Since(start).Round(time.Millisecond))
	want.check(t, p)
	require.NoError(t, frozen.Process.Signal(syscall.SIGCONT))
	for _, g := range gateways {
		g.storeMany(20, 10)
	}
	survivor.reaches(2, "bridge_lanes_owned") // it is a member again
	for _, g := range gateways {
		g.storeMany(20, 10)
	}
	want.check(t, p)
	require.Zero(t, survivor.metric("bridge_losses_total"))
	require.LessOrEqual(t, survivor.metric("bridge_ledger_difference"), 0)
}

func TestBridgeWaitsForKafka(t *testing.T) {
	dir := t.TempDir()
	broker := kafkatest.Embedded(t, devkafka.Options{DataDir: dir})
	addr := broker.Addr()
	require.NoError(t, broker.Close())
	p, want := newClusterAt(t, []string{addr}), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(10, 10)
	require.ErrorContains(t, b.Ready(), "kafka")
	broker = kafkatest.Embedded(t, devkafka.Options{DataDir: dir, Addr: addr})
	b.ready()
	want.check(t, p)

	require.NoError(t, broker.Close()) // and through an outage
	g.storeMany(10, 10)
	kafkatest.Embedded(t, devkafka.Options{DataDir: dir, Addr: addr})
	want.check(t, p)
}

func TestBridgeStopsWithoutKafka(t *testing.T) {
	broker := kafkatest.Embedded(t, devkafka.Options{})
	p, want := newClusterAt(t, []string{broker.Addr()}), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(10, 10)
	want.check(t, p)
	require.NoError(t, broker.Close())
	g.storeMany(10, 10)
	start := time.Now()
	b.stop()
	t.Logf("stopped in %s", time.Since(start).Round(time.Millisecond))
}
