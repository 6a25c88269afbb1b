package plant

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// GatewaySilentAfter is how long, in ms, a gateway may say nothing before it counts as
// silent: it sends a heartbeat every second.
const GatewaySilentAfter = 5_000

// Gateway is a gateway's last heartbeat and when it arrived, in ms by the portal's clock.
type Gateway struct {
	wire.GatewayStatus

	HeardAt int64
}

// Silent tells whether too long has passed since the last heartbeat.
func (g Gateway) Silent(now int64) bool { return now-g.HeardAt > GatewaySilentAfter }

// ApplyHeartbeat takes in a gateway's heartbeat.
func (p *Plant) ApplyHeartbeat(s wire.GatewayStatus) {
	now := p.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gateways[s.Gateway] = &Gateway{GatewayStatus: s, HeardAt: now}
}

// Gateways returns all gateways by id.
func (p *Plant) Gateways() []Gateway {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]Gateway, 0, len(p.gateways))
	for _, g := range p.gateways {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Gateway) int { return cmp.Compare(a.Gateway, b.Gateway) })
	return out
}
