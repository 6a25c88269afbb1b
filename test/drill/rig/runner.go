package rig

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"industrial-iot-monitor/test/cluster"
)

// Options of a drill. Dir and Out are required.
type Options struct {
	Faults       []Fault // to try, in this order
	Quick        bool
	Seed         uint64
	Dir          string // for data and logs
	Keep         bool   // keep them
	Bin          string // directory with the programs, "" to build them
	Kafka        string // a running Kafka for faults that need no special one, "" for the embedded one
	AllowMissing bool   // faults that cannot be tried here do not fail the drill
	Out          io.Writer
}

// ErrFailed is returned by Run when an expectation was not met or a fault not tried.
var ErrFailed = errors.New("not every expectation was met")

// drill is a running drill.
type drill struct {
	Options
	dir, bin string
	scenes   int
	scene    *Scene // nil when none is up
	spoiled  bool   // something failed in the scene: its logs are kept
	kept     bool
	results  []*Result
}

// Run tries every fault and prints the table. It returns ErrFailed when a verdict is not
// ok, and another error when the drill itself could not go on.
func Run(ctx context.Context, o Options) error {
	dir, err := filepath.Abs(filepath.Join(o.Dir, time.Now().Format("20060102-150405")))
	if err != nil {
		return err
	}
	d := &drill{Options: o, dir: dir, bin: filepath.Join(dir, "bin")}
	fmt.Fprintf(o.Out, "seed %d, data and logs in %s\n", o.Seed, dir)
	start := time.Now()
	if o.Bin != "" {
		d.bin, err = filepath.Abs(o.Bin)
	} else {
		err = cluster.Build(ctx, d.bin)
		fmt.Fprintf(o.Out, "building took %s\n", time.Since(start).Round(time.Second))
	}
	if err == nil {
		err = d.tryAll(ctx)
	}
	d.leave()
	d.report(time.Since(start))
	err = errors.Join(err, d.clean())
	if err == nil && !d.ok() {
		return ErrFailed
	}
	return err
}

func (d *drill) tryAll(ctx context.Context) error {
	for i := range d.Faults {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped before %s: %w", d.Faults[i].Name, err)
		}
		f := &d.Faults[i]
		if d.Quick && f.QuickSite != nil {
			f.Site = *f.QuickSite
		}
		f.Site.defaults()
		res := &Result{Fault: f}
		d.results = append(d.results, res)
		if d.impossible(f, res) {
			fmt.Fprintf(d.Out, "%s: %s\n", f.Name, res.Impossible)
			continue
		}
		start := time.Now()
		fmt.Fprintf(d.Out, "%s: %s\n", f.Name, f.Breaks)
		if err := d.try(ctx, f, res); err != nil {
			res.fail("%v", err)
			d.spoiled = true
			if ctx.Err() != nil {
				return fmt.Errorf("stopped during %s: %w", f.Name, ctx.Err())
			}
			d.leave() // the next fault needs an intact scene
		}
		res.Took = time.Since(start)
		fmt.Fprintf(d.Out, "%s: %s after %s\n", f.Name, verdict(res), res.Took.Round(time.Second))
		d.spoiled = d.spoiled || !res.OK()
	}
	return nil
}

func (d *drill) impossible(f *Fault, res *Result) bool {
	var err error
	if f.Site.Broker == RealBroker {
		err = cluster.ApachePossible()
	}
	if err == nil && f.Possible != nil {
		err = f.Possible()
	}
	if err != nil {
		res.Impossible = "not possible here: " + err.Error()
	}
	return err != nil
}

// try runs one fault under load and judges it.
func (d *drill) try(ctx context.Context, f *Fault, res *Result) error {
	if err := d.enter(ctx, f); err != nil {
		return err
	}
	s := d.scene
	s.last = res
	s.number++
	r := &Round{
		Scene: s, Rand: rand.New(rand.NewPCG(d.Seed, nameSeed(f.Name))), Quick: d.Quick, Times: f.Times,
		Dir: filepath.Join(s.dir, f.Name), result: res,
	}
	if d.Quick {
		r.Times = max(1, f.Quick) // a fault that the quick drill omits is tried once when selected by name
	}
	if err := os.MkdirAll(r.Dir, 0o750); err != nil {
		return err
	}
	a := s.tallies.open()
	s.tallies.follow()
	defer s.tallies.pause()
	load, err := s.startLoad(ctx, s.number)
	if err != nil {
		return err
	}
	defer func() { _ = load.stop() }() // after an error
	r.Strays = load.strays.all
	if _, err := s.AwaitNew(ctx); err != nil {
		return fmt.Errorf("before anything was broken: %w", err)
	}
	if err := f.Run(ctx, r); err != nil {
		return err
	}
	return errors.Join(load.stop(), s.judge(ctx, r, a, load))
}

func nameSeed(name string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	return h.Sum64()
}

// enter starts the scene that a fault needs, unless it is up.
func (d *drill) enter(ctx context.Context, f *Fault) error {
	if d.scene != nil && (!d.Quick || d.scene.Site != f.Site) {
		d.leave()
	}
	if d.scene != nil {
		return nil
	}
	d.scenes++
	s, err := startScene(ctx, f.Site, &d.Options, filepath.Join(d.dir, strconv.Itoa(d.scenes)), d.bin)
	if err != nil {
		return fmt.Errorf("starting the cluster: %w", err)
	}
	d.scene = s
	return nil
}

// leave stops the scene. An error is a failure of the last fault tried there.
func (d *drill) leave() {
	s := d.scene
	if s == nil {
		return
	}
	d.scene = nil
	err := s.close()
	spoiled := d.spoiled || err != nil
	d.spoiled, d.kept = false, d.kept || spoiled
	if err = errors.Join(err, d.tidy(s.dir, spoiled)); err != nil {
		s.last.fail("stopping the cluster: %v", err)
	}
}

// tidy removes a scene's data, except its logs when something failed.
func (d *drill) tidy(dir string, spoiled bool) error {
	if d.Keep {
		return nil
	}
	if !spoiled {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".log" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// clean removes the programs, and the whole directory unless logs are kept.
func (d *drill) clean() error {
	if d.Keep {
		return nil
	}
	if d.kept {
		return os.RemoveAll(filepath.Join(d.dir, "bin"))
	}
	return os.RemoveAll(d.dir)
}

// ok reports whether the drill was passed.
func (d *drill) ok() bool {
	for _, r := range d.results {
		if r.Impossible != "" && d.AllowMissing {
			continue
		}
		if !r.OK() {
			return false
		}
	}
	return len(d.results) == len(d.Faults)
}
