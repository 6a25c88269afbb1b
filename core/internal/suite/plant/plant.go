package plant

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

// Detector judges the readings of one device, as detect.Device does.
type Detector interface {
	// Step appends a verdict for each sample of the reading at time at (ms) to dst.
	Step(at int64, samples []detect.Sample, dst []detect.Verdict) []detect.Verdict
}

// Contestant is a detector with a name. New makes one for each device; calls can be concurrent.
type Contestant struct {
	Name string
	New  func() Detector
}

// Product returns the product's detector with the given settings.
func Product(name string, s detect.Settings) Contestant {
	return Contestant{name, func() Detector { return &product{settings: s} }}
}

type product struct {
	device   detect.Device
	settings detect.Settings
}

func (p *product) Step(at int64, samples []detect.Sample, dst []detect.Verdict) []detect.Verdict {
	return p.device.Step(&p.settings, at, samples, dst)
}

// Options of a simulated plant. Default and Quick return usable ones.
type Options struct {
	Devices   int
	Days      int
	Interval  time.Duration // between two readings of a device
	Seeds     []uint64      // one plant each
	Variance  float64       // noise of the sensors, as of fleet.Options
	Anomalies float64       // per device and day
	Kinds     []telemetry.AnomalyKind
	// Settled is how long there are no faults at the beginning, and alarms do not count: the
	// detectors learn. It is a whole number of days.
	Settled   time.Duration
	Start     int64 // ms, a midnight UTC; 0 is a Monday
	Rule      Rule
	Tolerance Tolerance
}

// Default is the size that figures are published for: about 121 million readings a seed.
func Default() Options {
	return Options{
		Devices: 2000, Days: 7, Interval: 10 * time.Second, Seeds: []uint64{11, 12, 13}, Variance: 0.1,
		Anomalies: 0.2, Settled: 24 * time.Hour, Rule: DefaultRule(), Tolerance: DefaultTolerance,
		// A device that sends nothing is told by the watchdog while it is silent.
		Kinds: slices.DeleteFunc(slices.Clone(fleet.AnomalyKinds), func(k telemetry.AnomalyKind) bool { return k == fleet.Silence }),
	}
}

// Quick is a small plant for tests: 40 devices for two days.
func Quick() Options {
	o := Default()
	o.Devices, o.Days, o.Seeds, o.Anomalies = 40, 2, []uint64{1}, 0.8
	return o
}

// monday is 2026-01-05 0 h UTC.
const monday = int64(1_767_571_200_000)

func (o *Options) check() error {
	switch {
	case o.Days < 1 || time.Duration(o.Days)*24*time.Hour <= o.Settled:
		return fmt.Errorf("days: %d leave nothing to judge after %s", o.Days, o.Settled)
	case o.Settled%(24*time.Hour) != 0 || o.Start%dayMS != 0:
		return fmt.Errorf("settled: %s and start: %d are not at a midnight", o.Settled, o.Start)
	case o.Interval <= 0 || len(o.Seeds) == 0:
		return fmt.Errorf("interval: %s with %d seeds, want a positive one and a seed", o.Interval, len(o.Seeds))
	}
	return nil
}

// Result is what became of one contestant.
type Result struct {
	Name  string
	Seeds []Tally       // in the order of Options.Seeds
	Took  time.Duration // of all its steps, on one core
}

// Cost is what a run took beside the contestants.
type Cost struct {
	Readings, Values int64
	Generating       time.Duration // of values and their medians of the room, on one core
	Took             time.Duration
}

// Run runs the contestants over simulated plants with a weekly rhythm, room by room on all cores.
// All see the same readings. The same options give the same tallies.
func Run(ctx context.Context, o Options, contestants ...Contestant) ([]Result, Cost, error) {
	if o.Start == 0 {
		o.Start = monday
	}
	if err := o.check(); err != nil {
		return nil, Cost{}, err
	}
	begin := time.Now()
	p := &plant{opts: o, contestants: contestants, results: make([]Result, len(contestants))}
	for i := range contestants {
		p.results[i] = Result{Name: contestants[i].Name, Seeds: make([]Tally, len(o.Seeds))}
	}
	for s := range o.Seeds {
		if err := p.run(ctx, s); err != nil {
			return nil, Cost{}, fmt.Errorf("simulating the plant of seed %d: %w", o.Seeds[s], err)
		}
	}
	p.cost.Took = time.Since(begin)
	return p.results, p.cost, nil
}

// plant collects the results of all rooms.
type plant struct {
	opts        Options
	contestants []Contestant

	mu      sync.Mutex
	results []Result
	cost    Cost
}

// run simulates the plant of one seed.
func (p *plant) run(ctx context.Context, seed int) error {
	o := &p.opts
	span := Span{From: o.Start + o.Settled.Milliseconds(), To: o.Start + int64(o.Days)*dayMS}
	f, err := fleet.New(fleet.Options{
		Devices: o.Devices, Seed: o.Seeds[seed], Variance: o.Variance, Interval: o.Interval, Mixed: true, Rhythm: true,
		Anomalies: o.Anomalies, Kinds: o.Kinds, AnomaliesFrom: span.From,
	})
	if err != nil {
		return err
	}
	events := map[string][]Event{}
	for _, l := range f.Anomalies(span.From, span.To-1) {
		events[l.Device] = append(events[l.Device], Event{l.Device, l.Sensor, l.With, l.Kind, l.Onset, l.End})
	}
	g, running := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for from := 0; from < f.Len() && running.Err() == nil; {
		_, to := f.Room(from)
		first := from
		g.Go(func() error {
			r := newRoom(p, f, first, to)
			if err := r.run(running); err != nil {
				return err
			}
			p.collect(r, seed, events, span)
			return nil
		})
		from = to
	}
	return errors.Join(g.Wait(), ctx.Err())
}

// collect judges the alarms of a room.
func (p *plant) collect(r *room, seed int, events map[string][]Event, span Span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cost.Readings += r.cost.Readings
	p.cost.Values += r.cost.Values
	p.cost.Generating += r.cost.Generating
	for c := range p.results {
		p.results[c].Took += r.took[c]
		for _, d := range r.devices {
			p.results[c].Seeds[seed].Judge(events[d.id], d.alarms[c], span, p.opts.Tolerance)
		}
	}
}
