package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pkg is a package as go list describes it.
type pkg struct {
	Name   string // relative to the module
	dir    string
	files  []string
	tested bool
}

// list returns the packages that match the patterns.
func list(ctx context.Context, patterns []string) ([]pkg, error) {
	const format = `{{.Module.Dir}};{{.Dir}};{{join .GoFiles ","}};{{len .TestGoFiles}}{{len .XTestGoFiles}}`
	out, err := exec.CommandContext(ctx, "go", append([]string{"list", "-f", format}, patterns...)...).Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, e.Stderr)
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	var pkgs []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		name, err := filepath.Rel(f[0], f[1])
		if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, pkg{Name: name, dir: f[1], files: strings.Split(f[2], ","), tested: f[3] != "00"})
	}
	return pkgs, nil
}

// verdict is what became of a mutant.
type verdict int

const (
	killed verdict = iota
	timedOut
	survived
	uncovered
	broken // does not compile
)

// result counts a package's mutants.
type result struct {
	name     string
	counts   [broken + 1]int
	accepted int
	took     time.Duration
}

func (r result) killed() int  { return r.counts[killed] + r.counts[timedOut] }
func (r result) mutants() int { return r.killed() + r.counts[survived] + r.counts[uncovered] }

// trial is the work on one package.
type trial struct {
	options
	pkg      pkg
	accepted accepted
	dir      string
	out      io.Writer

	sources  map[string][]byte // by name relative to the module
	covered  coverage
	timeout  time.Duration
	mu       sync.Mutex
	queue    []mutant
	inFlight int
	result   result
}

// run tries the mutants of the package.
func (t *trial) run(ctx context.Context) (result, error) {
	t.result.name = t.pkg.Name
	if err := t.find(); err != nil || len(t.queue) == 0 {
		return t.result, err
	}
	if t.show {
		for _, m := range t.queue {
			fmt.Fprintln(t.out, m)
		}
		return t.result, nil
	}
	if err := t.clean(ctx); err != nil {
		return t.result, err
	}
	r := rand.New(rand.NewPCG(t.seed, 0))
	r.Shuffle(len(t.queue), func(i, j int) { t.queue[i], t.queue[j] = t.queue[j], t.queue[i] })
	var workers sync.WaitGroup
	errs := make([]error, t.parallel)
	for i := range errs {
		workers.Go(func() { errs[i] = t.work(ctx, filepath.Join(t.dir, fmt.Sprint(i))) })
	}
	workers.Wait()
	return t.result, errors.Join(errs...)
}

// find fills the queue with the mutants that are not accepted.
func (t *trial) find() error {
	t.sources = map[string][]byte{}
	for _, name := range t.pkg.files {
		file := filepath.Join(t.pkg.Name, name)
		source, err := os.ReadFile(filepath.Join(t.pkg.dir, name))
		if err != nil {
			return err
		}
		mutants, err := find(file, source)
		if err != nil {
			return err
		}
		t.sources[file] = source
		for _, gone := range t.accepted.gone(file, mutants) {
			fmt.Fprintf(t.out, "accepted, but fits no mutant any more: %s\n", gone)
		}
		for _, m := range mutants {
			if reason, ok := t.accepted[file][m.key()]; ok {
				t.result.accepted++
				fmt.Fprintf(t.out, "accepted: %s # %s\n", m, reason)
			} else {
				t.queue = append(t.queue, m)
			}
		}
	}
	return nil
}

// clean runs the tests without a fault, for the coverage and the time they need.
func (t *trial) clean(ctx context.Context) error {
	if !t.pkg.tested {
		return nil
	}
	binary, profile := filepath.Join(t.dir, "clean.test"), filepath.Join(t.dir, "cover.out")
	if out, err := t.compile(ctx, binary, "-cover"); err != nil {
		return fmt.Errorf("compiling the tests: %w\n%s", err, out)
	}
	start := time.Now()
	if out, err := t.test(ctx, binary, 10*time.Minute, "-test.coverprofile="+profile); err != nil {
		return fmt.Errorf("the tests fail without any fault: %w\n%s", err, out)
	}
	t.timeout = t.slack + 4*time.Since(start)
	var err error
	t.covered, err = readCoverage(profile)
	return err
}

// compile builds the package's tests.
func (t *trial) compile(ctx context.Context, binary string, flags ...string) ([]byte, error) {
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = t.pkg.dir
	return cmd.CombinedOutput()
}

// test runs compiled tests, and ends them with everything they started.
func (t *trial) test(ctx context.Context, binary string, limit time.Duration, flags ...string) ([]byte, error) {
	// The tests stop themselves at the limit; what cannot do even that is killed.
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"-test.failfast", "-test.timeout=" + limit.String()}, flags...)...)
	cmd.Dir = t.pkg.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd.CombinedOutput()
}

// work tries mutants until the sample is complete. A mutant that does not compile makes
// room for another one.
func (t *trial) work(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for {
		m, ok := t.next()
		if !ok {
			return nil
		}
		v, err := t.try(ctx, m, dir)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		t.count(m, v)
	}
}

func (t *trial) next() (mutant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 || t.sample > 0 && t.result.mutants()+t.inFlight >= t.sample {
		return mutant{}, false
	}
	m := t.queue[0]
	t.queue = t.queue[1:]
	t.inFlight++
	return m, true
}

func (t *trial) count(m mutant, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight--
	t.result.counts[v]++
	switch v {
	case survived:
		fmt.Fprintln(t.out, m)
	case uncovered:
		fmt.Fprintln(t.out, "not covered:", m)
	case killed, timedOut, broken:
	}
}

// try compiles one mutant in dir and runs the tests.
func (t *trial) try(ctx context.Context, m mutant, dir string) (verdict, error) {
	source, overlay, binary := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant.test")
	if err := os.WriteFile(source, m.apply(t.sources[m.file]), 0o600); err != nil {
		return broken, err
	}
	original := filepath.Join(t.pkg.dir, filepath.Base(m.file))
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{original: source}})
	if err != nil {
		return broken, err
	}
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		return broken, err
	}
	if _, err := t.compile(ctx, binary, "-overlay="+overlay); err != nil {
		return broken, nil //nolint:nilerr // that is the verdict
	}
	if !t.covered.executes(m) {
		return uncovered, nil
	}
	out, err := t.test(ctx, binary, t.timeout)
	switch {
	case err == nil:
		return survived, nil
	case strings.Contains(string(out), "panic: test timed out after") || strings.Contains(err.Error(), "signal: killed"):
		return timedOut, nil
	default:
		return killed, nil
	}
}
