package state

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/wire"
)

const (
	// GatewaySilentAfter is how long, in ms, a gateway may send no heartbeat before it counts as
	// silent: it sends a heartbeat every second.
	GatewaySilentAfter = 5_000
	// maxGateways bounds the memory that heartbeats and frames can claim. Beyond it, a gateway
	// takes the place of the one that was silent for longest.
	maxGateways = 4096
)

// Gateway is a gateway's last heartbeat and its last ledger, and when they arrived, in ms by the
// portal's clock.
type Gateway struct {
	wire.GatewayStatus

	HeardAt  int64               // 0 when there was no heartbeat yet
	Ledger   *wire.GatewayLedger // nil when there was none yet; never changed
	LedgerAt int64
}

// Silent reports whether too long has passed since the last heartbeat.
func (g Gateway) Silent(now int64) bool { return now-g.HeardAt > GatewaySilentAfter }

// BufferUsed returns how full the buffer is, 0 to 1.
func (g Gateway) BufferUsed() float64 {
	if g.BufferLimit == 0 {
		return 0
	}
	return float64(g.BufferBytes) / float64(g.BufferLimit)
}

// ApplyHeartbeat applies a gateway's heartbeat.
func (m *Model) ApplyHeartbeat(s wire.GatewayStatus) {
	now := m.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.gateway(s.Gateway, now); g != nil {
		g.GatewayStatus, g.HeardAt = s, now
	}
}

// ApplyLedger applies the bridge's ledger of a gateway.
func (m *Model) ApplyLedger(l wire.GatewayLedger) {
	now := m.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.gateway(l.Gateway, now); g != nil {
		g.Ledger, g.LedgerAt = &l, now
	}
}

// gateway returns the gateway with this id, created if needed; nil when there are too many that are not silent.
func (m *Model) gateway(id string, now int64) *Gateway {
	g := m.gateways[id]
	if g == nil && (len(m.gateways) < maxGateways || m.dropGateway(now)) {
		g = &Gateway{GatewayStatus: wire.GatewayStatus{Gateway: id, HorizonSeconds: -1}}
		m.gateways[id] = g
	}
	return g
}

// dropGateway forgets the gateway that was silent for longest, unless it was heard lately.
func (m *Model) dropGateway(now int64) bool {
	oldest, heard := "", now
	for id, g := range m.gateways {
		if at := max(g.HeardAt, g.LedgerAt); at < heard {
			oldest, heard = id, at
		}
	}
	if now-heard < quietAfter {
		return false
	}
	delete(m.gateways, oldest)
	return true
}

// Gateways returns all gateways by id.
func (m *Model) Gateways() []Gateway {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]Gateway, 0, len(m.gateways))
	for _, g := range m.gateways {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Gateway) int { return cmp.Compare(a.Gateway, b.Gateway) })
	return out
}
