package relay

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/oracle"
)

// waitTimeout bounds the wait for an event in a test.
const waitTimeout = 180 * time.Second

// expected is what gateways stored and Kafka must have: every message exactly once, in
// order per device, byte for byte. test/oracle judges; its timestamps are the order of
// storing.
type expected struct {
	mu       sync.Mutex
	readings map[string]stored // by name
	letters  map[string]stored
}

type stored struct {
	entry  wire.PackEntry
	device string // with its gateway
	order  int64
}

func newExpected() *expected {
	return &expected{readings: map[string]stored{}, letters: map[string]stored{}}
}

func name(gateway, epoch, seq, index string) string {
	return gateway + "/" + epoch + "/" + seq + "/" + index
}

func (e *expected) store(gateway, epoch string, seq uint64, entries []wire.PackEntry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, entry := range entries {
		to := e.readings
		if entry.Refusal != nil {
			to = e.letters
		}
		to[name(gateway, epoch, strconv.FormatUint(seq, 10), strconv.Itoa(i))] = stored{entry, gateway + " " + entry.Device, int64(len(to)) + 1}
	}
}

func nameOf(r kafkatest.Record) string {
	return name(r.Header(wire.HeaderGateway), r.Header(wire.HeaderEpoch), r.Header(wire.HeaderSeq), r.Header(wire.HeaderIndex))
}

// check waits until Kafka has what was stored and compares.
func (e *expected) check(t *testing.T, p *cluster) {
	t.Helper()
	e.checkReadings(t, p)
	e.mu.Lock()
	defer e.mu.Unlock()
	compare(t, p, p.topics.DeadLetters, e.letters)
}

func (e *expected) checkReadings(t *testing.T, p *cluster) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	compare(t, p, p.topics.DeviceData, e.readings)
}

func compare(t *testing.T, p *cluster, topic string, want map[string]stored) {
	t.Helper()
	o := oracle.New()
	for _, w := range want {
		o.Acked(w.device, w.order)
	}
	for _, r := range kafkatest.ReadAll(t, p.brokers, topic, len(want), waitTimeout) {
		n := nameOf(r)
		w, ok := want[n]
		require.True(t, ok, "record %s was never stored", n)
		require.Equal(t, w.entry.Device, string(r.Key), "key of %s", n)
		require.Equal(t, string(w.entry.Payload), string(r.Value), "value of %s", n)
		require.Equal(t, strconv.FormatInt(w.entry.Received, 10), r.Header(wire.HeaderReceived))
		if w.entry.Refusal != nil {
			require.Equal(t, string(w.entry.Refusal.Reason), r.Header(wire.HeaderReason))
			require.Equal(t, w.entry.Refusal.Field, r.Header(wire.HeaderField))
			require.Equal(t, w.entry.Refusal.Message, r.Header(wire.HeaderMessage))
		}
		o.Stored(oracle.Record{Device: w.device, Timestamp: w.order, Partition: r.Partition, Offset: r.Offset})
	}
	v := o.Verdict()
	require.NoError(t, v.Err())
}
