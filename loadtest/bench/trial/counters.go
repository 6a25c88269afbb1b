package trial

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/test/cluster"
)

// clientsName is this process, which contains the WebSocket clients and the sampling.
const clientsName = "WebSocket clients and sampling"

// counters are totals at one moment: of the programs' counters by the figures they become as
// rates, and of the processes' usage.
type counters struct {
	at     time.Time
	totals map[string]float64
	usage  map[string]cluster.Usage
	busy   time.Duration // CPU that all processes of the machine have used
}

// counters reads the programs' metrics and the usage of every process.
func (p *plant) counters(ctx context.Context) (counters, error) {
	c := counters{at: time.Now(), usage: map[string]cluster.Usage{}, busy: machineCPU()}
	core, bridge, edges, portal, err := p.scrape(ctx)
	if err != nil {
		return c, err
	}
	const committed = `result="committed"`
	c.totals = map[string]float64{
		report.Processed:  core.Sum("iot_messages_total", `status="success"`),
		report.CoreTxns:   core.Sum("core_transactions_total", committed),
		report.InKafka:    bridge.Sum("bridge_records_total"),
		report.BridgeTxns: bridge.Sum("bridge_transactions_total", committed),
		report.Accepted:   edges.Sum("edge_readings_accepted_total"),
		report.Packs:      edges.Sum("edge_packs_total"),
		report.Conflated:  portal.Sum("portal_readings_conflated_total"),
	}
	return c, p.readUsage(c.usage)
}

// readUsage reads CPU and memory of every running process.
func (p *plant) readUsage(to map[string]cluster.Usage) error {
	for _, name := range p.Names() {
		if !p.Running(name) {
			continue
		}
		u, err := p.Usage(name)
		if err != nil {
			return err
		}
		to[name] = u
	}
	for name, pid := range map[string]int{clientsName: os.Getpid(), cluster.Kafka: p.kafkaPID} {
		if _, known := to[name]; known || pid == 0 {
			continue
		}
		u, err := cluster.ProcessUsage(pid)
		if err != nil {
			return err
		}
		to[name] = u
	}
	return nil
}

// fill turns the difference of two moments into rates.
func fill(s report.Sample, before, after counters) {
	seconds := after.at.Sub(before.at).Seconds()
	for k, v := range after.totals {
		s[k] = (v - before.totals[k]) / seconds
	}
	s[report.Txns] = s[report.BridgeTxns] + s[report.CoreTxns]
	ratio(s, report.PackReadings, s[report.Accepted], s[report.Packs])
	ratio(s, report.TxnReadings, s[report.InKafka], s[report.BridgeTxns])
	fillUsage(s, before, after)
}

// fillUsage turns the usage of processes into shares of a core, and CPU of each stage into
// µs a reading.
func fillUsage(s report.Sample, before, after counters) {
	seconds := after.at.Sub(before.at).Seconds()
	others := 100 * (after.busy - before.busy).Seconds() / seconds
	for name, u := range after.usage {
		share := 100 * (u.CPU - before.usage[name].CPU).Seconds() / seconds
		others -= share
		s[report.CPU+name] = share
		s[report.RSS+name] = float64(u.MaxRSS) / (1 << 20)
		stage, product := stageOf(name)
		if stage == "" {
			continue
		}
		s[report.TotalCPU] += share
		if product {
			s[report.ProductCPU] += share
		}
		if stage == stageBroker {
			s[report.BrokerCPU] = share
		}
		if rate := s[report.Accepted]; rate > 0 {
			s[report.StageCPU+stage] += share * 1e4 / rate // 1 % of a core is 10,000 µs a second
		}
	}
	s[report.OtherCPU] = max(0, others)
}

// strangersAllowed is the CPU of other processes, in percent of one core, that spoils no figure.
const strangersAllowed = 10

// strangers says that other processes spoilt the figures, "" if they did not.
func strangers(s report.Sample) []string {
	if used := s[report.OtherCPU]; used > strangersAllowed {
		return []string{fmt.Sprintf("NOT QUIET: other processes used %.0f %% of a core; latencies and rates are theirs too", used)}
	}
	return nil
}

// machineCPU is the time that the machine's cores have not been idle, 0 if unknown. The columns
// are those of proc(5): user, nice, system, idle, iowait, irq, softirq, steal.
func machineCPU() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	const idle, iowait, last, tick = 4, 5, 8, 10 * time.Millisecond
	var sum time.Duration
	for i, text := range strings.Fields(line) {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && i != idle && i != iowait && i <= last {
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

const stageBroker = "broker"

// stageOf returns the stage that a process is part of, "" for none, and whether it is the
// product's own.
func stageOf(name string) (stage string, product bool) {
	switch {
	case strings.HasPrefix(name, "gw-"):
		return "gateways", true
	case name == cluster.Bridge || name == cluster.Hub:
		return "hub and bridge", true
	case name == cluster.Core || name == cluster.Portal:
		return name, true
	case name == cluster.Kafka:
		return stageBroker, false
	case name == simName:
		return "simulator", false
	case name == clientsName || name == allinone: // the latter contains the broker
		return name, false
	}
	return "", false
}

// ratio stores a/b, if there is one.
func ratio(s report.Sample, key string, a, b float64) {
	if b > 0 {
		s[key] = a / b
	}
}
