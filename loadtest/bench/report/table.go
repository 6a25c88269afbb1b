package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// row is a line of the table: one figure or several.
type row struct {
	name string
	keys []string
	bold bool
}

func latency(name, prefix string) row {
	return row{name: name + ", mean / p50 / p99 / max ms", keys: []string{prefix + Mean, prefix + P50, prefix + P99, prefix + Max}}
}

var flowRows = []row{
	{name: "devices", keys: []string{Devices}},
	{name: "accepted (acknowledged), readings/s", keys: []string{Accepted}},
	{name: "in Kafka, readings/s", keys: []string{InKafka}},
	{name: "processed by core, readings/s", keys: []string{Processed}},
	{name: "pushed to a client of 100 devices, readings/s", keys: []string{PushedOne}},
	{name: "pushed to a client of all devices, readings/s", keys: []string{PushedAll}},
	{name: "conflated (replaced by a newer one), readings/s", keys: []string{Conflated}},
	{name: "packs stored = disk syncs at the gateways, a second", keys: []string{Packs}},
	{name: "readings a pack", keys: []string{PackReadings}},
	{name: "transactions/s: bridge / core / both", keys: []string{BridgeTxns, CoreTxns, Txns}},
	{name: "readings a transaction of the bridge", keys: []string{TxnReadings}},
	{name: "Kafka log, all topics, bytes a reading", keys: []string{LogBytes}},
}

var latencyRows = []row{
	latency("device → acknowledged", Ack),
	latency("device → WebSocket (100 devices)", Screen),
	latency("device → WebSocket (all devices)", ScreenAll),
	latency("device → alarm on WebSocket", Alarm),
	{name: "alarms in that", keys: []string{AlarmCount}},
	latency("device → WebSocket (100 devices) while Kafka is stopped", Dark),
	{name: "pushed meanwhile to a client of 100 devices, readings/s", keys: []string{DarkPushed}},
	{name: "% of those pushed before", keys: []string{DarkShare}},
	{name: "p99 while Kafka is stopped, times that before", keys: []string{DarkRatio}},
	{name: "alarms raised by readings of the outage", keys: []string{DarkAlarms}},
}

var drainRows = []row{
	{name: "drain, readings/s", keys: []string{DrainRate}},
	{name: "drain, CPU of the bridge, µs a reading", keys: []string{DrainCost}},
	{name: "bare pull → franz-go loop, readings/s", keys: []string{BareRate}},
	{name: "bare pull → franz-go loop, CPU, µs a reading", keys: []string{BareCost}},
	{name: "drain, times the bare loop", keys: []string{DrainRatio}},
}

var sumRows = []row{
	{name: "gateways, bridge, core, portal: CPU %", keys: []string{ProductCPU}},
	{name: "total: CPU %", keys: []string{TotalCPU}},
	{name: "strangers to the benchmark on this machine: CPU %", keys: []string{OtherCPU}},
}

var truthRows = []row{
	{name: "skipped by an overloaded simulator, readings", keys: []string{Skipped}},
	{name: "not acknowledged at the end / given up / refused, readings", keys: []string{Open, GivenUp, Refused}},
	{name: "sent again by devices: without an answer / after one", keys: []string{Resent, Repeated}},
	{name: "time until core had processed everything, s", keys: []string{CatchUp}},
	{name: "gave up waiting for that", keys: []string{Unfinished}},
	{name: "acknowledged, readings", keys: []string{Acked}},
	{name: "lost", keys: []string{Lost}, bold: true},
	{name: "duplicated", keys: []string{Duplicated}, bold: true},
	{name: "out of order", keys: []string{Disordered}, bold: true},
	{name: "alarms missing in the topic alerts / recorded twice", keys: []string{AlarmsLost, AlarmsDoubled}},
}

// members returns the names in a family of figures, over all results.
func members(r *Run, family string) []string {
	names := map[string]bool{}
	for _, x := range r.Results {
		for _, k := range x.keys() {
			if name, ok := strings.CutPrefix(k, family); ok {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// rows returns the lines of a run's table.
func rows(r *Run) []row {
	out := slices.Clone(flowRows)
	for _, topic := range members(r, TopicBytes) {
		out = append(out, row{name: "– " + topic, keys: []string{TopicBytes + topic}})
	}
	out = append(out, latencyRows...)
	out = append(out, drainRows...)
	for _, stage := range members(r, StageCPU) {
		out = append(out, row{name: stage + ": CPU, µs a reading", keys: []string{StageCPU + stage}})
	}
	for _, name := range members(r, CPU) {
		out = append(out, row{name: name + ": CPU % / max RSS MB", keys: []string{CPU + name, RSS + name}})
	}
	return slices.Concat(out, sumRows, truthRows)
}

// cell writes the figures of a row; "–" where there are none.
func (w *row) cell(x *Result) string {
	var parts []string
	found := false
	for _, k := range w.keys {
		v := x.median(k)
		found = found || len(x.values(k)) > 0
		parts = append(parts, number(v))
	}
	if !found {
		return "–"
	}
	text := strings.Join(parts, " / ")
	if w.bold {
		return "**" + text + "**"
	}
	return text
}

// Table writes a run as Markdown: the goals, a column of figures for each load, and notes.
func Table(r *Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n%s## Figures\n\n| |", r.Date.Format("2006-01-02 15:04"), circumstances(r), goalTable(r))
	for _, x := range r.Results {
		fmt.Fprintf(&b, " %s |", x.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(r.Results)) + "\n")
	for _, w := range rows(r) {
		line, empty := "", true
		for _, x := range r.Results {
			c := w.cell(x)
			empty = empty && c == "–"
			line += " " + c + " |"
		}
		if empty {
			continue
		}
		name := w.name
		if w.bold {
			name = "**" + name + "**"
		}
		b.WriteString("| " + name + " |" + line + "\n")
	}
	b.WriteString("\n")
	for _, x := range r.Results {
		fmt.Fprintf(&b, "- %s: `%s`\n", x.Name, x.Command)
		for _, n := range x.Notes {
			fmt.Fprintf(&b, "  - %s\n", strings.ReplaceAll(n, "\n", "; "))
		}
	}
	return b.String() + "\n"
}

// circumstances says where and how it was measured.
func circumstances(r *Run) string {
	repeated := 1
	for _, x := range r.Results {
		repeated = max(repeated, len(x.Samples))
	}
	text := fmt.Sprintf("%s, %d cores (%s), %s; %s measured after %s of warm-up; everything on one machine, the load, the clients and the sampling too.",
		r.Revision, r.Machine.Cores, r.Machine.CPU, r.Machine.Go, r.Duration, r.Warmup)
	if repeated > 1 {
		text += fmt.Sprintf(" Medians of %d repetitions.", repeated)
	}
	return text
}

// caption names a single figure in words.
func caption(key string) string {
	for _, w := range slices.Concat(flowRows, latencyRows, drainRows, sumRows, truthRows) {
		at := slices.Index(w.keys, key)
		if at < 0 {
			continue
		}
		if len(w.keys) == 1 {
			return w.name
		}
		return part(w.name, at)
	}
	for family, words := range map[string]string{
		TopicBytes: "Kafka log of %s, bytes a reading", CPU: "CPU of %s, %% of a core", RSS: "RSS of %s, MB", StageCPU: "CPU of %s, µs a reading",
	} {
		if name, ok := strings.CutPrefix(key, family); ok {
			return fmt.Sprintf(words, name)
		}
	}
	if key == BrokerCPU {
		return "CPU of the broker, % of a core"
	}
	return key
}

// part returns the at-th figure's name in a row of several: "head, a / b / c ms" or
// "head: a / b".
func part(name string, at int) string {
	sep := max(strings.LastIndex(name, ", "), strings.LastIndex(name, ": "))
	head, list := "", name
	if sep >= 0 && strings.Contains(name[sep:], " / ") {
		head, list = name[:sep]+", ", name[sep+2:]
	}
	word := strings.Split(list, " / ")[at]
	if strings.HasSuffix(name, " ms") && !strings.HasSuffix(word, " ms") {
		word += " ms"
	}
	return head + word
}
