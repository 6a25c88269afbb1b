package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/sim/simulator"
	"industrial-iot-monitor/test/oracle"
)

const (
	// simName is the simulator's process and binary.
	simName = "sim"
	// lookEvery is how often Kafka's log is looked at.
	lookEvery = 5 * time.Second
	// profileTime is the length of a CPU profile.
	profileTime = 10 * time.Second
)

// trial is a running trial of a load.
type trial struct {
	o     Options
	load  report.Load
	plant *plant
	found report.Sample
	notes []string
	all   *sampler // nil for none
	some  *sampler
}

// newTrial prepares a trial; close must be called.
func newTrial(ctx context.Context, o Options, load report.Load, w workshop, name string) (*trial, error) {
	if load.Kafka == report.Apache {
		o.Warmup *= 3
	}
	p, err := newPlant(ctx, &o, load, w, name)
	if err != nil {
		return nil, err
	}
	return &trial{o: o, load: load, plant: p, found: report.Sample{report.Devices: float64(load.Devices())}}, nil
}

// runTrial runs one trial from start to verdict. With an error it may return partial results.
func runTrial(ctx context.Context, o Options, load report.Load, w workshop, name string) (_ report.Sample, _ []string, err error) {
	t, err := newTrial(ctx, o, load, w, name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.start(ctx); err != nil {
		return nil, nil, err
	}
	var x *outage
	if load.Kind == report.Outage {
		x, err = t.outage(ctx)
	} else {
		err = t.measure(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := t.finish(ctx); err != nil {
		return t.found, t.notes, err
	}
	if err := t.judge(ctx); err != nil {
		return t.found, t.notes, err
	}
	if x != nil {
		err = x.judge(ctx, t)
	}
	return t.found, t.notes, err
}

// start starts all programs and clients, the simulator last.
func (t *trial) start(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := t.plant.start(ready); err != nil {
		return err
	}
	if err := t.connect(ready); err != nil {
		return err
	}
	if err := t.plant.addSim(&t.o, t.load, fmt.Sprintf("-repeat=%v", t.o.Repeat), fmt.Sprintf("-excursions=%d", t.o.excursions(t.load))); err != nil {
		return err
	}
	return t.plant.Start(ready, simName)
}

// connect connects the clients: one subscribed to a hundred devices of all buildings, one to
// everything.
func (t *trial) connect(ctx context.Context) error {
	var ids []string
	devices := t.load.Devices()
	n := min(100, devices)
	for k := range n {
		ids = append(ids, fleet.DeviceID(k*devices/n))
	}
	var err error
	if t.some, err = newSampler(ctx, t.plant.ws, ids); err != nil || !t.o.Viewer {
		return err
	}
	t.all, err = newSampler(ctx, t.plant.ws, nil)
	return err
}

// measure waits for the warm-up and takes the difference of all counters over the window.
func (t *trial) measure(ctx context.Context) error {
	if err := sleep(ctx, t.o.Warmup); err != nil {
		return err
	}
	t.startSamplers()
	var log growth
	before, err := t.plant.counters(ctx)
	if err := errors.Join(err, log.lookAt(t.plant.logDir)); err != nil {
		return err
	}
	profiled := make(chan error, 1)
	go func() { profiled <- t.profile(ctx) }()
	for end := before.at.Add(t.o.Duration); time.Now().Before(end) && err == nil; {
		if err = sleep(ctx, min(lookEvery, time.Until(end))); err == nil {
			err = log.lookAt(t.plant.logDir)
		}
	}
	if err := errors.Join(err, <-profiled); err != nil {
		return err
	}
	after, err := t.plant.counters(ctx)
	if err := errors.Join(err, log.lookAt(t.plant.logDir)); err != nil {
		return err
	}
	t.stopSamplers()
	fill(t.found, before, after)
	t.notes = append(t.notes, strangers(t.found)...)
	log.fill(t.found, after.totals[report.InKafka]-before.totals[report.InKafka])
	return nil
}

func (t *trial) startSamplers() {
	t.some.start()
	if t.all != nil {
		t.all.start()
	}
}

// stopSamplers stores what the clients received in the window.
func (t *trial) stopSamplers() {
	some := t.some.stop()
	raised := some.Raised
	t.found[report.PushedOne] = some.PerSecond
	t.found.SetAges(report.Screen, some.Ages.figures())
	t.broken("100", some)
	if t.all != nil {
		all := t.all.stop()
		raised = all.Raised
		t.found[report.PushedAll] = all.PerSecond
		t.found.SetAges(report.ScreenAll, all.Ages.figures())
		t.broken("all", all)
	}
	if t.found[report.AlarmCount] = float64(raised.Count); raised.Count > 0 {
		t.found.SetAges(report.Alarm, raised.figures())
	}
}

// broken notes that a client was disconnected.
func (t *trial) broken(devices string, r Reception) {
	if r.Broken != "" {
		t.notes = append(t.notes, fmt.Sprintf("the client of %s devices was disconnected: %s", devices, r.Broken))
	}
}

// profile saves profiles of the window beside the results, if Options.Profile is set.
func (t *trial) profile(ctx context.Context) error {
	if !t.o.Profile {
		return nil
	}
	name := fmt.Sprintf("%s-%d-profiles", time.Now().Format("20060102-150405"), t.load.Rate)
	dir := filepath.Join(t.o.Results, name)
	if err := t.plant.Profile(ctx, filepath.Join(dir, "cpu"), min(profileTime, t.o.Duration)); err != nil {
		return err
	}
	return t.plant.HeapProfile(ctx, filepath.Join(dir, "heap"))
}

// finish ends the load and waits until core has processed it.
func (t *trial) finish(ctx context.Context) error {
	if err := t.plant.Stop(simName); err != nil {
		return err
	}
	sum, err := readSummary(t.plant.summary())
	if err != nil {
		return err
	}
	t.found.SetAges(report.Ack, report.Ages{Mean: sum.AckMeanMS, P50: sum.AckP50MS, P99: sum.AckP99MS, Max: sum.AckMaxMS})
	t.found[report.Skipped], t.found[report.Open], t.found[report.GivenUp] = float64(sum.Skipped), float64(sum.Open()), float64(sum.GivenUp)
	t.found[report.Refused], t.found[report.Resent], t.found[report.Repeated] = float64(sum.Refused), float64(sum.Resent), float64(sum.Repeated)
	return t.catchUp(ctx)
}

// catchUp waits until core has processed everything that gateways accepted.
func (t *trial) catchUp(ctx context.Context) error {
	start := time.Now()
	limit, cancel := context.WithTimeout(ctx, 2*(t.o.Duration+t.load.Length)+2*time.Minute)
	defer cancel()
	for {
		now, err := t.plant.counters(limit)
		in := now.totals
		if err == nil && in[report.Accepted] <= in[report.InKafka] && in[report.InKafka] <= in[report.Processed] {
			break
		}
		if sleep(limit, 100*time.Millisecond) != nil {
			t.found[report.Unfinished] = 1
			t.notes = append(t.notes, "core had not processed everything after "+time.Since(start).Round(time.Second).String())
			break
		}
	}
	t.found[report.CatchUp] = time.Since(start).Seconds()
	return ctx.Err()
}

func readSummary(name string) (simulator.Summary, error) {
	var sum simulator.Summary
	raw, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(raw, &sum)
	}
	if err != nil {
		return sum, fmt.Errorf("reading the simulator's summary: %w", err)
	}
	return sum, nil
}

// judge stops the programs and lets the oracle compare the ledger with the topic.
func (t *trial) judge(ctx context.Context) error {
	t.closeSamplers()
	if err := t.plant.stopPrograms(); err != nil {
		return err
	}
	o := oracle.New()
	if err := o.ReadLedgerFile(t.plant.ledger()); err != nil {
		return err
	}
	if err := o.Read(ctx, t.plant.Brokers(), t.plant.Topics.DeviceData); err != nil {
		return err
	}
	t.record(o.Verdict())
	return nil
}

// record stores the oracle's verdict.
func (t *trial) record(v oracle.Verdict) {
	t.found[report.Acked], t.found[report.Lost] = float64(v.Acked), float64(v.Lost)
	t.found[report.Duplicated], t.found[report.Disordered] = float64(v.Duplicated), float64(v.OutOfOrder)
	if err := v.Err(); err != nil {
		t.notes = append(t.notes, err.Error())
	}
}

func (t *trial) closeSamplers() {
	for _, w := range []*sampler{t.all, t.some} {
		if w != nil {
			w.close()
		}
	}
}

// close stops the programs and removes the trial's data, which can be gigabytes.
func (t *trial) close() error {
	t.closeSamplers()
	return t.plant.remove(t.o.Keep)
}
