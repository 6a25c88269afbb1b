package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
)

func TestBridgeContinuesWhereItStopped(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	a, c := newGateway(t, "gw-a", b.LeafAddr(), want), newGateway(t, "gw-c", b.LeafAddr(), want)
	for range 3 {
		a.storeMany(20, 10)
		c.storeMany(20, 10)
		b.stop() // in the middle of it
		a.storeMany(10, 10)
		b = p.bridge(nil)
	}
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total"))
}

func TestGatewayRestartsChangeNothing(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	for range 3 {
		g.storeMany(15, 10)
		g.stop()
		g.start()
		g.storeMany(5, 10)
	}
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"))
}

// faulty is a producer that fails on command.
type faulty struct {
	lane.Producer
	faults *faults
}

type faults struct {
	commits  atomic.Int64
	failAt   map[int64]bool // number of the commit that fails
	storeToo bool           // it is stored anyway
	err      error
}

var errInjected = errors.New("injected")

func (f faulty) Commit() error {
	n := f.faults.commits.Add(1)
	if !f.faults.failAt[n] {
		return f.Producer.Commit()
	}
	if f.faults.storeToo {
		if err := f.Producer.Commit(); err != nil {
			return err
		}
	}
	return f.faults.err
}

func TestLaneStartsAgainAfterAFailedTransaction(t *testing.T) {
	for name, storeToo := range map[string]bool{"not stored": false, "stored anyway": true} {
		t.Run(name, func(t *testing.T) {
			p, want := newCluster(t), newExpected()
			p.cfg.Batch = 50
			f := &faults{failAt: map[int64]bool{2: true, 3: true, 7: true}, storeToo: storeToo, err: errInjected}
			b := p.bridge(func(_ int32, inner lane.Producer) lane.Producer { return faulty{inner, f} })
			g := newGateway(t, "gw-a", b.LeafAddr(), want)
			g.storeMany(60, 10)
			want.check(t, p)
			b.reaches(3, "bridge_lane_restarts_total")
			b.reaches(3, "bridge_transactions_total", "result", "failed")
			require.Zero(t, b.metric("bridge_losses_total"))
		})
	}
}

func TestFencedLaneIsLeftAndTakenAgain(t *testing.T) {
	p, want := newCluster(t), newExpected()
	p.cfg.Lanes = 1
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(10, 10)
	want.check(t, p)
	other, err := kafka.NewProducer(t.Context(), slog.New(slog.DiscardHandler), kafka.Config{Cluster: kafka.At(p.brokers...)}, "other", p.cfg.TxnPrefix+"0")
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	g.storeMany(10, 10)
	want.check(t, p)
	b.reaches(1, "bridge_transactions_total", "result", "failed")
}

func TestDeadLetterTooLargeForKafkaHoldsUpNothing(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	p.cfg.Lanes = 1
	f := &faults{failAt: map[int64]bool{1: true, 2: true}, err: fmt.Errorf("producing: %w", sarama.ErrMessageSizeTooLarge)}
	b := p.bridge(func(_ int32, inner lane.Producer) lane.Producer { return faulty{inner, f} })
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.store(reading("device_001", `{"ok":1}`))
	big := refused("device_001", strings.Repeat("z", 1<<20), telemetry.Refusal{Reason: telemetry.ReasonTooLarge, Message: "1 MB"})
	g.store(big)
	g.store(reading("device_001", `{"ok":2}`))
	kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, 2, waitTimeout)
	got := kafkatest.ReadAll(t, p.brokers, p.topics.DeadLetters, 1, waitTimeout)
	require.Len(t, got, 1)
	require.Len(t, got[0].Value, 128<<10, "it was cut twice")
	require.Equal(t, fmt.Sprint(1<<20), got[0].Header("iot-truncated"))
	b.reaches(2, "bridge_lane_restarts_total")
}

func TestLineCutWhilePacksAreFetched(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	l := newLine(t, b.LeafAddr())
	g := newGateway(t, "gw-a", l.addr(), want)
	for range 4 {
		g.storeMany(60, 20)
		kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, 1, waitTimeout) // it is under way
		l.cut()
		g.storeMany(10, 20)
		l.mend()
	}
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"))
}

func TestGatewayIsPickedUpSoonAfterTheLineReturns(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	l := newLine(t, b.LeafAddr())
	g := newGateway(t, "gw-a", l.addr(), want)
	g.storeMany(1, 1)
	want.check(t, p)
	l.cut()
	require.Eventually(t, func() bool { return b.metric("bridge_pull_failures_total", "gateway", "gw-a") > 2 }, waitTimeout, 20*time.Millisecond)
	g.storeMany(3, 5)
	l.mend()
	start := time.Now()
	want.check(t, p)
	t.Logf("everything was in kafka %s after the line returned", time.Since(start).Round(time.Millisecond))
}
