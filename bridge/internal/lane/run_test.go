package lane

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

// waitTimeout bounds the wait for an event in a test.
const waitTimeout = 180 * time.Second

// memoryKafka is Kafka for one lane: the committed records of its producers.
type memoryKafka struct {
	mu          sync.Mutex
	records     []record
	sizes       []int // readings of each transaction
	checkpoints map[string][]byte
	refuse      error         // of commits
	gate        chan struct{} // commits wait for it when it is not nil
}

// memoryProducer is a producer of a memoryKafka.
type memoryProducer struct {
	recorder
	s *memoryKafka
}

func (p *memoryProducer) Begin() error { p.recorder.records = nil; return nil }

func (p *memoryProducer) Commit() error {
	if p.s.gate != nil {
		<-p.s.gate
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.refuse != nil {
		return p.s.refuse
	}
	n := 0
	for _, r := range p.recorder.records {
		switch r.topic {
		case topics.Checkpoints:
			p.s.checkpoints[r.key] = []byte(r.value)
		case topics.DeviceData:
			n++
		}
	}
	p.s.records = append(p.s.records, p.recorder.records...)
	p.s.sizes = append(p.s.sizes, n)
	return nil
}

// in returns the committed records of a topic.
func (s *memoryKafka) in(topic string) (out []record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.topic == topic {
			out = append(out, r)
		}
	}
	return out
}

// checkpoint returns the committed checkpoint of gw-a.
func (s *memoryKafka) checkpoint(t *testing.T) checkpoint.Checkpoint {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checkpoints["gw-a"] == nil {
		return checkpoint.Checkpoint{}
	}
	c, err := checkpoint.Decode(s.checkpoints["gw-a"])
	require.NoError(t, err)
	return c
}

// running is a lane with a gateway and a store.
type running struct {
	*testGateway
	t      *testing.T
	store  *memoryKafka
	roster *roster.Roster
	lane   *Lane
	reg    *prometheus.Registry
	// instance is the one in heartbeats.
	instance string
	stop     func()
}

func newRunning(t *testing.T, change func(*Options)) *running {
	t.Helper()
	r := &running{
		testGateway: newTestGateway(t, 0), t: t, roster: emptyRoster(t), reg: prometheus.NewRegistry(),
		store: &memoryKafka{checkpoints: map[string][]byte{}},
	}
	o := Options{
		Lanes: 1, Roster: r.roster, Live: testLive(t, r.nc, r.roster, r.reg), Progress: NewProgress(), Metrics: NewMetrics(r.reg), Topics: topics,
		Log: slog.New(slog.DiscardHandler), MaxReadings: 50, CommitMin: time.Millisecond, CommitMax: time.Millisecond, TrimMargin: 3,
		Open: func(context.Context) (Producer, map[string][]byte, error) {
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			return &memoryProducer{s: r.store}, maps.Clone(r.store.checkpoints), nil
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	r.lane, err = New(o)
	require.NoError(t, err)
	return r
}

// run starts the lane, after a heartbeat of its gateway.
func (r *running) run() {
	r.t.Helper()
	r.beat(r.roster, r.instance)
	r.runLane()
}

func (r *running) runLane() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.lane.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(r.t, <-done)
	})
	r.t.Cleanup(r.stop)
}

// reaches waits until the checkpoint is at a sequence.
func (r *running) reaches(seq uint64) checkpoint.Checkpoint {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.store.checkpoint(r.t).Seq == seq }, waitTimeout, time.Millisecond, "checkpoint %d", seq)
	return r.store.checkpoint(r.t)
}

// shows waits for the value of a metric.
func (r *running) shows(want float64, name string) {
	r.t.Helper()
	got := -1.0
	require.Eventually(r.t, func() bool { got = r.metric(name); return got == want }, waitTimeout, time.Millisecond, "%s", name)
}

func (r *running) metric(name string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	require.NoError(r.t, err)
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name })
	if i < 0 {
		return -1
	}
	sum := 0.0
	for _, m := range families[i].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

func header(r record, key string) string {
	for _, h := range r.headers {
		if v, ok := strings.CutPrefix(h, key+"="); ok {
			return v
		}
	}
	return ""
}

func TestLaneResumesAtItsCheckpoint(t *testing.T) {
	r := newRunning(t, nil)
	r.testGateway.store(20, 3)
	r.run()
	r.reaches(20)
	r.shows(60, "bridge_records_total")
	r.shows(20, "bridge_packs_total")
	r.shows(1, "bridge_lanes_owned")
	r.shows(0, "bridge_losses_total")
	r.shows(0, "bridge_lost_packs_total")
	r.shows(0, "bridge_pull_failures_total")
	r.shows(float64(len(r.store.sizes)), "bridge_transaction_readings")
	r.shows(float64(len(r.store.sizes)), "bridge_transaction_duration_seconds")
	require.Eventually(t, func() bool { return r.state().FirstSeq == 18 }, waitTimeout, 10*time.Millisecond, "the margin of 3 packs stays")
	pos, ok := r.lane.o.Progress.Position("gw-a")
	require.True(t, ok)
	require.Zero(t, pos.Oldest, "nothing waits")
	r.stop()
	r.shows(0, "bridge_lanes_owned")
	require.False(t, r.lane.o.Progress.Owns(0))

	r.testGateway.store(5, 3)
	r.run()
	require.Equal(t, uint64(75), r.reaches(25).Ledger.Total().Committed)
	data := r.store.in(topics.DeviceData)
	require.Len(t, data, 75, "each reading once")
	for i, rec := range data {
		require.Equal(t, wire.HeaderSeq+"="+header(rec, wire.HeaderSeq), wire.HeaderSeq+"="+number(i/3+1), "in order")
	}
	for _, n := range r.store.sizes {
		require.LessOrEqual(t, n, 50)
		require.Zero(t, n%3, "a pack is never divided")
	}
}

func number(n int) string { return string((&encoder{}).number(uint64(n))) }

func TestLossesAreCountedWhereTheyAreFound(t *testing.T) {
	r := newRunning(t, nil)
	r.testGateway.store(4, 2)
	s, err := r.js.Stream(t.Context(), wire.PackStream("gw-a"))
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(3))) // before the bridge had them
	r.run()
	r.reaches(4)
	r.shows(1, "bridge_losses_total")
	r.shows(2, "bridge_lost_packs_total")

	r.put([]byte("no pack"))
	r.reaches(5)
	r.shows(2, "bridge_losses_total")
	r.shows(1, "bridge_damaged_packs_total")
	r.shows(1, "bridge_dead_letters_total")
	require.Equal(t, "damaged_pack", header(r.store.in(topics.DeadLetters)[0], wire.HeaderReason))

	r.build(readings(2)...) // the damaged one
	r.testGateway.store(1, 2)
	c := r.reaches(6)
	r.shows(2, "bridge_losses_total")
	require.Equal(t, uint64(6), c.Ledger.Total().Damaged, "two purged packs and the damaged one, 2 readings each")
	r.build(readings(2)...) // never stored
	r.testGateway.store(1, 2)
	c = r.reaches(7)
	r.shows(3, "bridge_losses_total")
	r.shows(4, "bridge_lost_packs_total")
	require.Equal(t, uint64(8), c.Ledger.Total().Damaged)
	require.Equal(t, uint64(8), c.Ledger.Total().Committed)
	require.Len(t, r.store.in(topics.DeviceData), 8)
}

func TestPackStoredTwiceIsBridgedOnce(t *testing.T) {
	r := newRunning(t, nil)
	data := r.build(readings(2)...)
	r.put(data)
	r.put(data)
	r.run()
	r.reaches(2)
	r.shows(0, "bridge_losses_total")
	require.Len(t, r.store.in(topics.DeviceData), 2)
}

func TestRecreatedStreamIsReadFromItsStart(t *testing.T) {
	r := newRunning(t, nil)
	r.testGateway.store(9, 1)
	r.run()
	r.reaches(9)
	r.stop()
	require.NoError(t, r.js.DeleteStream(t.Context(), wire.PackStream("gw-a")))
	require.Eventually(t, func() bool { // a busy server may still be deleting
		_, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: wire.PackStream("gw-a"), Subjects: []string{wire.PackSubject("gw-a")}})
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	r.epoch, r.counter, r.totals = epochB, 0, wire.PackTotals{}
	r.testGateway.store(2, 1)
	r.run()
	c := r.reaches(2)
	require.Equal(t, uint64(epochB), c.Epoch)
	require.Equal(t, uint64(11), c.Ledger.Total().Committed)
	r.shows(1, "bridge_losses_total")
	r.shows(0, "bridge_pull_failures_total")
}

func TestGatewayWithADuplicateIsNotRead(t *testing.T) {
	r := newRunning(t, nil)
	r.testGateway.store(1, 1)
	r.instance = "one"
	r.run()
	r.reaches(1)
	r.beat(r.roster, "two")
	require.Empty(t, r.roster.Gateways())
	// The puller's consumer goes with it.
	require.Eventually(t, func() bool {
		s, err := r.js.Stream(t.Context(), wire.PackStream("gw-a"))
		return err == nil && s.CachedInfo().State.Consumers == 0
	}, waitTimeout, 10*time.Millisecond)
	r.testGateway.store(1, 1)
	require.Equal(t, uint64(1), r.store.checkpoint(t).Seq)
}

func TestFailedTransactionIsWrittenAgain(t *testing.T) {
	r := newRunning(t, nil)
	r.store.refuse = errors.New("kafka refuses")
	r.testGateway.store(3, 2)
	r.run()
	require.Eventually(t, func() bool { return r.metric("bridge_lane_restarts_total") >= 1 }, waitTimeout, time.Millisecond)
	require.Empty(t, r.store.in(topics.DeviceData))
	r.store.mu.Lock()
	r.store.refuse = nil
	r.store.mu.Unlock()
	r.reaches(3)
	require.Len(t, r.store.in(topics.DeviceData), 6)
}
