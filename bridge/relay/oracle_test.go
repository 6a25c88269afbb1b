package relay

import (
	"bytes"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
)

// patience is how long a test waits for something that has to happen.
const patience = 60 * time.Second

// oracle knows what gateways stored and says whether Kafka has it: every message
// exactly once, in order per device, byte for byte.
type oracle struct {
	mu       sync.Mutex
	readings map[string]stored // by name
	letters  map[string]stored
	order    map[string][]string // names by gateway and device, as stored
}

type stored struct {
	device string
	entry  wire.PackEntry
}

func newOracle() *oracle {
	return &oracle{readings: map[string]stored{}, letters: map[string]stored{}, order: map[string][]string{}}
}

func name(gateway, epoch, seq, index string) string {
	return gateway + "/" + epoch + "/" + seq + "/" + index
}

func (o *oracle) expect(gateway, epoch string, seq uint64, entries []wire.PackEntry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, e := range entries {
		n := name(gateway, epoch, strconv.FormatUint(seq, 10), strconv.Itoa(i))
		if e.Refusal != nil {
			o.letters[n] = stored{e.Device, e}
			continue
		}
		o.readings[n] = stored{e.Device, e}
		o.order[gateway+" "+e.Device] = append(o.order[gateway+" "+e.Device], n)
	}
}

func nameOf(r kafkatest.Record) string {
	return name(r.Header(wire.HeaderGateway), r.Header(wire.HeaderEpoch), r.Header(wire.HeaderSeq), r.Header(wire.HeaderIndex))
}

// check waits until Kafka has what was stored and compares.
func (o *oracle) check(t *testing.T, p *plant) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	got := kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, len(o.readings), patience)
	o.compare(t, got, o.readings)
	order := map[string][]string{}
	for _, r := range got {
		d := r.Header(wire.HeaderGateway) + " " + string(r.Key)
		order[d] = append(order[d], nameOf(r))
	}
	for d, want := range o.order {
		require.Equal(t, want, order[d], "order of %s", d)
	}
	o.compare(t, kafkatest.ReadAll(t, p.brokers, p.topics.DeadLetters, len(o.letters), patience), o.letters)
}

func (o *oracle) compare(t *testing.T, got []kafkatest.Record, want map[string]stored) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range got {
		n := nameOf(r)
		w, ok := want[n]
		require.True(t, ok, "record %s was never stored", n)
		require.False(t, seen[n], "record %s is there twice", n)
		seen[n] = true
		require.Equal(t, w.device, string(r.Key), "key of %s", n)
		require.True(t, bytes.Equal(w.entry.Payload, r.Value), "value of %s differs", n)
		require.Equal(t, strconv.FormatInt(w.entry.Received, 10), r.Header(wire.HeaderReceived))
		if w.entry.Refusal != nil {
			require.Equal(t, string(w.entry.Refusal.Reason), r.Header(wire.HeaderReason))
			require.Equal(t, w.entry.Refusal.Field, r.Header(wire.HeaderField))
			require.Equal(t, w.entry.Refusal.Message, r.Header(wire.HeaderMessage))
		}
	}
	missing := 0
	first := ""
	for n := range want {
		if !seen[n] {
			missing, first = missing+1, n
		}
	}
	require.Zero(t, missing, "%d of %d records are missing, among them %s", missing, len(want), first)
}
