package relay

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
)

// second starts another installation under gw-a that has packs of its own.
func second(t *testing.T, leaf string) *gateway {
	t.Helper()
	nowhere := newExpected() // nothing of it is expected in Kafka
	g := newInstallation(t, "gw-a", "2222222222222222", leaf, nowhere)
	g.storeMany(30, 10)
	return g
}

func TestSecondInstallationIsRefusedByTheHub(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	first := newInstallation(t, "gw-a", "1111111111111111", b.LeafAddr(), want)
	first.storeMany(10, 10)
	want.check(t, p)
	l := b.ledgers(t)
	other := second(t, b.LeafAddr())
	l.becomes("gw-a", "the other one is named", func(l wire.GatewayLedger) bool { return l.Duplicate != "" })
	first.storeMany(10, 10)
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"))
	other.stop()
	l.becomes("gw-a", "it is over", func(l wire.GatewayLedger) bool { return l.Duplicate == "" })
}

// An external hub lets both in. Whatever is asked of the gateway then is answered by
// either, so it is not asked.
func TestSecondInstallationAtAnExternalHubIsNotRead(t *testing.T) {
	t.Parallel()
	hub, err := server.NewServer(&server.Options{
		ServerName: "external", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT},
	})
	require.NoError(t, err)
	hub.Start()
	require.True(t, hub.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { hub.Shutdown(); hub.WaitForShutdown() })
	varz, err := hub.Varz(nil)
	require.NoError(t, err)
	leaf := fmt.Sprintf("127.0.0.1:%d", varz.LeafNode.Port)

	p, want := newCluster(t), newExpected()
	p.cfg.HubURL = hub.ClientURL()
	b := p.bridge(nil)
	first := newInstallation(t, "gw-a", "1111111111111111", leaf, want)
	first.storeMany(10, 10)
	want.check(t, p)
	l := b.ledgers(t)
	other := second(t, leaf)
	l.becomes("gw-a", "both are known", func(l wire.GatewayLedger) bool { return l.Duplicate != "" })
	require.NotContains(t, b.roster.Gateways(), "gw-a")
	kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, 100, waitTimeout)
	want.check(t, p) // nothing of the second crossed
	other.stop()
	l.becomes("gw-a", "it is over", func(l wire.GatewayLedger) bool { return l.Duplicate == "" })
	first.storeMany(10, 10)
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"))
}
