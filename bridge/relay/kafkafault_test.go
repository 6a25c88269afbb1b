package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/faults/kafkaproxy"
)

// newBrokers starts three embedded brokers that can be made to misbehave.
func newBrokers(t *testing.T) (*kfake.Cluster, []string) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, devkafka.InternalTopics()...), kfake.DataDir(t.TempDir()))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, c.ListenAddrs()
}

// What a transaction asks of the brokers, in this order.
var requests = []kmsg.Key{kmsg.FindCoordinator, kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.EndTxn}

// answers are what brokers say to them when things move; those of Produce come although
// the records were stored, or without that.
var answers = map[kmsg.Key][]*kerr.Error{
	kmsg.FindCoordinator:    {kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress},
	kmsg.InitProducerID:     {kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.ProducerFenced},
	kmsg.AddPartitionsToTxn: {kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.InvalidProducerIDMapping, kerr.ProducerFenced},
	kmsg.Produce: {
		kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotLeaderForPartition, kerr.NotEnoughReplicas,
		kerr.OutOfOrderSequenceNumber, kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.UnknownServerError,
	},
	kmsg.EndTxn: {kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable, kerr.RequestTimedOut, kerr.InvalidTxnState, kerr.UnknownServerError},
}

func TestFaultsOfTheBrokersLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(c *kfake.Cluster){
		"leaders move":      func(c *kfake.Cluster) { c.ShufflePartitionLeaders() },
		"coordinators move": func(c *kfake.Cluster) { c.RehashCoordinators() },
		"errors at every point": func(c *kfake.Cluster) {
			key := requests[rand.IntN(len(requests))]
			c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: answers[key][rand.IntN(len(answers[key]))]})
		},
		"connections break at every point": func(c *kfake.Cluster) {
			c.ControlKey(requests[rand.IntN(len(requests))].Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
				return nil, errors.New("broken"), true
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, brokers := newBrokers(t)
			p, want := newClusterAt(t, brokers), newExpected()
			p.cfg.Batch = 50
			b := p.bridge(nil)
			gateways := []*gateway{newGateway(t, "gw-a", b.LeafAddr(), want), newGateway(t, "gw-b", b.LeafAddr(), want)}
			b.ready()
			const rounds, each = 60, 2 * 3 * 10
			for i := range rounds {
				disturb(c)
				for _, g := range gateways {
					g.storeMany(3, 10)
				}
				// Not too far ahead, so that every round meets transactions.
				require.Eventually(t, func() bool { return b.metric("bridge_records_total") >= (i-1)*each }, waitTimeout, time.Millisecond)
			}
			want.check(t, p)
			b.reaches(rounds*each, "bridge_ledger_readings", "state", "committed")
			b.reaches(0, "bridge_ledger_difference")
			require.Zero(t, b.metric("bridge_losses_total"))
			t.Logf("failed transactions: %d, lane restarts: %d", b.metric("bridge_transactions_total", "result", "failed"), b.metric("bridge_lane_restarts_total"))
		})
	}
}

// newProxy stands before a plant's broker.
func newProxy(t *testing.T, p *cluster) *kafkaproxy.Proxy {
	t.Helper()
	x, err := kafkaproxy.New(kafkaproxy.Options{Listen: "127.0.0.1:0", Upstream: p.brokers[0], Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	p.cfg.Brokers = []string{x.Addr()}
	return x
}

// The broker does its part, and the answer never arrives.
func TestLostAnswersLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	x := newProxy(t, p)
	p.cfg.Batch = 50
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	b.ready()
	var answers, lost atomic.Int64
	for _, key := range requests {
		x.On(kafkaproxy.BeforeResponse, key.Int16(), func(context.Context, kafkaproxy.Exchange) kafkaproxy.Verdict {
			if answers.Add(1)%7 != 0 {
				return kafkaproxy.Pass
			}
			lost.Add(1)
			return kafkaproxy.Cut
		})
	}
	g.storeMany(150, 10)
	want.check(t, p)
	require.Positive(t, lost.Load())
	require.Zero(t, b.metric("bridge_losses_total"))
	b.reaches(0, "bridge_ledger_difference")
	t.Logf("lost answers: %d, lane restarts: %d", lost.Load(), b.metric("bridge_lane_restarts_total"))
}

// A bridge is killed at each point of a transaction; its successor finds what was
// committed and goes on from there.
func TestBridgeKilledAtEveryPointOfATransaction(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	h, err := hub.New(hub.Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(h.Shutdown)
	p.cfg.HubURL, p.cfg.Lanes, p.cfg.Batch = h.URL(), 1, 50
	x := newProxy(t, p)
	g := newGateway(t, "gw-a", h.LeafAddr(), want)
	for i, point := range []struct {
		name  string
		at    kafkaproxy.Point
		key   int16
		match func(kafkaproxy.Exchange) bool
	}{
		{"before produce", kafkaproxy.BeforeRequest, kafkaproxy.Produce, kafkaproxy.Mentions(p.topics.DeviceData)},
		{"after produce", kafkaproxy.BeforeResponse, kafkaproxy.Produce, kafkaproxy.Mentions(p.topics.DeviceData)},
		{"before the checkpoint", kafkaproxy.BeforeRequest, kafkaproxy.AddPartitionsToTxn, kafkaproxy.Mentions(p.topics.Checkpoints)},
		{"before the end", kafkaproxy.BeforeRequest, kafkaproxy.EndTxn, nil},
		{"the end is not answered", kafkaproxy.BeforeResponse, kafkaproxy.EndTxn, nil},
		{"after the end", kafkaproxy.AfterResponse, kafkaproxy.EndTxn, nil},
	} {
		t.Logf("killed %s", point.name)
		// A group of its own each time: its predecessor's membership need not expire. The
		// checkpoints and transactional ids are the same.
		p.cfg.GroupID = fmt.Sprintf("%s-%d", p.cfg.GroupID, i)
		victim := spawn(t, p.cfg)
		stored := len(want.readings)
		g.storeMany(20, 10)
		kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, stored+1, waitTimeout) // it is at work
		trap := x.Trap(point.at, point.key, point.match)
		g.storeMany(20, 10)
		_, err := trap.Wait(p.within())
		require.NoError(t, err)
		kill(victim)
		trap.Release(kafkaproxy.Cut)
		g.storeMany(5, 10)
	}
	p.cfg.GroupID += "-last"
	b := p.bridge(nil)
	want.check(t, p)
	b.reaches(len(want.readings), "bridge_ledger_readings", "state", "committed")
	b.reaches(0, "bridge_ledger_difference")
	require.Zero(t, b.metric("bridge_losses_total"))
}

func (p *cluster) within() context.Context {
	ctx, cancel := context.WithTimeout(p.t.Context(), waitTimeout)
	p.t.Cleanup(cancel)
	return ctx
}

// A transaction that a dead bridge left open must not hold up read_committed readers, even
// if no bridge takes its lanes.
func TestReadersAreNotHeldUpByADeadBridge(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	h, err := hub.New(hub.Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(h.Shutdown)
	p.cfg.HubURL, p.cfg.Lanes = h.URL(), 1
	x := newProxy(t, p)
	g := newGateway(t, "gw-a", h.LeafAddr(), want)
	victim := spawn(t, p.cfg)
	g.storeMany(5, 10)
	want.check(t, p)
	trap := x.Trap(kafkaproxy.BeforeResponse, kafkaproxy.Produce, kafkaproxy.Mentions(p.topics.DeviceData))
	g.storeMany(20, 10)
	_, err = trap.Wait(p.within())
	require.NoError(t, err)
	kill(victim)
	died := time.Now()
	trap.Release(kafkaproxy.Cut)

	other, err := kafka.NewProducer(p.within(), slog.New(slog.DiscardHandler), kafka.Config{Cluster: kafka.At(p.brokers...)}, "other", kafkatest.Name(t, "other"))
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	require.NoError(t, other.Begin())
	for partition := range int32(10) {
		require.NoError(t, other.SendTo(partition, &sarama.ProducerMessage{Topic: p.topics.DeviceData, Value: sarama.StringEncoder("behind")}))
	}
	require.NoError(t, other.Commit())
	got := kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, 60, waitTimeout)
	require.Len(t, got, 60, "committed before and after the open transaction")
	t.Logf("readers were unblocked %s after the bridge died", time.Since(died).Round(time.Millisecond))
}
