package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// table collects the figures in the order in which they are measured.
type table struct{ rows [][3]string }

// add adds a figure and what it is.
func (t *table) add(figure, value, about string) {
	t.rows = append(t.rows, [3]string{figure, value, about})
}

func (t *table) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range t.rows {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", r[0], r[1], r[2]) // Flush returns the error
	}
	return w.Flush()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// quantile returns the q-quantile of sorted times, 0 for none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// spread describes times by number, median, 99th percentile and maximum.
func spread(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	s := slices.Sorted(slices.Values(times))
	return fmt.Sprintf("%s · %s · %s", millis(quantile(s, 0.5)), millis(quantile(s, 0.99)), millis(s[len(s)-1]))
}
