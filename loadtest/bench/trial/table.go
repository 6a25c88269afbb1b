package trial

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"industrial-iot-monitor/test/oracle"
)

// row is one line of the table.
type row struct {
	name string
	cell func(r *Result) string
}

// table writes the results as Markdown: a column for each rate.
func table(ctx context.Context, o Options, results []*Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", time.Now().Format("2006-01-02 15:04"), circumstances(ctx, o))
	b.WriteString("| |")
	for _, r := range results {
		fmt.Fprintf(&b, " %s |", r.Load)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(results)) + "\n")
	for _, x := range slices.Concat(flowRows, latencyRows, machineRows(results), truthRows) {
		fmt.Fprintf(&b, "| %s |", x.name)
		for _, r := range results {
			b.WriteString(" " + x.cell(r) + " |")
		}
		b.WriteString("\n")
	}
	for _, r := range results {
		if err := r.Verdict.Err(); err != nil {
			fmt.Fprintf(&b, "\nAt %s: %s\n", r.Load, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	return b.String()
}

// circumstances describes where and how it was measured.
func circumstances(ctx context.Context, o Options) string {
	kafka := "the embedded broker"
	if len(o.Brokers) > 0 {
		kafka = "the Kafka at " + strings.Join(o.Brokers, ", ")
	}
	version := "unknown version"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d cores (%s), %s; %s, %s, every device each %s; %s measured after %s of warm-up; everything on one machine.",
		version, runtime.NumCPU(), cpuModel(), runtime.Version(), kafka, o.Protocol, o.Interval, o.Duration, o.Warmup)
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

var flowRows = []row{
	{"devices", func(r *Result) string { return thousands(float64(r.Devices)) }},
	{"accepted (acknowledged), readings/s", func(r *Result) string { return thousands(r.Accepted) }},
	{"in Kafka, readings/s", func(r *Result) string { return thousands(r.InKafka) }},
	{"processed by core, readings/s", func(r *Result) string { return thousands(r.Processed) }},
	{"pushed to a client of 100 devices, readings/s", func(r *Result) string { return thousands(r.Some.PerSecond) + broken(r.Some) }},
	{"pushed to a client of all devices, readings/s", func(r *Result) string { return thousands(r.All.PerSecond) + broken(r.All) }},
	{"conflated (replaced by a newer one), readings/s", func(r *Result) string { return thousands(r.Conflated) }},
}

var latencyRows = []row{
	{"device → acknowledged, mean / p50 / p99 / max ms", func(r *Result) string {
		return fmt.Sprintf("%.1f / %.1f / %.1f / %.0f", r.Sim.AckMeanMS, r.Sim.AckP50MS, r.Sim.AckP99MS, r.Sim.AckMaxMS)
	}},
	{"device → WebSocket (100 devices), mean / p50 / p99 / max ms", func(r *Result) string { return ages(r.Some) }},
	{"device → WebSocket (all devices), mean / p50 / p99 / max ms", func(r *Result) string { return ages(r.All) }},
	{"device → alarm on WebSocket, mean / p50 / p99 / max ms (alarms)", func(r *Result) string {
		if r.All.Raised.Count > 0 {
			return alarmAges(r.All.Raised)
		}
		return alarmAges(r.Some.Raised)
	}},
}

// machineRows has a row for each process: CPU in percent of one core, and memory.
func machineRows(results []*Result) []row {
	names := map[string]bool{}
	for _, r := range results {
		for name := range r.CPU {
			names[name] = true
		}
	}
	var rows []row
	for _, name := range slices.Sorted(maps.Keys(names)) {
		rows = append(rows, row{name + ": CPU %, max RSS", func(r *Result) string {
			return fmt.Sprintf("%.0f %%, %d MB", r.CPU[name], r.MaxRSS[name]>>20)
		}})
	}
	return append(rows, row{"total: CPU %", func(r *Result) string {
		var sum float64
		for _, v := range r.CPU {
			sum += v
		}
		return fmt.Sprintf("%.0f %%", sum)
	}})
}

var truthRows = []row{
	{"skipped by an overloaded simulator, readings", func(r *Result) string { return thousands(float64(r.Sim.Skipped)) }},
	{"not acknowledged at the end, given up, refused, readings", func(r *Result) string {
		return fmt.Sprintf("%d, %d, %d", r.Sim.Open(), r.Sim.GivenUp, r.Sim.Refused)
	}},
	{"sent again by devices: without an answer, after one", func(r *Result) string {
		return thousands(float64(r.Sim.Resent)) + ", " + thousands(float64(r.Sim.Repeated))
	}},
	{"time until core had processed everything", func(r *Result) string {
		if !r.Caught {
			return "gave up after " + r.CatchUp.Round(time.Second).String()
		}
		return r.CatchUp.Round(100 * time.Millisecond).String()
	}},
	{"acknowledged, readings", judged(func(v *oracle.Verdict) string { return thousands(float64(v.Acked)) })},
	{"**lost**", judged(func(v *oracle.Verdict) string { return fmt.Sprintf("**%d**", v.Lost) })},
	{"**duplicated**", judged(func(v *oracle.Verdict) string { return fmt.Sprintf("**%d**", v.Duplicated) })},
	{"**out of order**", judged(func(v *oracle.Verdict) string { return fmt.Sprintf("**%d**", v.OutOfOrder) })},
}

// judged is a cell about the oracle's verdict, where there is one.
func judged(cell func(v *oracle.Verdict) string) func(r *Result) string {
	return func(r *Result) string {
		if !r.Judged {
			return "not checked"
		}
		return cell(&r.Verdict)
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func alarmAges(a Ages) string {
	if a.Count == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f / %.0f (%d)", ms(a.Mean), ms(a.P50), ms(a.P99), ms(a.Max), a.Count)
}

func ages(w Sample) string {
	if w.PerSecond == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f / %.0f", ms(w.Mean), ms(w.P50), ms(w.P99), ms(w.Max))
}

func broken(w Sample) string {
	if w.Broken == "" {
		return ""
	}
	return " (disconnected: " + w.Broken + ")"
}

// thousands writes a number with commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
