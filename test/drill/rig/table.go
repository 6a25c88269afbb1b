package rig

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// verdict is a result in a few words.
func verdict(r *Result) string {
	switch {
	case r.Impossible != "":
		return r.Impossible
	case !r.OK():
		return "FAILED"
	}
	return "ok"
}

// recovery is the worst recovery and its limit.
func recovery(r *Result) string {
	switch {
	case r.Recovers == "":
		return "-"
	case r.Limit == 0:
		return round(r.Recovery).String()
	}
	return fmt.Sprintf("%s of %s", round(r.Recovery), r.Limit)
}

// report prints the table and the details of each fault.
func (d *drill) report(took time.Duration) {
	if len(d.results) == 0 {
		return
	}
	fmt.Fprintln(d.Out)
	Table(d.Out, d.results)
	for _, r := range d.results {
		details(d.Out, r)
	}
	failed, missing := 0, 0
	for _, r := range d.results {
		switch {
		case r.Impossible != "":
			missing++
		case !r.OK():
			failed++
		}
	}
	fmt.Fprintf(d.Out, "\n%d faults in %s, seed %d: %d ok, %d failed, %d not possible here\n",
		len(d.results), took.Round(time.Second), d.Seed, len(d.results)-failed-missing, failed, missing)
	if d.Keep || d.kept {
		fmt.Fprintf(d.Out, "logs are in %s\n", d.dir)
	}
}

// Table prints one line for each result.
func Table(out io.Writer, results []*Result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	row := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }
	row("fault", "times", "acknowledged", "in Kafka", "lost", "duplicated", "out of order", "recovery", "verdict")
	for _, r := range results {
		n := strconv.Itoa
		if r.Impossible != "" {
			row(r.Fault.Name, "-", "-", "-", "-", "-", "-", "-", "not possible here")
			continue
		}
		row(r.Fault.Name, n(r.Times), n(r.Acked), n(r.InKafka), n(r.Lost), n(r.Duplicated), n(r.OutOfOrder), recovery(r), verdict(r))
	}
	_ = w.Flush() // out is the caller's
}

// details prints the failures and notes of a fault.
func details(out io.Writer, r *Result) {
	fmt.Fprintf(out, "\n%s: %s\n", r.Fault.Name, verdict(r))
	for _, f := range r.Failures {
		fmt.Fprintf(out, "  failed: %s\n", strings.ReplaceAll(strings.TrimRight(f, "\n"), "\n", "\n    "))
	}
	if r.Impossible != "" {
		return
	}
	if r.Recovers != "" {
		fmt.Fprintf(out, "  worst recovery: %s %s\n", r.Recovers, recovery(r))
	}
	fmt.Fprintf(out, "  load: %.0f readings/s\n", r.Rate)
	for _, n := range r.Notes {
		fmt.Fprintf(out, "  %s\n", n)
	}
	for _, l := range r.Ledgers {
		fmt.Fprintf(out, "  ledger: %s\n", l)
	}
}
