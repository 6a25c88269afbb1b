package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Metrics are the samples of one scrape by series: name, or name{labels} as exposed.
type Metrics map[string]float64

// Sum adds up every series of a metric whose labels contain all the given pieces, such
// as `status="failed"`.
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
	for series, v := range m {
		base, rest, _ := strings.Cut(series, "{")
		if base != name {
			continue
		}
		matches := true
		for _, l := range labels {
			matches = matches && strings.Contains(rest, l)
		}
		if matches {
			sum += v
		}
	}
	return sum
}

// Metrics scrapes a process.
func (c *Cluster) Metrics(ctx context.Context, name string) (Metrics, error) {
	pr, err := c.process(name)
	if err != nil {
		return nil, err
	}
	if pr.prog.HTTP == "" {
		return nil, fmt.Errorf("%s has no metrics endpoint", name)
	}
	code, body, err := get(ctx, "http://"+pr.prog.HTTP+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("scraping %s: %w", name, err)
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("scraping %s: status %d", name, code)
	}
	return parseMetrics(body)
}

// parseMetrics reads the text exposition format without timestamps.
func parseMetrics(text string) (Metrics, error) {
	m := Metrics{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("metrics line %q has no value", line)
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics line %q: %w", line, err)
		}
		m[line[:at]] = v
	}
	return m, nil
}

// Profile takes a CPU profile of every running program that has a metrics endpoint, all at
// the same time, and saves it as dir/NAME.pprof. The programs need OPS_PPROF=true.
func (c *Cluster) Profile(ctx context.Context, dir string, d time.Duration) error {
	return c.fetchProfiles(ctx, dir, fmt.Sprintf("profile?seconds=%.0f", d.Seconds()))
}

// HeapProfile takes a heap profile of the same programs and saves it as Profile does.
func (c *Cluster) HeapProfile(ctx context.Context, dir string) error {
	return c.fetchProfiles(ctx, dir, "heap?gc=1")
}

func (c *Cluster) fetchProfiles(ctx context.Context, dir, page string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	var all errgroup.Group
	for _, name := range c.Names() {
		pr, err := c.process(name)
		if err != nil || !pr.running() || pr.prog.HTTP == "" {
			continue
		}
		all.Go(func() error {
			code, body, err := get(ctx, fmt.Sprintf("http://%s/debug/pprof/%s", pr.prog.HTTP, page))
			if err == nil && code != http.StatusOK {
				err = fmt.Errorf("status %d: %s", code, body)
			}
			if err != nil {
				return fmt.Errorf("profiling %s: %w", name, err)
			}
			return os.WriteFile(filepath.Join(dir, name+".pprof"), []byte(body), 0o600)
		})
	}
	return all.Wait()
}

// get fetches a page.
func get(ctx context.Context, url string) (code int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
