package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// ErrNoSeries means that a directory has none of the files that the labels name.
var ErrNoSeries = errors.New("no series of the labels' file")

// NABCorpus is a part of the Numenta Anomaly Benchmark: series of one value and the windows in which
// an anomaly is to be found.
type NABCorpus struct{ series []nabSeries }

type nabSeries struct {
	name    string // path in the labels' file, with slashes
	at      []int64
	rows    [][]float64
	windows [][2]int // first and last row of each, in order
}

// folder is what is left out at a time when a choice is tested on what it has not seen.
func (s *nabSeries) folder() string { return path.Dir(s.name) }

// ReadNAB reads those series below root that the labels' file names, with or without their folder. labels may be empty: the file
// is then root/combined_windows.json. Series that root does not have are left out, so that a part of
// the corpus is scored by its own windows alone.
func ReadNAB(root, labels string) (*NABCorpus, error) {
	if labels == "" {
		labels = filepath.Join(root, "combined_windows.json")
	}
	data, err := os.ReadFile(labels)
	if err != nil {
		return nil, fmt.Errorf("reading NAB's labels: %w", err)
	}
	var windows map[string][][2]string
	if err := json.Unmarshal(data, &windows); err != nil {
		return nil, fmt.Errorf("reading NAB's labels %s: %w", labels, err)
	}
	c := &NABCorpus{}
	for name, w := range windows {
		s, err := readNABSeries(filepath.Join(root, filepath.FromSlash(name)), w)
		if errors.Is(err, fs.ErrNotExist) { // root may be one folder of the corpus
			s, err = readNABSeries(filepath.Join(root, path.Base(name)), w)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		s.name = name
		c.series = append(c.series, s)
	}
	if len(c.series) == 0 {
		return nil, fmt.Errorf("%w %s below %s", ErrNoSeries, labels, root)
	}
	slices.SortFunc(c.series, func(a, b nabSeries) int { return strings.Compare(a.name, b.name) })
	return c, nil
}

func readNABSeries(file string, windows [][2]string) (nabSeries, error) {
	t, err := ReadTableFile(file)
	if err != nil {
		return nabSeries{}, err
	}
	if len(t.Sensors) != 1 {
		return nabSeries{}, fmt.Errorf("%w: %d sensors, a series of NAB has one", ErrTable, len(t.Sensors))
	}
	s := nabSeries{at: t.At, rows: t.Rows}
	for _, w := range windows {
		if err := s.addWindow(w); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *nabSeries) addWindow(w [2]string) error {
	from, err := parseTime(w[0])
	if err != nil {
		return fmt.Errorf("window %v: %w", w, err)
	}
	to, err := parseTime(w[1])
	if err != nil {
		return fmt.Errorf("window %v: %w", w, err)
	}
	first := sort.Search(len(s.at), func(i int) bool { return s.at[i] >= from })
	last := sort.Search(len(s.at), func(i int) bool { return s.at[i] > to }) - 1
	if last >= first {
		s.windows = append(s.windows, [2]int{first, last})
	}
	return nil
}
