package report

import (
	"fmt"
	"math"
	"strings"
)

// Keys of figures. A key with a colon is one of a family: CPU + "gw-a".
const (
	Devices   = "devices"
	Accepted  = "accepted"  // readings/s that a gateway acknowledged
	InKafka   = "kafka"     // readings/s committed by the bridge
	Processed = "processed" // readings/s through core
	PushedOne = "pushed.some"
	PushedAll = "pushed.all"
	Conflated = "conflated"

	Packs        = "packs" // stored and synced, at all gateways
	PackReadings = "pack.readings"
	Txns         = "txns"
	BridgeTxns   = "txns.bridge"
	CoreTxns     = "txns.core"
	TxnReadings  = "txn.readings"
	LogBytes     = "bytes" // of Kafka's log, all topics, per reading
	TopicBytes   = "bytes:"

	Ack        = "ack." // with Mean, P50, P99, Max
	Screen     = "ws."
	ScreenAll  = "wsall."
	Alarm      = "alarm."
	Dark       = "dark." // on the screens while Kafka is stopped
	Mean       = "mean"
	P50        = "p50"
	P99        = "p99"
	Max        = "max"
	AlarmCount = "alarm.count"
	DarkPushed = "dark.pushed" // readings/s to a client of 100 devices while Kafka is stopped
	DarkShare  = "dark.share"  // of that before, in percent
	DarkRatio  = "dark.ratio"  // of the 99th percentiles, while stopped to before
	DarkAlarms = "dark.alarms" // raised by readings of the outage

	CPU        = "cpu:" // of a process, in percent of one core
	RSS        = "rss:"
	StageCPU   = "us:" // µs a reading of a stage
	TotalCPU   = "cpu.total"
	ProductCPU = "cpu.product" // gateways, bridge, core, portal
	BrokerCPU  = "cpu.broker"
	OtherCPU   = "cpu.other" // of processes that have nothing to do with the benchmark

	Skipped       = "skipped"
	Open          = "open"
	GivenUp       = "givenup"
	Refused       = "refused"
	Resent        = "resent"
	Repeated      = "repeated"
	CatchUp       = "catchup"
	Unfinished    = "unfinished"
	Acked         = "acked"
	Lost          = "lost"
	Duplicated    = "duplicated"
	Disordered    = "disordered"
	AlarmsLost    = "alarms.lost"
	AlarmsDoubled = "alarms.doubled"

	DrainRate  = "drain.rate"
	DrainCost  = "drain.us" // CPU of the bridge, µs a reading
	BareRate   = "bare.rate"
	BareCost   = "bare.us"
	DrainRatio = "drain.ratio"
)

// better is the direction in which a figure improves.
type better int

const (
	neither better = iota
	lower
	higher
)

// sense describes how a figure is judged.
type sense struct {
	better better
	noise  float64 // a change up to this, in the figure's unit, means nothing
}

// senses are of the figures, and of their families, that say how good the product is.
var senses = map[string]sense{
	Accepted: {higher, 1}, InKafka: {higher, 1}, Processed: {higher, 1}, PushedOne: {higher, 2},
	Packs: {lower, 2}, PackReadings: {higher, 0.1}, Txns: {lower, 1}, BridgeTxns: {lower, 1}, CoreTxns: {lower, 1}, TxnReadings: {higher, 1},
	LogBytes: {lower, 2}, TopicBytes: {lower, 2},
	Ack: {lower, 2}, Screen: {lower, 3}, ScreenAll: {lower, 3}, Alarm: {lower, 20}, Dark: {lower, 3},
	AlarmCount: {}, DarkPushed: {higher, 2}, DarkShare: {higher, 1}, DarkRatio: {lower, 0.2}, DarkAlarms: {},
	CPU: {lower, 1}, RSS: {lower, 3}, StageCPU: {lower, 0.1}, TotalCPU: {lower, 2}, ProductCPU: {lower, 2}, BrokerCPU: {lower, 1},
	CatchUp: {lower, 1}, Lost: {lower, 0}, Duplicated: {lower, 0}, Disordered: {lower, 0}, AlarmsLost: {lower, 0}, AlarmsDoubled: {lower, 0},
	DrainRate: {higher, 1000}, DrainCost: {lower, 0.05}, DrainRatio: {higher, 0.05},
}

// senseOf returns how a figure is judged: as itself, or as its family.
func senseOf(key string) sense {
	if s, ok := senses[key]; ok {
		return s
	}
	if end := strings.IndexAny(key, ":."); end >= 0 {
		return senses[key[:end+1]]
	}
	return sense{}
}

// number writes a figure: whole numbers and large ones with commas, others with one or two
// digits after the point.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case v == math.Trunc(v), a >= 1000:
		return thousands(v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// thousands writes a number with commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
