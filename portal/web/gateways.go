package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// gateway is a gateway as the API shows it: its last heartbeat, its last ledger, how old
// each is, and what is wrong.
type gateway struct {
	wire.GatewayStatus

	AgeMS         *int64  `json:"age_ms"` // of the heartbeat, by the portal's clock; null when there was none yet
	Silent        bool    `json:"silent"`
	BufferUsed    float64 `json:"buffer_used"`     // 0 to 1
	ClockOffsetMS int64   `json:"clock_offset_ms"` // how far its clock is ahead of ours, transit included
	// HorizonHours is how long the buffer lasts at today's rate if nothing leaves it; null
	// when nothing comes in or no rate is known.
	HorizonHours *float64 `json:"horizon_hours"`
	// Ledger accounts for what the gateway took; null when the bridge has not said.
	Ledger *ledger `json:"ledger"`
	// Trouble names what is wrong, in the order of the words of troubles.
	Trouble []string `json:"trouble"`
}

// ledger is where the readings of a gateway are, as the bridge counts them.
type ledger struct {
	wire.GatewayLedger

	AgeMS int64 `json:"age_ms"` // by the portal's clock
}

// What can be wrong with a gateway.
const (
	troubleSilent     = "silent"      // no heartbeat for some seconds
	troubleBufferFull = "buffer_full" // devices are told to retry later
	troubleHorizon    = "horizon"     // its buffer fills up and lasts for less than two hours
	troubleDuplicate  = "duplicate"   // two installations use its id
	troubleDifference = "difference"  // its ledger does not add up
	troubleDamaged    = "damaged"     // readings of its present start are known to be lost
	troubleNoLedger   = "no_ledger"   // the bridge has not spoken of it for half a minute
)

const (
	// A buffer is about to be full when it lasts for less than shortHorizon, in seconds,
	// and at least fillingUp of it is used: a small buffer that is empty is no trouble.
	shortHorizon = 2 * 3600
	fillingUp    = 0.1
	// ledgerLate is how old, in ms, a ledger may be: the bridge sends one each second.
	ledgerLate = 30_000
)

func (p *Portal) listGateways(c *fiber.Ctx) error {
	if err := knownParameters(c); err != nil {
		return err
	}
	return c.JSON(p.gateways())
}

// gateways is the answer of listGateways, which is also what topic gateways says.
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

// troubles names what is wrong with a gateway.
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
