package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Sample is what one measurement found, by the keys of the figures. Latencies are in
// milliseconds, memory in MB, CPU of processes in percent of one core.
type Sample map[string]float64

// Ages are the parts of a latency in milliseconds.
type Ages struct{ Mean, P50, P99, Max float64 }

// SetAges stores a latency under its prefix.
func (s Sample) SetAges(prefix string, a Ages) {
	s[prefix+Mean], s[prefix+P50], s[prefix+P99], s[prefix+Max] = a.Mean, a.P50, a.P99, a.Max
}

// Result is a load with its repetitions.
type Result struct {
	Load    Load     `json:"load"`
	Name    string   `json:"name"`
	Command string   `json:"command"`
	Samples []Sample `json:"samples"`
	Notes   []string `json:"notes,omitempty"` // what no figure says, for example which readings were lost
}

// Add adds a repetition of a load.
func (r *Run) Add(l Load, s Sample, notes ...string) {
	at := slices.IndexFunc(r.Results, func(x *Result) bool { return x.Load == l })
	if at < 0 {
		at = len(r.Results)
		r.Results = append(r.Results, &Result{Load: l, Name: l.String(), Command: l.Command()})
	}
	r.Results[at].Samples = append(r.Results[at].Samples, s)
	r.Results[at].Notes = append(r.Results[at].Notes, notes...)
}

// keys returns every figure of the result, sorted.
func (r *Result) keys() []string {
	all := map[string]bool{}
	for _, s := range r.Samples {
		for k := range s {
			all[k] = true
		}
	}
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// values returns a figure of every repetition that has it.
func (r *Result) values(key string) []float64 {
	var out []float64
	for _, s := range r.Samples {
		if v, ok := s[key]; ok {
			out = append(out, v)
		}
	}
	return out
}

// median returns the median over the repetitions, NaN without any.
func (r *Result) median(key string) float64 {
	v := r.values(key)
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Machine is where a run was made. Runs on different machines are not compared.
type Machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Go    string `json:"go"`
}

// same reports whether figures of two machines may be compared; Go's version may differ.
func (m Machine) same(o Machine) bool { return m.CPU == o.CPU && m.Cores == o.Cores && m.OS == o.OS }

// ThisMachine describes the machine.
func ThisMachine() Machine {
	return Machine{CPU: cpuModel(), Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
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

// Run is one call of the benchmark.
type Run struct {
	Date     time.Time     `json:"date"`
	Revision string        `json:"revision"`
	Machine  Machine       `json:"machine"`
	Duration time.Duration `json:"duration"` // measured in each trial
	Warmup   time.Duration `json:"warmup"`
	Results  []*Result     `json:"results"`
}

// layout of the date in the names of saved runs, which sort by it.
const layout = "20060102-150405"

// Save writes a run into dir, as JSON and as the table, and returns the name of the table.
func (r *Run) Save(dir, table string) (string, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", fmt.Errorf("saving the run: %w", err)
	}
	base := filepath.Join(dir, r.Date.Format(layout))
	if err := os.WriteFile(base+".json", b, 0o600); err != nil {
		return "", fmt.Errorf("saving the run: %w", err)
	}
	if err := os.WriteFile(base+".md", []byte(table), 0o600); err != nil {
		return "", fmt.Errorf("saving the table: %w", err)
	}
	return base + ".md", nil
}

// Earlier reads the runs saved in dir by machines like this one, the newest first. Files that
// are no runs are skipped, and reported in the error beside the runs.
func Earlier(dir string, m Machine) ([]*Run, error) {
	names, err := filepath.Glob(filepath.Join(dir, "????????-??????.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	slices.Reverse(names)
	var runs []*Run
	var errs []error
	for _, name := range names {
		b, err := os.ReadFile(name)
		r := &Run{}
		if err == nil {
			err = json.Unmarshal(b, r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s: %w", name, err))
			continue
		}
		if r.Machine.same(m) {
			runs = append(runs, r)
		}
	}
	return runs, errors.Join(errs...)
}

// find returns the result of a load, nil without one.
func (r *Run) find(l Load) *Result {
	for _, x := range r.Results {
		if x.Load == l {
			return x
		}
	}
	return nil
}
