//go:build monitoring

package monitoring

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/cluster"
)

// healthy is how long no alert may fire: longer than every "for" of the rules but those of an hour.
const healthy = 45 * time.Second

// breakage is something that breaks, and the alert that has to say so.
type breakage struct {
	name   string
	alert  map[string]string // its labels
	page   bool              // or ticket
	others []string          // alerts that may come with it
	fault  func(t *testing.T, p *plant)
	repair func(t *testing.T, p *plant)
}

var breakages = []breakage{
	{
		name:   "a gateway stops",
		alert:  map[string]string{"alertname": "GatewaySilent", "gateway": "gw-b"},
		page:   true,
		others: []string{"TargetDown"},
		fault:  func(t *testing.T, p *plant) { t.Helper(); require.NoError(t, p.Stop("gw-b")) },
		repair: func(t *testing.T, p *plant) { t.Helper(); p.start(t, "gw-b") },
	},
	{
		name:   "a device sends junk",
		alert:  map[string]string{"alertname": "JunkFromDevices", "gateway": "gw-a", "reason": "invalid_json"},
		others: []string{"DeadLetters"},
		fault:  func(t *testing.T, p *plant) { t.Helper(); p.sendJunk(t) },
		repair: func(t *testing.T, p *plant) { t.Helper(); p.stopJunk() },
	},
	{
		name:   "the bridge is killed",
		alert:  map[string]string{"alertname": "TargetDown", "job": "bridge"},
		page:   true,
		others: []string{"GatewaySilent", "GatewayHubDown", "NoReadingsInKafka", "ProgramNotReady", "BridgeBehind", "AlarmsLate", "LivePathSheds"},
		fault:  func(t *testing.T, p *plant) { t.Helper(); require.NoError(t, p.Kill(cluster.Bridge)) },
		repair: func(t *testing.T, p *plant) { t.Helper(); p.start(t, cluster.Bridge) },
	},
	{
		name:   "Kafka is killed",
		alert:  map[string]string{"alertname": "PortalKafkaUnreachable"},
		page:   true,
		others: []string{"NoReadingsInKafka", "ProgramNotReady", "CoreWithoutPartitions", "CoreTransactionsAbort", "BridgeTransactionsFail", "BridgeBehind", "LaneRestarts", "StoreBehind", "AlarmsLate", "LivePathSheds", "CoreBehind"},
		fault:  func(t *testing.T, p *plant) { t.Helper(); require.NoError(t, p.Kill(cluster.Kafka)) },
		repair: func(t *testing.T, p *plant) { t.Helper(); p.start(t, cluster.Kafka) },
	},
}

// plant is a running cluster, and what watches it.
type plant struct {
	*cluster.Cluster
	hook *webhook
	prom prometheus
	junk context.CancelFunc
}

// startPlant starts two gateways with 100 devices, and monitoring once readings flow. It may be given an environment for
// some programs, and more programs.
func startPlant(t *testing.T, env func(program string) map[string]string, more ...func(c *cluster.Cluster)) *plant {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	c, err := cluster.New(ctx, cluster.Options{Dir: t.TempDir(), Gateways: 2, EnvOf: env})
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("stopping the cluster: %v", err)
		}
	})
	c.Add("sim", cluster.Program{Binary: "sim", Args: []string{
		"-http=", "-protocol=nats", "-nats=" + strings.Join(c.NATS(), ","), "-devices=100", "-interval=1s", "-progress=10s",
	}})
	for _, add := range more {
		add(c)
	}
	require.NoError(t, c.StartAll(ctx))
	p := &plant{Cluster: c, hook: startWebhook(t)}
	require.Eventually(t, func() bool {
		m, err := c.Metrics(ctx, cluster.Portal)
		return err == nil && m.Sum("portal_readings_total") > 500 && m.Sum("portal_store_behind") == 0
	}, waitTimeout, pollInterval, "readings reach the portal")
	p.prom = watch(t, c, p.hook)
	return p
}

func (p *plant) start(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	require.NoError(t, p.Start(ctx, name))
}

// sendJunk publishes 20 messages a second that are no JSON, as a device of the first gateway, until stopJunk.
func (p *plant) sendJunk(t *testing.T) {
	t.Helper()
	nc, err := nats.Connect("nats://" + p.NATS()[0])
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// Each is another one: a message that is sent again counts once.
				if err := nc.Publish("devices.junk_1.telemetry", fmt.Appendf(nil, "no JSON %d", i)); err != nil {
					t.Errorf("sending junk: %v", err)
					return
				}
			}
		}
	}()
	p.junk = func() { cancel(); <-done; nc.Close() }
	t.Cleanup(p.junk)
}

func (p *plant) stopJunk() { p.junk() }

// remembers reports whether an alert goes by longer windows than a fault of this test, so that it may come and end
// during a later one: objectives.
func remembers(alert string) bool { return strings.HasPrefix(alert, "SLOBurn") }

// requireQuiet waits until no other alert fires or is pending, and the end of each was sent.
func (p *plant) requireQuiet(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		return p.prom.query(t, `ALERTS{alertname!~"SLOBurn.*"}`) == 0 && !slices.ContainsFunc(p.hook.notices(t), func(n notice) bool {
			last, _ := p.hook.last(t, n.Labels)
			return last.Status == "firing" && !remembers(n.Labels["alertname"])
		})
	}, 2*waitTimeout, time.Second, "all alerts end")
}

// TestAlertsArriveAndEnd: none in health; after each fault the right one, and its end after the repair.
func TestAlertsArriveAndEnd(t *testing.T) {
	p := startPlant(t, nil)
	p.prom.requireQuietFor(t, healthy)
	require.Empty(t, p.hook.notices(t), "no alert was sent in health")
	p.prom.requireRulesWork(t)
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) { b.run(t, p) })
		if t.Failed() {
			return
		}
	}
}

// requireQuietFor fails if an alert fires within d; one that is pending for a moment is none.
func (p prometheus) requireQuietFor(t *testing.T, d time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool { return p.query(t, "up == 1") == 5 }, waitTimeout, pollInterval, "every program is scraped")
	require.Never(t, func() bool { return p.query(t, `ALERTS{alertstate="firing"}`) > 0 }, d, time.Second, "no alert in health")
}

func (b *breakage) run(t *testing.T, p *plant) {
	t.Helper()
	before := len(p.hook.notices(t))
	b.fault(t, p)
	var n notice
	require.Eventually(t, func() bool {
		var ok bool
		n, ok = p.hook.last(t, b.alert)
		return ok && n.Status == "firing"
	}, waitTimeout, pollInterval, "%v arrives", b.alert)
	receiver := "tickets"
	if b.page {
		receiver = "pager"
	}
	require.Equal(t, receiver, n.receiver)
	require.Equal(t, "docs/runbooks/"+n.Labels["alertname"]+".md", n.Annotations["runbook_url"])
	for _, text := range n.Annotations {
		require.NotContains(t, text, "error expanding")
		require.NotContains(t, text, "<no value>")
	}
	b.repair(t, p)
	require.Eventually(t, func() bool {
		n, ok := p.hook.last(t, b.alert)
		return ok && n.Status == "resolved"
	}, waitTimeout, pollInterval, "%v ends", b.alert)
	p.requireQuiet(t)
	explained := append([]string{b.alert["alertname"]}, b.others...)
	for _, n := range p.hook.notices(t)[before:] {
		t.Logf("%s %s %v", n.receiver, n.Status, n.Labels)
		if !remembers(n.Labels["alertname"]) {
			require.Contains(t, explained, n.Labels["alertname"], "an alert that this fault does not explain: %v", n)
		}
	}
}
