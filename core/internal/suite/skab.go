package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// Confusion counts rows by what they are and what they were judged to be.
type Confusion struct{ TP, FP, FN, TN int }

// F1 is the harmonic mean of precision and recall, 0 to 1.
func (c Confusion) F1() float64 { return ratio(2*c.TP, 2*c.TP+c.FP+c.FN) }

// FAR is the rate of false alarms in percent: of the usual rows those that were judged as unusual.
func (c Confusion) FAR() float64 { return 100 * ratio(c.FP, c.FP+c.TN) }

// MAR is the rate of missed alarms in percent: of the anomalous rows those that were judged as usual.
func (c Confusion) MAR() float64 { return 100 * ratio(c.FN, c.FN+c.TP) }

// Precision is which share of the rows judged as unusual are anomalous, 0 to 1.
func (c Confusion) Precision() float64 { return ratio(c.TP, c.TP+c.FP) }

// Recall is which share of the anomalous rows were judged as unusual, 0 to 1.
func (c Confusion) Recall() float64 { return ratio(c.TP, c.TP+c.FN) }

func (c *Confusion) add(o Confusion) {
	c.TP, c.FP, c.FN, c.TN = c.TP+o.TP, c.FP+o.FP, c.FN+o.FN, c.TN+o.TN
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Interval is a 95 % confidence interval.
type Interval struct{ Low, High float64 }

// SKABFile is what a detector made of one file.
type SKABFile struct {
	Name string
	Confusion
	Events int // runs of labelled rows
	Found  int // of them those in which a row was judged as unusual
	Delays []int
	False  int // runs of rows judged as unusual without a labelled one among them
}

// SKABResult is what a detector made of all files, by the rules of SKAB's leaderboard for outliers
// (Katser, Kozitsin 2020): the rows of all files are pooled, those of the learning period included.
type SKABResult struct {
	Files []SKABFile // by name
	Confusion
	// Intervals of the three measures of the leaderboard, over files, by a seeded bootstrap.
	F1CI, FARCI, MARCI Interval
	Events, Found      int
	Delay              int // median, in rows, of the events that were found
	False              int
}

// Candidate is a detector to choose from.
type Candidate struct {
	Name string
	New  func() Judge
}

// ErrNoTables means that a directory has no table with labels.
var ErrNoTables = errors.New("no table with a column anomaly")

// SKAB scores a detector on the labelled tables below dir, whatever their names. Each is judged by
// a detector of its own.
func SKAB(dir string, detector func() Judge) (SKABResult, error) {
	tables, err := labelledTables(dir)
	if err != nil {
		return SKABResult{}, err
	}
	return pool(judgeTables(tables, detector)), nil
}

// SKABLeaveOneOut scores the choice between candidates: each file is judged by the one that has the
// best F1 on all others. chosen says how often each was chosen.
func SKABLeaveOneOut(dir string, candidates []Candidate) (res SKABResult, chosen map[string]int, err error) {
	tables, err := labelledTables(dir)
	if err != nil {
		return SKABResult{}, nil, err
	}
	judged := make([][]SKABFile, len(candidates))
	for c := range candidates {
		judged[c] = judgeTables(tables, candidates[c].New)
	}
	files := make([]SKABFile, len(tables))
	chosen = map[string]int{}
	for i := range tables {
		best := bestWithout(judged, i)
		files[i] = judged[best][i]
		chosen[candidates[best].Name]++
	}
	return pool(files), chosen, nil
}

// bestWithout returns which candidate has the best F1 on all files but one.
func bestWithout(judged [][]SKABFile, left int) int {
	best, f1 := 0, -1.0
	for c := range judged {
		var sum Confusion
		for i := range judged[c] {
			if i != left {
				sum.add(judged[c][i].Confusion)
			}
		}
		if f := sum.F1(); f > f1 {
			best, f1 = c, f
		}
	}
	return best
}

func labelledTables(dir string) ([]*Table, error) {
	var tables []*Table
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.EqualFold(filepath.Ext(path), ".csv") {
			return err
		}
		t, err := ReadTableFile(path)
		if err == nil && t.Anomaly != nil {
			t.Name, _ = filepath.Rel(dir, path)
			tables = append(tables, t)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the tables below %s: %w", dir, err)
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("%w below %s", ErrNoTables, dir)
	}
	return tables, nil
}

func judgeTables(tables []*Table, detector func() Judge) []SKABFile {
	files := make([]SKABFile, len(tables))
	for i, t := range tables {
		verdict, judge := make([]bool, len(t.Rows)), detector()
		for r := range t.Rows {
			_, verdict[r] = judge.Row(t.At[r], t.Rows[r])
		}
		files[i] = compare(t.Name, t.Anomaly, verdict)
	}
	return files
}

// compare counts the rows and events of a file.
func compare(name string, label, verdict []bool) SKABFile {
	f := SKABFile{Name: name}
	for i := range label {
		switch {
		case label[i] && verdict[i]:
			f.TP++
		case label[i]:
			f.FN++
		case verdict[i]:
			f.FP++
		default:
			f.TN++
		}
	}
	for _, e := range runs(label) {
		f.Events++
		if d := slices.Index(verdict[e[0]:e[1]], true); d >= 0 {
			f.Found++
			f.Delays = append(f.Delays, d)
		}
	}
	for _, a := range runs(verdict) {
		if !slices.Contains(label[a[0]:a[1]], true) {
			f.False++
		}
	}
	return f
}

// runs returns begin and end of each run of true.
func runs(v []bool) [][2]int {
	var out [][2]int
	for i := range v {
		if v[i] && (i == 0 || !v[i-1]) {
			out = append(out, [2]int{i, i})
		}
		if v[i] {
			out[len(out)-1][1] = i + 1
		}
	}
	return out
}

func pool(files []SKABFile) SKABResult {
	r := SKABResult{Files: files}
	var delays []int
	for i := range files {
		r.add(files[i].Confusion)
		r.Events += files[i].Events
		r.Found += files[i].Found
		r.False += files[i].False
		delays = append(delays, files[i].Delays...)
	}
	if slices.Sort(delays); len(delays) > 0 {
		r.Delay = delays[len(delays)/2]
	}
	r.F1CI, r.FARCI, r.MARCI = bootstrap(files)
	return r
}

// bootstrap draws files with replacement, always the same ones, and returns the 2.5 % and 97.5 %
// quantiles of the pooled measures.
func bootstrap(files []SKABFile) (f1, far, mar Interval) {
	const rounds = 2000
	rng := rand.New(rand.NewPCG(1, 2))
	var all [3][]float64
	for range rounds {
		var c Confusion
		for range files {
			c.add(files[rng.IntN(len(files))].Confusion)
		}
		for k, v := range [...]float64{c.F1(), c.FAR(), c.MAR()} {
			all[k] = append(all[k], v)
		}
	}
	var out [3]Interval
	for k := range all {
		slices.Sort(all[k])
		out[k] = Interval{all[k][rounds/40], all[k][rounds-1-rounds/40]}
	}
	return out[0], out[1], out[2]
}
