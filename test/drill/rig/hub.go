package rig

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/wire"
)

// hubListener keeps the newest heartbeat and ledger of each gateway.
type hubListener struct {
	nc *nats.Conn

	mu       sync.Mutex
	statuses map[string]Received[wire.GatewayStatus]
	ledgers  map[string]Received[wire.GatewayLedger]
}

// Received is a message and its time of arrival.
type Received[T any] struct {
	At    time.Time // zero without a message
	Value T
}

// ListenWith listens at the hub with a key from now on.
func (s *Scene) ListenWith(keyFile string) error {
	key, err := nats.NkeyOptionFromSeed(keyFile)
	if err != nil {
		return fmt.Errorf("reading a key: %w", err)
	}
	next, err := listenHub(s.HubURL(), key)
	if err != nil {
		return err
	}
	s.hub.close()
	s.hub = next
	return nil
}

// listenHub subscribes at a hub, which may be down at times.
func listenHub(url string, more ...nats.Option) (*hubListener, error) {
	h := &hubListener{statuses: map[string]Received[wire.GatewayStatus]{}, ledgers: map[string]Received[wire.GatewayLedger]{}}
	nc, err := nats.Connect(url, append(more, nats.Name("drill"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(100*time.Millisecond), nats.IgnoreDiscoveredServers(), nats.Timeout(5*time.Second))...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the hub: %w", err)
	}
	h.nc = nc
	_, err = nc.Subscribe(wire.StatusSubjects, func(m *nats.Msg) { keep(h, h.statuses, m, wire.DecodeGatewayStatus) })
	if err == nil {
		_, err = nc.Subscribe(wire.LedgerSubjects, func(m *nats.Msg) { keep(h, h.ledgers, m, wire.DecodeGatewayLedger) })
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("listening at the hub: %w", err)
	}
	return h, nil
}

// keep stores a message under the gateway in its subject.
func keep[T any](h *hubListener, to map[string]Received[T], m *nats.Msg, decode func([]byte) (T, error)) {
	v, err := decode(m.Data)
	parts := strings.Split(m.Subject, ".")
	if err != nil || len(parts) != 3 {
		return // the form is tested elsewhere
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	to[parts[1]] = Received[T]{time.Now(), v}
}

func (h *hubListener) close() { h.nc.Close() }

// Status returns the newest heartbeat of a gateway.
func (s *Scene) Status(gateway string) Received[wire.GatewayStatus] {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.hub.statuses[gateway]
}

// Ledger returns the newest ledger of a gateway.
func (s *Scene) Ledger(gateway string) Received[wire.GatewayLedger] {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.hub.ledgers[gateway]
}

// LedgerLine is one gateway's ledger as the bridge publishes it, for the report.
type LedgerLine struct {
	Gateway string
	wire.LedgerCounts
	Difference int64
	Records    int // of the gateway in device-data, as the drill read them
}

// String is the line in the report.
func (l LedgerLine) String() string {
	return fmt.Sprintf("%s accepted %d packed %d bridged %d committed %d refused %d damaged %d late %d duplicates %d difference %d; in Kafka %d",
		l.Gateway, l.Accepted, l.Packed, l.Bridged, l.Committed, l.Refused, l.Damaged, l.Late, l.Duplicates, l.Difference, l.Records)
}

// balanced returns the disagreement of a ledger with Kafka, "" for none.
func (l LedgerLine) balanced() string {
	switch {
	case l.Difference != 0:
		return fmt.Sprintf("the ledger of %s has a difference of %d readings", l.Gateway, l.Difference)
	case l.Committed != uint64(l.Records):
		return fmt.Sprintf("the ledger of %s has %d readings committed, device-data has %d", l.Gateway, l.Committed, l.Records)
	}
	return ""
}

// ledgers returns the ledger of every gateway that published one.
func (s *Scene) ledgers() []LedgerLine {
	records := s.tallies.counts()
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	var out []LedgerLine
	for g, m := range s.hub.ledgers {
		out = append(out, LedgerLine{Gateway: g, LedgerCounts: m.Value.Total, Difference: m.Value.Difference, Records: records[g]})
	}
	slices.SortFunc(out, func(a, b LedgerLine) int { return strings.Compare(a.Gateway, b.Gateway) })
	return out
}
