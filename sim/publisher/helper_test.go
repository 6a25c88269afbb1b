package publisher

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/test/freeport"
)

const (
	waitTimeout = 180 * time.Second
	often       = 5 * time.Millisecond
)

// entry of the test's ledger.
type entry struct {
	timestamp int64
	attempts  int
}

type ledger struct {
	mu  sync.Mutex
	all map[string][]entry
}

// Acked implements Ledger.
func (l *ledger) Acked(device string, timestamp int64, attempts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string][]entry{}
	}
	l.all[device] = append(l.all[device], entry{timestamp, attempts})
}

func (l *ledger) snapshot() map[string][]entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.all)
}

func testFleet(t *testing.T, devices, buildings int) *fleet.Fleet {
	t.Helper()
	o := fleet.Options{Devices: devices, Variance: 0.1, Seed: 1}
	for b := range buildings {
		o.Buildings = append(o.Buildings, fmt.Sprintf("%d栋", b+1))
	}
	f, err := fleet.New(o)
	require.NoError(t, err)
	return f
}

// running is a running publisher.
type running struct {
	*Publisher
	stop func() Stats
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	o.Log, o.Drain = slog.New(slog.DiscardHandler), cmp.Or(o.Drain, waitTimeout/2)
	p, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop := sync.OnceValue(func() Stats {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(waitTimeout):
			t.Error("the publisher does not stop")
		}
		return p.Stats()
	})
	t.Cleanup(func() { stop() })
	return &running{p, stop}
}

// requireLedger compares the ledger with the gateways' memory: every acknowledged reading
// is there, in order, and one sent once is there once.
func requireLedger(t *testing.T, l *ledger, m *memory) {
	t.Helper()
	stored, _ := m.snapshot()
	for device, entries := range l.snapshot() {
		got := stored[device]
		require.True(t, slices.IsSorted(got), "%s: %v", device, got)
		require.True(t, slices.IsSortedFunc(entries, func(a, b entry) int { return int(a.timestamp - b.timestamp) }))
		count := map[int64]int{}
		for _, ts := range got {
			count[ts]++
		}
		for _, e := range entries {
			require.Positive(t, count[e.timestamp], "%s %d", device, e.timestamp)
			if e.attempts == 1 {
				require.Equal(t, 1, count[e.timestamp], "%s %d", device, e.timestamp)
			}
		}
	}
}

// gateways starts n gateways of a protocol with one memory.
func gateways(t *testing.T, p Protocol, m *memory, n int) []string {
	t.Helper()
	var addrs []string
	for range n {
		if p == MQTT {
			addrs = append(addrs, startMQTT(t, m, "127.0.0.1:0").addr)
		} else {
			addrs = append(addrs, startNATS(t, m, freeport.Address(t)).addr())
		}
	}
	return addrs
}

// variant is one way to connect.
type variant struct {
	name      string
	protocol  Protocol
	perDevice bool
}

func variants() []variant {
	return []variant{
		{"nats shared", NATS, false},
		{"nats per device", NATS, true},
		{"mqtt shared", MQTT, false},
		{"mqtt per device", MQTT, true},
	}
}

// oneOf assigns timestamps to n classes, independent of any period.
func oneOf(n uint64, timestamp int64) uint64 {
	return uint64(timestamp) * 0x9e3779b97f4a7c15 >> 32 % n
}
