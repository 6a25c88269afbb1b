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

// hubWatch keeps what gateways and bridges say of themselves on the hub.
type hubWatch struct {
	nc *nats.Conn

	mu       sync.Mutex
	statuses map[string]Heard[wire.GatewayStatus]
	ledgers  map[string]Heard[wire.GatewayLedger]
}

// Heard is a message and when it came.
type Heard[T any] struct {
	At    time.Time // zero when none came
	Value T
}

// watchHub connects to a hub, which may come and go.
func watchHub(url string) (*hubWatch, error) {
	h := &hubWatch{statuses: map[string]Heard[wire.GatewayStatus]{}, ledgers: map[string]Heard[wire.GatewayLedger]{}}
	nc, err := nats.Connect(url, nats.Name("drill"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.IgnoreDiscoveredServers(), nats.Timeout(5*time.Second))
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
func keep[T any](h *hubWatch, to map[string]Heard[T], m *nats.Msg, decode func([]byte) (T, error)) {
	v, err := decode(m.Data)
	parts := strings.Split(m.Subject, ".")
	if err != nil || len(parts) != 3 {
		return // the product's own tests look after the form
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	to[parts[1]] = Heard[T]{time.Now(), v}
}

func (h *hubWatch) close() { h.nc.Close() }

// Status returns the newest heartbeat of a gateway.
func (s *Scene) Status(gateway string) Heard[wire.GatewayStatus] {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.hub.statuses[gateway]
}

// Ledger returns the newest ledger of a gateway.
func (s *Scene) Ledger(gateway string) Heard[wire.GatewayLedger] {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.hub.ledgers[gateway]
}

// Hub returns a connection to the hub, for faults that want to listen or to ask.
func (s *Scene) Hub() *nats.Conn { return s.hub.nc }

// LedgerLine is one gateway's account as the bridge keeps it, for the report.
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

// balanced returns what is wrong with an account, "" when it agrees with Kafka.
func (l LedgerLine) balanced() string {
	switch {
	case l.Difference != 0:
		return fmt.Sprintf("the ledger of %s has a difference of %d readings", l.Gateway, l.Difference)
	case l.Committed != uint64(l.Records):
		return fmt.Sprintf("the ledger of %s says %d readings were committed, device-data has %d of it", l.Gateway, l.Committed, l.Records)
	}
	return ""
}

// ledgers returns the account of every gateway that has one.
func (s *Scene) ledgers() []LedgerLine {
	records := s.books.counts()
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	var out []LedgerLine
	for g, heard := range s.hub.ledgers {
		out = append(out, LedgerLine{Gateway: g, LedgerCounts: heard.Value.Total, Difference: heard.Value.Difference, Records: records[g]})
	}
	slices.SortFunc(out, func(a, b LedgerLine) int { return strings.Compare(a.Gateway, b.Gateway) })
	return out
}
