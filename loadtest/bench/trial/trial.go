package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"industrial-iot-monitor/sim/fleet"
	"industrial-iot-monitor/sim/simulator"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/oracle"
)

// simName is the simulator's process.
const simName = "sim"

// Result is what one trial measured.
type Result struct {
	Load
	Devices int
	Window  time.Duration // of the measurement

	Accepted, InKafka, Processed float64 // readings a second in the window
	All, Some                    Sample  // of the two WebSocket clients
	Conflated                    float64 // readings a second

	CPU    map[string]float64 // by process, in percent of one core
	MaxRSS map[string]int64   // bytes

	Sim     simulator.Summary
	CatchUp time.Duration // from the end of the load until core had everything
	Caught  bool          // false when that took too long
	Verdict oracle.Verdict
	Judged  bool // false when the trial was aborted before judging
}

// trial is a running trial.
type trial struct {
	o       Options
	result  *Result
	cluster *cluster.Cluster
	ledger  string
	summary string
	all     *sampler // nil for none
	some    *sampler
	kafka   int // pid of an external Kafka, 0 if unknown
}

// runTrial runs one trial from start to verdict. With an error it may return a partial result.
func runTrial(ctx context.Context, o Options, load Load, bin, dir string) (_ *Result, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	p, err := cluster.New(ctx, cluster.Options{Dir: dir, Bin: bin, Brokers: o.Brokers, Env: o.env(), Suffix: "-bench-" + filepath.Base(filepath.Dir(dir)) + "-" + filepath.Base(dir)})
	if err != nil {
		return nil, err
	}
	t := &trial{
		o: o, cluster: p, ledger: filepath.Join(dir, "ledger"), summary: filepath.Join(dir, "summary.json"),
		result: &Result{Load: load, CPU: map[string]float64{}, MaxRSS: map[string]int64{}},
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	if err := t.measure(ctx); err != nil {
		return nil, err
	}
	if err := t.finish(ctx); err != nil {
		return t.result, err
	}
	return t.result, t.judge(ctx)
}

// start starts all programs and clients, the simulator last.
func (t *trial) start(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := t.cluster.StartAll(ready); err != nil {
		return err
	}
	t.result.Devices = max(1, int(float64(t.result.Rate)*t.o.Interval.Seconds()))
	if t.result.Devices > fleet.MaxDevices {
		return fmt.Errorf("%d devices exceed the simulator's maximum; choose a shorter -interval", t.result.Devices)
	}
	if len(t.o.Brokers) > 0 {
		t.kafka = cluster.ListenerPID(t.o.Brokers[0])
	}
	if err := t.connect(ready); err != nil {
		return err
	}
	addr, err := cluster.FreeAddresses(1)
	if err != nil {
		return err
	}
	t.cluster.Add(simName, cluster.Program{Binary: "sim", HTTP: addr[0], Env: t.o.env(), Args: []string{
		"-http=" + addr[0],
		"-protocol=" + t.o.Protocol, "-nats=" + strings.Join(t.cluster.NATS(), ","), "-mqtt=" + strings.Join(t.cluster.MQTT(), ","),
		fmt.Sprintf("-devices=%d", t.result.Devices), fmt.Sprintf("-interval=%s", t.o.Interval), fmt.Sprintf("-batch=%d", t.result.Batch),
		fmt.Sprintf("-repeat=%v", t.o.Repeat),
		fmt.Sprintf("-excursions=%d", t.o.Excursions), "-ledger=" + t.ledger, "-summary=" + t.summary, "-progress=1s",
	}})
	return t.cluster.Start(ready, simName)
}

// connect connects the clients: one subscribed to a hundred devices of all buildings, one to
// everything.
func (t *trial) connect(ctx context.Context) error {
	var ids []string
	n := min(100, t.result.Devices)
	for k := range n {
		ids = append(ids, fleet.DeviceID(k*t.result.Devices/n))
	}
	var err error
	if t.some, err = newSampler(ctx, t.cluster.WebSocketURL(), ids); err != nil || !t.o.Viewer {
		return err
	}
	t.all, err = newSampler(ctx, t.cluster.WebSocketURL(), nil)
	return err
}

// measure waits for the warm-up and takes the difference of all counters over the window.
func (t *trial) measure(ctx context.Context) error {
	if err := sleep(ctx, t.o.Warmup); err != nil {
		return err
	}
	t.some.start()
	if t.all != nil {
		t.all.start()
	}
	before, err := t.counters(ctx)
	if err != nil {
		return err
	}
	profiled := make(chan error, 1)
	go func() { profiled <- t.profile(ctx) }()
	if err := sleep(ctx, t.o.Duration); err != nil {
		return errors.Join(err, <-profiled)
	}
	after, err := t.counters(ctx)
	if err := errors.Join(err, <-profiled); err != nil {
		return err
	}
	t.result.Some = t.some.stop()
	if t.all != nil {
		t.result.All = t.all.stop()
	}
	t.result.fill(before, after)
	return nil
}

// profile saves CPU profiles of the window beside the tables, if Options.Profile is set.
func (t *trial) profile(ctx context.Context) error {
	if !t.o.Profile {
		return nil
	}
	dir := filepath.Join(t.o.Results, fmt.Sprintf("%s-%d-profiles", time.Now().Format("20060102-150405"), t.result.Rate))
	return t.cluster.Profile(ctx, dir, t.o.Duration)
}

// finish ends the load and waits until core has processed it.
func (t *trial) finish(ctx context.Context) error {
	if err := t.cluster.Stop(simName); err != nil {
		return err
	}
	raw, err := os.ReadFile(t.summary)
	if err != nil {
		return fmt.Errorf("reading the simulator's summary: %w", err)
	}
	if err := json.Unmarshal(raw, &t.result.Sim); err != nil {
		return fmt.Errorf("reading the simulator's summary: %w", err)
	}
	start := time.Now()
	limit, cancel := context.WithTimeout(ctx, 2*t.o.Duration+2*time.Minute)
	defer cancel()
	for {
		now, err := t.counters(limit)
		if err == nil && now.accepted <= now.inKafka && now.inKafka <= now.processed {
			t.result.Caught = true
			break
		}
		if sleep(limit, 100*time.Millisecond) != nil {
			break
		}
	}
	t.result.CatchUp = time.Since(start)
	return ctx.Err()
}

// judge stops the programs and lets the oracle compare the ledger with the topic.
func (t *trial) judge(ctx context.Context) error {
	t.closeSamplers()
	for _, name := range []string{cluster.Portal, cluster.Core, cluster.Bridge} {
		if err := t.cluster.Stop(name); err != nil {
			return err
		}
	}
	o := oracle.New()
	if err := o.ReadLedgerFile(t.ledger); err != nil {
		return err
	}
	if err := o.Read(ctx, t.cluster.Brokers(), t.cluster.Topics.DeviceData); err != nil {
		return err
	}
	t.result.Verdict, t.result.Judged = o.Verdict(), true
	return nil
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
	err := t.cluster.Close()
	if !t.o.Keep {
		err = errors.Join(err, os.RemoveAll(filepath.Dir(t.ledger)))
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
