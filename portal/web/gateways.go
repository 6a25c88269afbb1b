package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// gateway is a gateway in the API: its last heartbeat and ledger, their ages, and its troubles.
type gateway struct {
	wire.GatewayStatus

	AgeMS         *int64  `json:"age_ms"` // of the heartbeat, by the portal's clock; null without one
	Silent        bool    `json:"silent"`
	BufferUsed    float64 `json:"buffer_used"`     // 0 to 1
	ClockOffsetMS int64   `json:"clock_offset_ms"` // how far its clock is ahead of the portal's, including transit
	// HorizonHours is how long the buffer lasts at the current rate if nothing leaves it; null if
	// nothing comes in or the rate is unknown.
	HorizonHours *float64 `json:"horizon_hours"`
	// Ledger accounts for the gateway's readings; null if the bridge has not reported it.
	Ledger *ledger `json:"ledger"`
	// Trouble lists the gateway's troubles, in a fixed order.
	Trouble []string `json:"trouble"`
}

// ledger accounts for the readings of a gateway, as counted by the bridge.
type ledger struct {
	wire.GatewayLedger

	AgeMS int64 `json:"age_ms"` // by the portal's clock
}

// Troubles of a gateway.
const (
	troubleSilent     = "silent"      // no heartbeat for some seconds
	troubleBufferFull = "buffer_full" // devices must retry later
	troubleHorizon    = "horizon"     // its buffer will be full in less than two hours
	troubleDuplicate  = "duplicate"   // two installations use its id
	troubleDifference = "difference"  // its ledger does not add up
	troubleDamaged    = "damaged"     // readings since its start are known to be lost
	troubleNoLedger   = "no_ledger"   // no ledger from the bridge for half a minute
)

const (
	// A buffer is about to be full if it lasts for less than shortHorizon, in seconds, and at least
	// fillingUp of it is used: a small, empty buffer is fine.
	shortHorizon = 2 * 3600
	fillingUp    = 0.1
	// ledgerLate is the age, in ms, at which a ledger is late: the bridge sends one each second.
	ledgerLate = 30_000
)

func (p *Portal) listGateways(c *fiber.Ctx) error {
	return c.JSON(p.gateways())
}

// gateways is the answer of listGateways and the content of the topic gateways.
func (p *Portal) gateways() list[gateway] {
	now := p.model.Now()
	all := p.model.Gateways()
	out := list[gateway]{Total: len(all), Count: len(all), Time: now, Items: []gateway{}}
	for _, g := range all {
		out.Items = append(out.Items, gatewayOf(g, now))
	}
	return out
}

func gatewayOf(g state.Gateway, now int64) gateway {
	v := gateway{GatewayStatus: g.GatewayStatus, Silent: g.Silent(now), BufferUsed: g.BufferUsed()}
	if g.HeardAt != 0 {
		v.AgeMS = new(max(now-g.HeardAt, 0))
		v.ClockOffsetMS = g.Time - g.HeardAt
		if g.HorizonSeconds >= 0 && g.BytesPerSecond > 0 {
			v.HorizonHours = new(float64(g.HorizonSeconds) / 3600)
		}
	}
	if g.Ledger != nil {
		v.Ledger = &ledger{GatewayLedger: *g.Ledger, AgeMS: max(now-g.LedgerAt, 0)}
		if v.Ledger.Epochs == nil {
			v.Ledger.Epochs = []wire.EpochLedger{}
		}
	}
	v.Trouble = troubles(&v)
	return v
}

// troubles returns the troubles of a gateway.
func troubles(v *gateway) []string {
	out := []string{}
	add := func(name string, yes bool) {
		if yes {
			out = append(out, name)
		}
	}
	add(troubleSilent, v.Silent)
	add(troubleBufferFull, v.BufferFull)
	add(troubleHorizon, v.HorizonHours != nil && *v.HorizonHours*3600 < shortHorizon && v.BufferUsed >= fillingUp)
	if l := v.Ledger; l != nil {
		add(troubleDuplicate, l.Duplicate != "")
		add(troubleDifference, l.Difference != 0)
		n := len(l.Epochs)
		add(troubleDamaged, n > 0 && l.Epochs[n-1].Damaged > 0)
		add(troubleNoLedger, l.AgeMS > ledgerLate)
	}
	return out
}
