package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/test/cluster"
)

func pause(ctx context.Context, d time.Duration) bool { return lifecycle.Pause(ctx, d) }

// footprints returns what the programs hold now.
func (p *plant) footprints() (map[string]cluster.Footprint, error) {
	out := map[string]cluster.Footprint{}
	for _, name := range programs {
		f, err := p.cluster.Footprint(name)
		if err != nil {
			return nil, err
		}
		out[name] = f
	}
	return out, nil
}

// cpu returns the CPU that each process used so far.
func (p *plant) cpu() (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	for _, name := range append(append([]string{cluster.Kafka}, programs...), p.players...) {
		u, err := p.cluster.Usage(name)
		if err != nil {
			return nil, err
		}
		out[name] = u.CPU
	}
	return out, nil
}

// measure adds the CPU of each process during one stage.
func (p *plant) measure(ctx context.Context, t *table, what string) error {
	before, err := p.cpu()
	if err != nil {
		return err
	}
	since := time.Now()
	if !pause(ctx, p.o.Stage) {
		return ctx.Err()
	}
	after, err := p.cpu()
	if err != nil {
		return err
	}
	took := time.Since(since)
	for _, name := range append([]string{cluster.Kafka}, programs...) {
		t.add(name+" CPU", p.share(after[name]-before[name], took), "of one core, "+what)
	}
	var rest time.Duration
	for _, name := range p.players {
		rest += after[name] - before[name]
	}
	t.add("gateways CPU", p.share(rest, took), "of one core, all processes that play gateways, "+what)
	return nil
}

// share gives CPU in percent of a core, and in microseconds a second for each gateway.
func (p *plant) share(used, took time.Duration) string {
	return fmt.Sprintf("%.1f %%, %.0f µs/s a gateway", 100*used.Seconds()/took.Seconds(),
		float64(used.Microseconds())/took.Seconds()/float64(p.o.Gateways))
}

// profile saves profiles of the programs if wanted.
func (p *plant) profile(ctx context.Context, stage string) error {
	if p.o.Profiles == "" {
		return nil
	}
	if err := p.cluster.HeapProfile(ctx, filepath.Join(p.o.Profiles, stage, "heap")); err != nil {
		return err
	}
	return p.cluster.Profile(ctx, filepath.Join(p.o.Profiles, stage, "cpu"), p.o.Stage/2)
}
