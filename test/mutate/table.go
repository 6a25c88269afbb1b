package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// score is the share of the mutants that the tests killed, in percent.
func (r result) score() float64 {
	if r.mutants() == 0 {
		return 100
	}
	return 100 * float64(r.killed()) / float64(r.mutants())
}

// printTable prints a row for each package. Accepted mutants and those that do not compile
// are not among the mutants.
func printTable(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "package\tmutants\tkilled\ttimed out\tsurvived\tnot covered\tscore\taccepted\ttime\t")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%.0f %%\t%d\t%s\t\n", r.name, r.mutants(), r.killed(), r.counts[timedOut],
			r.counts[survived], r.counts[uncovered], r.score(), r.accepted, r.took.Round(time.Second))
	}
	return w.Flush()
}

// below returns an error that names the packages whose score is less than least.
func below(results []result, least float64) error {
	var names []string
	for _, r := range results {
		if r.score() < least {
			names = append(names, r.name)
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("score below %.0f %%: %v", least, names)
}
