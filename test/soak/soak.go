package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/soak/trend"
)

// errGrows reports that something grows; the table says what.
var errGrows = errors.New("something grows without end")

// shortest is how long a soak must run to fail because something grows. In 11 minutes a plant in one
// process that ended where it began seemed to grow by 82 MB an hour.
const shortest = 15 * time.Minute

// soak runs the plants and prints and saves the verdict.
func soak(ctx context.Context, o options, out io.Writer) (err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "soak-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(o.Dir)
			} else {
				fmt.Fprintln(out, "logs are in", o.Dir)
			}
		}()
	}
	o.Results = filepath.Join(o.Results, time.Now().Format("20060102-150405"))
	bin := filepath.Join(o.Dir, "bin")
	if err := build(ctx, o, bin); err != nil {
		return err
	}
	running := map[string]*plant{}
	defer func() {
		for _, p := range running {
			err = errors.Join(err, p.close())
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(plants)) {
		if o.Only != "" && o.Only != name {
			continue
		}
		p, err := start(ctx, o, name, bin)
		if p != nil {
			running[name] = p
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "running for %s: %d devices every %s in each plant\n", o.For, o.Devices, o.Interval)
	recording, err := record(ctx, o, running)
	return errors.Join(err, report(o, recording, out))
}

func build(ctx context.Context, o options, bin string) error {
	if o.Only != allInOne {
		if err := cluster.Build(ctx, bin); err != nil {
			return err
		}
	}
	if o.Only == processes {
		return nil
	}
	return cluster.BuildPackages(ctx, bin, "./deploy/allinone")
}

// record watches all processes, and takes a heap profile of each when warm and at the end.
func record(ctx context.Context, o options, running map[string]*plant) (trend.Recording, error) {
	looks := map[string]trend.Look{}
	for _, p := range running {
		p.looks(looks)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range running {
		for _, v := range p.viewers {
			g.Go(func() error { return v.follow(ctx) })
		}
	}
	watched, stop := context.WithTimeout(ctx, o.For)
	defer stop()
	g.Go(func() error {
		if !pause(ctx, o.For/2) {
			return nil
		}
		return profile(ctx, running, filepath.Join(o.Results, "heap-warm"))
	})
	var recording trend.Recording
	g.Go(func() (err error) {
		defer cancel() // the clients
		if recording, err = trend.Record(watched, o.Every, looks); err != nil || ctx.Err() != nil {
			return err
		}
		return profile(ctx, running, filepath.Join(o.Results, "heap-end"))
	})
	return recording, g.Wait()
}

func profile(ctx context.Context, running map[string]*plant, dir string) error {
	var errs []error
	for name, p := range running {
		errs = append(errs, p.cluster.HeapProfile(ctx, filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// report judges the second half.
func report(o options, r trend.Recording, out io.Writer) error {
	if len(r) == 0 {
		return nil
	}
	if err := os.MkdirAll(o.Results, 0o750); err != nil {
		return err
	}
	samples, err := os.Create(filepath.Join(o.Results, "samples.csv"))
	if err != nil {
		return err
	}
	verdict, err := os.Create(filepath.Join(o.Results, "verdict.txt"))
	if err != nil {
		return errors.Join(err, samples.Close())
	}
	findings := r.Judge(o.For / 2)
	err = errors.Join(
		r.WriteCSV(samples), samples.Close(),
		trend.WriteTable(io.MultiWriter(out, verdict), findings), verdict.Close(),
	)
	switch {
	case o.For < shortest:
		fmt.Fprintf(out, "too short for a verdict: garbage collection weighs too much in less than %s\n", shortest)
	case slices.ContainsFunc(findings, func(f trend.Finding) bool { return f.Grows() }):
		err = errors.Join(err, errGrows)
	}
	fmt.Fprintln(out, "saved in", o.Results)
	return err
}
