package trend

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Sample is one look at a process. A quantity is 0 where it is unknown.
type Sample struct {
	At         time.Duration // since the start
	RSS        float64       // resident set, bytes
	Garbage    float64       // part of it that garbage collection frees, or has freed and not yet given back
	Heap       float64       // bytes that the last garbage collection left
	Goroutines float64
	Files      float64 // open file descriptors
}

// quantity is something that must not grow.
type quantity struct {
	name  string
	unit  float64
	limit float64 // units an hour
	of    func(Sample) float64
}

// quantities of a process with their limits.
//
// A leak of 1 MB a minute, 60 MB an hour, must fail the soak; half of that is the limit. Growth
// is known to ±15 MB an hour within a quarter of an hour (TestGrowth), so a process that does
// not grow passes: its garbage is not counted, which on a busy machine makes its resident set go
// up and down by a tenth for many minutes. In a shorter time the noise weighs more: see Finding.Grows. Goroutines and
// files have no garbage: one in a minute is a leak.
var quantities = []quantity{
	{"RSS without garbage MB", 1 << 20, 30, func(s Sample) float64 { return s.RSS - s.Garbage }},
	{"heap MB", 1 << 20, 30, func(s Sample) float64 { return s.Heap }},
	{"goroutines", 1, 60, func(s Sample) float64 { return s.Goroutines }},
	{"files", 1, 60, func(s Sample) float64 { return s.Files }},
}

// Recording is the samples of processes by name.
type Recording map[string][]Sample

// Finding is how one quantity of one process developed.
type Finding struct {
	Process, Quantity string
	First, Last       float64 // medians of the first and the last tenth
	PerHour, Limit    float64
	Rise              float64
}

// Grows reports whether the quantity grows without end: by more than its limit, and not only by
// noise, which is 2 % of it, at least 4 MB or 4 pieces. A leak of 1 MB a minute rises by 10 MB
// in the quarter of an hour that is judged (TestRise).
func (f *Finding) Grows() bool { return f.PerHour > f.Limit && f.Rise > max(4, f.First/50) }

// Judge returns the findings for the samples from a time on, in the order of the processes' names.
func (r Recording) Judge(from time.Duration) []Finding {
	var out []Finding
	for _, name := range r.names() {
		samples := slices.DeleteFunc(slices.Clone(r[name]), func(s Sample) bool { return s.At < from })
		for _, q := range quantities {
			var points []Point
			for _, s := range samples {
				points = append(points, Point{s.At, q.of(s) / q.unit})
			}
			tenth := (len(points) + 9) / 10
			perHour, rise := Growth(points)
			out = append(out, Finding{
				Process: name, Quantity: q.name, PerHour: perHour, Limit: q.limit, Rise: rise,
				First: middle(points[:tenth]), Last: middle(points[len(points)-tenth:]),
			})
		}
	}
	return out
}

func middle(points []Point) float64 {
	var values []float64
	for _, p := range points {
		values = append(values, p.Value)
	}
	return median(values)
}

func (r Recording) names() []string {
	var names []string
	for name := range r {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// WriteTable writes one line for each process, with every quantity as "first → last (growth an
// hour)", and then what grows.
func WriteTable(w io.Writer, findings []Finding) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var head []string
	for _, q := range quantities {
		head = append(head, fmt.Sprintf("%s (an hour, at most %+.0f)", q.name, q.limit))
	}
	fmt.Fprintf(tw, "process\t%s\n", strings.Join(head, "\t"))
	var grown []string
	for line := range slices.Chunk(findings, len(quantities)) {
		fmt.Fprint(tw, line[0].Process)
		for _, f := range line {
			fmt.Fprintf(tw, "\t%.0f → %.0f (%+.1f)", f.First, f.Last, f.PerHour)
			if f.Grows() {
				grown = append(grown, fmt.Sprintf("%s: %s grow by %.1f an hour", f.Process, f.Quantity, f.PerHour))
			}
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(grown) == 0 {
		grown = []string{"nothing grows"}
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(grown, "\n"))
	return err
}

// WriteCSV writes every sample.
func (r Recording) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"process", "seconds", "rss", "rss_without_garbage", "heap", "goroutines", "files"}) // Error returns it
	for _, name := range r.names() {
		for _, s := range r[name] {
			line := []string{name, strconv.FormatFloat(s.At.Seconds(), 'f', 1, 64), strconv.FormatFloat(s.RSS, 'f', 0, 64)}
			for _, q := range quantities {
				line = append(line, strconv.FormatFloat(q.of(s), 'f', 0, 64))
			}
			_ = c.Write(line)
		}
	}
	c.Flush()
	return c.Error()
}
