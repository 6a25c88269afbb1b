package kafkaproxy_test

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/faults/kafkaproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// rig is a broker with one topic, and a proxy before it.
type rig struct {
	t      *testing.T
	direct []string
	proxy  *kafkaproxy.Proxy
	topic  string
	id     string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	// The proxy supports one broker: the first of TEST_KAFKA_BROKERS.
	r := &rig{t: t, direct: kafkatest.Brokers(t), topic: kafkatest.Name(t, "topic"), id: kafkatest.Name(t, "tx")}
	require.NoError(t, kafka.EnsureTopics(r.ctx(), quiet(), kafka.At(r.direct...), kafka.Topic{Name: r.topic, Partitions: 1}))
	var err error
	r.proxy, err = kafkaproxy.New(kafkaproxy.Options{Listen: "127.0.0.1:0", Upstream: r.direct[0], Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.proxy.Close()) })
	return r
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), waitTimeout)
	r.t.Cleanup(cancel)
	return ctx
}

// producer makes a producer behind the proxy.
func (r *rig) producer() *kafka.Producer {
	r.t.Helper()
	p, err := kafka.NewProducer(r.ctx(), quiet(), kafka.Config{Cluster: kafka.At(r.proxy.Addr())}, "test", r.id)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = p.Close() })
	return p
}

func (r *rig) write(p *kafka.Producer, value string) error {
	if err := p.Begin(); err != nil {
		return err
	}
	if err := p.SendTo(0, &sarama.ProducerMessage{Topic: r.topic, Value: sarama.StringEncoder(value)}); err != nil {
		return err
	}
	return p.Commit()
}

func (r *rig) values(want int) []string {
	r.t.Helper()
	var out []string
	for _, rec := range kafkatest.ReadAll(r.t, r.direct, r.topic, want, waitTimeout) {
		out = append(out, string(rec.Value))
	}
	return out
}

func TestClientsStayBehindTheProxy(t *testing.T) {
	r := newRig(t)
	var requests atomic.Int64
	r.proxy.On(kafkaproxy.BeforeRequest, kafkaproxy.AnyKey, func(context.Context, kafkaproxy.Exchange) kafkaproxy.Verdict {
		requests.Add(1)
		return kafkaproxy.Pass
	})
	p := r.producer()
	require.NoError(t, r.write(p, "1"))
	before := requests.Load()
	require.NoError(t, r.write(p, "2"))
	require.GreaterOrEqual(t, requests.Load()-before, int64(3), "partitions, records and the end of the transaction passed")
	// An independent client learns the proxy's address too.
	recs := kafkatest.ReadAll(t, []string{r.proxy.Addr()}, r.topic, 2, waitTimeout)
	require.Len(t, recs, 2)
}

func TestTransactionIsStoppedAtEachPoint(t *testing.T) {
	for name, tc := range map[string]struct {
		at     kafkaproxy.Point
		key    int16
		stored bool // the transaction is committed anyway
	}{
		"before the partitions": {kafkaproxy.BeforeRequest, kafkaproxy.AddPartitionsToTxn, false},
		"before produce":        {kafkaproxy.BeforeRequest, kafkaproxy.Produce, false},
		"after produce":         {kafkaproxy.BeforeResponse, kafkaproxy.Produce, false},
		"before the end":        {kafkaproxy.BeforeRequest, kafkaproxy.EndTxn, false},
		"end without answer":    {kafkaproxy.BeforeResponse, kafkaproxy.EndTxn, true},
		"after the end":         {kafkaproxy.AfterResponse, kafkaproxy.EndTxn, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			p := r.producer()
			require.NoError(t, r.write(p, "1"))
			trap := r.proxy.Trap(tc.at, tc.key, kafkaproxy.Mentions(r.id))
			result := make(chan error, 1)
			go func() { result <- r.write(p, "2") }()
			x, err := trap.Wait(r.ctx())
			require.NoError(t, err)
			require.Equal(t, tc.key, x.Key)
			r.proxy.Down(true) // as when the client dies: nothing more of it arrives
			trap.Release(kafkaproxy.Cut)
			require.NoError(t, closeNow(p))
			t.Logf("the client got: %v", <-result)

			r.proxy.Down(false)
			next := r.producer() // aborts or commits the open transaction
			require.NoError(t, r.write(next, "3"))
			want := []string{"1", "3"}
			if tc.stored {
				want = []string{"1", "2", "3"}
			}
			require.Equal(t, want, r.values(len(want)))
		})
	}
}

// closeNow closes a producer whose broker is down; its abort may fail.
func closeNow(p *kafka.Producer) error {
	_ = p.Close()
	return nil
}

func TestRequestsWithLostAnswersAreRetried(t *testing.T) {
	r := newRig(t)
	p := r.producer()
	require.NoError(t, r.write(p, "1"))
	for _, key := range []int16{kafkaproxy.AddPartitionsToTxn, kafkaproxy.Produce, kafkaproxy.EndTxn} {
		trap := r.proxy.Trap(kafkaproxy.BeforeResponse, key, nil)
		trap.Release(kafkaproxy.Cut) // released before it trapped anything
		trap = r.proxy.Trap(kafkaproxy.BeforeResponse, key, nil)
		result := make(chan error, 1)
		go func() { result <- r.write(p, "2") }()
		_, err := trap.Wait(r.ctx())
		require.NoError(t, err)
		trap.Release(kafkaproxy.Cut)
		trap.Release(kafkaproxy.Cut)
		require.NoError(t, <-result)
	}
	require.Equal(t, []string{"1", "2", "2", "2"}, r.values(4))
}

func TestDownIsADeadBroker(t *testing.T) {
	r := newRig(t)
	r.proxy.Down(true)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.proxy.Addr())
	if err == nil {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitTimeout)))
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, conn.Close())
	}
	require.Error(t, err)
	r.proxy.Down(false)
	require.NoError(t, r.write(r.producer(), "1"))
}

func TestCloseReleasesTraps(t *testing.T) {
	r := newRig(t)
	p := r.producer()
	trap := r.proxy.Trap(kafkaproxy.BeforeRequest, kafkaproxy.Produce, nil)
	result := make(chan error, 1)
	go func() { result <- r.write(p, "1") }()
	_, err := trap.Wait(r.ctx())
	require.NoError(t, err)
	require.NoError(t, r.proxy.Close())
	require.NoError(t, r.proxy.Close())
	require.NoError(t, closeNow(p))
	require.Error(t, <-result)
}

func TestInvalidFramesCloseTheConnection(t *testing.T) {
	r := newRig(t)
	for name, bytes := range map[string]string{"no frame": "\xff\xff\xff\xffGET", "too short": "\x00\x00\x00\x01a"} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.proxy.Addr())
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			_, err = conn.Write([]byte(bytes))
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitTimeout)))
			_, err = conn.Read(make([]byte, 1))
			require.Error(t, err)
		})
	}
}

func TestNewNamesTheMistake(t *testing.T) {
	_, err := kafkaproxy.New(kafkaproxy.Options{})
	require.ErrorContains(t, err, "required")
	b := kafkatest.Embedded(t, devkafka.Options{})
	_, err = kafkaproxy.New(kafkaproxy.Options{Listen: b.Addr(), Upstream: b.Addr(), Log: quiet()})
	require.ErrorContains(t, err, b.Addr())
}
