package report

import (
	"fmt"
	"math"
	"strings"
)

// goal is a limit for a figure at the loads that match.
type goal struct {
	at     func(Load) bool
	figure string
	name   string
	least  bool // the limit is a minimum
	limit  float64
}

// Loads that goals are for.
func steady(l Load) bool    { return l.Kind == Steady && l.Busy == 0 }
func processes(l Load) bool { return steady(l) && !l.One }
func at(rate int) func(Load) bool {
	return func(l Load) bool { return processes(l) && l.Rate == rate && l.Batch <= 1 }
}

func on(kafka string, rate int) func(Load) bool {
	return func(l Load) bool { return at(rate)(l) && l.Kafka == kafka }
}

func batches(l Load) bool { return processes(l) && l.Rate == 100_000 && l.Batch == 50 }
func inOne(l Load) bool   { return steady(l) && l.One && l.Rate == 100_000 && l.Batch <= 1 }
func busy(l Load) bool {
	return l.Kind == Steady && !l.One && l.Busy == 2 && l.Rate == 20_000 && l.Batch <= 1
}

func kind(k string) func(Load) bool { return func(l Load) bool { return l.Kind == k } }
func drainOf(gateways int) func(Load) bool {
	return func(l Load) bool { return l.Kind == Drain && l.Gateways == gateways }
}

// rateTolerance is the share by which a measured rate may miss its goal: a simulator at 100,000
// readings/s sends a few less or more in a window.
const rateTolerance = 0.005

// goals of the product, all on a machine with two cores that also runs the load.
var goals = []goal{
	{on(Apache, 200), Txns, "transactions/s, bridge and core", false, 12},
	{on(Apache, 200), LogBytes, "Kafka log, all topics, bytes a reading", false, 160},
	{on(Apache, 200), BrokerCPU, "CPU of the broker, % of a core", false, 8},
	{on(Apache, 200), ProductCPU, "CPU of the product, % of a core", false, 10},
	{on(Apache, 2000), Txns, "transactions/s, bridge and core", false, 30},
	{on(Apache, 2000), LogBytes, "Kafka log, all topics, bytes a reading", false, 75},
	{on(Apache, 2000), BrokerCPU, "CPU of the broker, % of a core", false, 20},
	{on(Apache, 2000), ProductCPU, "CPU of the product, % of a core", false, 30},
	{on(Embedded, 2000), TotalCPU, "CPU of everything, % of a core", false, 60},
	{on(Embedded, 2000), Screen + Mean, "device → WebSocket, mean ms", false, 20},
	{on(Embedded, 2000), Screen + P99, "device → WebSocket, p99 ms", false, 40},
	{at(20_000), TotalCPU, "CPU of everything, % of a core", false, 100},
	{at(20_000), Screen + Mean, "device → WebSocket, mean ms", false, 20},
	{at(20_000), Screen + P99, "device → WebSocket, p99 ms", false, 50},
	{at(20_000), RSS + "portal", "RSS of the portal, MB", false, 150},
	{busy, Screen + Mean, "device → WebSocket, mean ms", false, 45},
	{busy, Screen + P99, "device → WebSocket, p99 ms", false, 150},
	{at(100_000), InKafka, "in Kafka, readings/s", true, 100_000},
	{at(100_000), Processed, "through core, readings/s", true, 100_000},
	{at(100_000), Screen + P99, "device → WebSocket, p99 ms", false, 500},
	{at(100_000), RSS + "core", "RSS of core, MB", false, 300},
	{at(100_000), RSS + "portal", "RSS of the portal, MB", false, 300},
	{batches, Processed, "through core, readings/s", true, 100_000},
	{batches, TotalCPU, "CPU of everything, % of a core", false, 150},
	{inOne, Accepted, "acknowledged, readings/s", true, 100_000},
	{inOne, Screen + Mean, "device → WebSocket, mean ms", false, 50},
	{inOne, Screen + P99, "device → WebSocket, p99 ms", false, 200},
	{inOne, RSS + "allinone", "RSS, MB", false, 600},
	{func(l Load) bool { return steady(l) && l.Rate < 2000 }, Alarm + P99, "device → alarm on WebSocket, p99 ms", false, 600},
	{func(l Load) bool { return steady(l) && l.Rate >= 2000 }, Alarm + P99, "device → alarm on WebSocket, p99 ms", false, 300},
	{func(l Load) bool { return l.Kind == Steady || l.Kind == Outage }, Lost, "lost", false, 0},
	{func(l Load) bool { return l.Kind == Steady || l.Kind == Outage }, Duplicated, "duplicated", false, 0},
	{func(l Load) bool { return l.Kind == Steady || l.Kind == Outage }, Disordered, "out of order", false, 0},
	// "As before the stop", with room for the noise of a count and of a 99th percentile.
	{kind(Outage), DarkShare, "readings on the screens without Kafka, % of those before", true, 95},
	{kind(Outage), DarkRatio, "device → WebSocket without Kafka, p99, times that before", false, 1.5},
	{kind(Outage), AlarmsLost, "alarms of the outage missing after it", false, 0},
	{kind(Outage), AlarmsDoubled, "alarms recorded twice", false, 0},
	{drainOf(1), DrainRate, "drain, readings/s", true, 500_000},
	{drainOf(1), DrainCost, "drain, CPU of the bridge, µs a reading", false, 2},
	{drainOf(1), DrainRatio, "drain, times a bare pull → produce loop", true, 2},
	{drainOf(20), RSS + "bridge", "RSS of the bridge, MB", false, 256},
	{kind(Idle), CPU + "gw-a", "CPU of a gateway, % of a core", false, 0.4},
	{kind(Idle), RSS + "gw-a", "RSS of a gateway, MB", false, 30},
	{kind(Idle), CPU + "bridge", "CPU of the bridge, % of a core", false, 0.5},
}

// met reports whether a value reaches the goal.
func (g *goal) met(v float64) bool {
	if g.least {
		return v >= g.limit*(1-rateTolerance)
	}
	return v <= g.limit
}

func (g *goal) sign() string {
	if g.least {
		return "≥ "
	}
	return "≤ "
}

// goalTable lists the goals of a run's loads, and which were met.
func goalTable(r *Run) string {
	var b strings.Builder
	missed, all := 0, 0
	for _, x := range r.Results {
		for i := range goals {
			g := &goals[i]
			v := x.median(g.figure)
			if !g.at(x.Load) {
				continue
			}
			all++
			verdict := "met"
			switch {
			case math.IsNaN(v):
				verdict = "not measured"
			case !g.met(v):
				verdict = "**missed**"
				missed++
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s%s | %s |\n", x.Name, g.name, number(v), g.sign(), number(g.limit), verdict)
		}
	}
	if all == 0 {
		return ""
	}
	return fmt.Sprintf("## Goals: %d of %d missed\n\n| load | figure | measured | goal | |\n|---|---|---:|---:|---|\n%s\n", missed, all, b.String())
}
