package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
)

const (
	// confidence of the ranges beside the medians.
	confidence = 0.95
	// plain is the change that counts where too few repetitions allow no test.
	plain = 0.20
	// tested is the smallest change that counts where a test finds it significant.
	tested = 0.03
	// enough repetitions on each side let the test find any difference at p < chance.
	enough = 5
	// chance is strict, because fifty figures are tested.
	chance = 0.01
)

// change is a figure in two runs.
type change struct {
	key      string
	old, now median
	test     benchmath.Comparison
	loss     bool
	gain     bool
}

// median is the median of repetitions with their range.
type median struct {
	value float64
	text  string
}

func medianOf(s *benchmath.Sample) median {
	sum := benchmath.AssumeNothing.Summary(s, confidence)
	m := median{value: sum.Center} //nolint:misspell // the library's field
	m.text = number(m.value)
	if !math.IsInf(sum.Hi-sum.Lo, 0) { // six repetitions have such a range
		m.text += " ± " + sum.PctRangeString()
	}
	return m
}

// compare compares every judged figure that both results have.
func compare(old, now *Result) []change {
	var out []change
	for _, key := range now.keys() {
		before := old.values(key)
		if s := senseOf(key); s.better != neither && len(before) > 0 {
			out = append(out, compareValues(key, s, before, now.values(key)))
		}
	}
	return out
}

func compareValues(key string, s sense, before, after []float64) change {
	t := benchmath.Thresholds{CompareAlpha: chance}
	a, b := benchmath.NewSample(slices.Clone(before), &t), benchmath.NewSample(slices.Clone(after), &t)
	c := change{key: key, old: medianOf(a), now: medianOf(b), test: benchmath.AssumeNothing.Compare(a, b)}
	d := c.now.value - c.old.value
	if math.Abs(d) <= s.noise || !c.significant(d) {
		return c
	}
	c.gain = (d > 0) == (s.better == higher)
	c.loss = !c.gain
	return c
}

// significant reports whether a difference is more than chance.
func (c *change) significant(d float64) bool {
	share := math.Inf(1) // from zero to something
	if c.old.value != 0 {
		share = math.Abs(d / c.old.value)
	}
	if c.test.N1 >= enough && c.test.N2 >= enough {
		return c.test.P <= c.test.Alpha && share >= tested
	}
	return share >= plain
}

// delta writes the change in percent.
func (c *change) delta() string {
	if c.old.value == 0 {
		return fmt.Sprintf("%+.3g", c.now.value)
	}
	return fmt.Sprintf("%+.1f %%", 100*(c.now.value/c.old.value-1))
}

// repetitions writes their numbers, with the p-value of a test.
func (c *change) repetitions() string {
	if c.test.N1 < enough || c.test.N2 < enough {
		return fmt.Sprintf("n=%d+%d", c.test.N1, c.test.N2)
	}
	return c.test.String()
}

// Compared is the comparison of a run with earlier ones.
type Compared struct {
	Text   string
	Losses []string // figures that became clearly worse
}

// Compare compares every load of a run with the newest of the earlier runs that has it.
// earlier is sorted, the newest first.
func Compare(r *Run, earlier []*Run) Compared {
	var out Compared
	var b strings.Builder
	for _, now := range r.Results {
		for _, e := range earlier {
			old := e.find(now.Load)
			if old == nil || e.Duration != r.Duration {
				continue
			}
			fmt.Fprintf(&b, "## %s, compared with %s of %s\n\n", now.Name, e.Revision, e.Date.Format("2006-01-02 15:04"))
			text, losses := changes(compare(old, now))
			b.WriteString(text)
			for _, l := range losses {
				out.Losses = append(out.Losses, now.Name+": "+l)
			}
			break
		}
	}
	out.Text = b.String()
	return out
}

// changes writes the figures that changed, losses first, and names the losses.
func changes(all []change) (text string, losses []string) {
	var b strings.Builder
	quiet := 0
	line := func(c *change, word string) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n",
			caption(c.key), c.old.text, c.now.text, c.delta(), c.repetitions(), word)
	}
	for i := range all {
		if c := &all[i]; c.loss {
			line(c, "**worse**")
			losses = append(losses, fmt.Sprintf("%s: %s, was %s", caption(c.key), number(c.now.value), number(c.old.value)))
		}
	}
	for i := range all {
		switch c := &all[i]; {
		case c.gain:
			line(c, "better")
		case !c.loss:
			quiet++
		}
	}
	if b.Len() > 0 {
		text = "| | old | new | delta | | |\n|---|---:|---:|---:|---|---|\n" + b.String() + "\n"
	}
	return text + fmt.Sprintf("%d other figures are unchanged within their noise.\n\n", quiet), losses
}
