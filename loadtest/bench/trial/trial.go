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
	Rate    int
	Devices int
	Window  time.Duration // that was measured

	Accepted, InKafka, Processed float64 // readings a second in the window
	All, Some                    Watched // what the two WebSocket clients saw
	Conflated                    float64 // readings that clients were spared, a second

	CPU    map[string]float64 // by process, in percent of one core
	MaxRSS map[string]int64   // bytes

	Sim     simulator.Summary
	CatchUp time.Duration // from the end of the load until core had everything
	Caught  bool          // false when that took too long
	Verdict oracle.Verdict
	Judged  bool // false when the trial ended before the oracle could look
}

// trial is a trial at work.
type trial struct {
	o       Options
	result  *Result
	cluster *cluster.Cluster
	ledger  string
	summary string
	all     *watcher // nil for none
	some    *watcher
	kafka   int // pid of a Kafka that is not the plant's, 0 when not found
}

// runTrial runs one trial from start to verdict. It returns what it has when it fails.
func runTrial(ctx context.Context, o Options, rate int, bin, dir string) (_ *Result, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	p, err := cluster.New(ctx, cluster.Options{Dir: dir, Bin: bin, Brokers: o.Brokers, Suffix: "-bench-" + filepath.Base(filepath.Dir(dir)) + "-" + filepath.Base(dir)})
	if err != nil {
		return nil, err
	}
	t := &trial{
		o: o, cluster: p, ledger: filepath.Join(dir, "ledger"), summary: filepath.Join(dir, "summary.json"),
		result: &Result{Rate: rate, CPU: map[string]float64{}, MaxRSS: map[string]int64{}},
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

// start starts everything and the clients, and the simulator last.
func (t *trial) start(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := t.cluster.StartAll(ready); err != nil {
		return err
	}
	t.result.Devices = max(1, int(float64(t.result.Rate)*t.o.Interval.Seconds()))
	if t.result.Devices > fleet.MaxDevices {
		return fmt.Errorf("%d devices are more than a simulator has; choose a shorter -interval", t.result.Devices)
	}
	if len(t.o.Brokers) > 0 {
		t.kafka = cluster.ListenerPID(t.o.Brokers[0])
	}
	if err := t.watch(ready); err != nil {
		return err
	}
	t.cluster.Add(simName, cluster.Program{Binary: "sim", Args: []string{
		"-http=",
		"-protocol=" + t.o.Protocol, "-nats=" + strings.Join(t.cluster.NATS(), ","), "-mqtt=" + strings.Join(t.cluster.MQTT(), ","),
		fmt.Sprintf("-devices=%d", t.result.Devices), fmt.Sprintf("-interval=%s", t.o.Interval),
		fmt.Sprintf("-excursions=%d", t.o.Excursions), "-ledger=" + t.ledger, "-summary=" + t.summary, "-progress=1s",
	}})
	return t.cluster.Start(ready, simName)
}

// watch connects the clients: one that wants a hundred devices from all buildings, and
// one that wants everything.
func (t *trial) watch(ctx context.Context) error {
	var ids []string
	n := min(100, t.result.Devices)
	for k := range n {
		ids = append(ids, fleet.DeviceID(k*t.result.Devices/n))
	}
	var err error
	if t.some, err = newWatcher(ctx, t.cluster.WebSocketURL(), ids); err != nil || !t.o.Viewer {
		return err
	}
	t.all, err = newWatcher(ctx, t.cluster.WebSocketURL(), nil)
	return err
}

// measure waits for the warm-up and takes the difference of all counters over the
// window.
func (t *trial) measure(ctx context.Context) error {
	if err := sleep(ctx, t.o.Warmup); err != nil {
		return err
	}
	t.some.begin()
	if t.all != nil {
		t.all.begin()
	}
	before, err := t.counters(ctx)
	if err != nil {
		return err
	}
	if t.o.Profile {
		if err := t.cluster.Profile(); err != nil {
			return err
		}
	}
	if err := sleep(ctx, t.o.Duration); err != nil {
		return err
	}
	after, err := t.counters(ctx)
	if err != nil {
		return err
	}
	if t.o.Profile {
		if err := t.saveProfiles(ctx); err != nil {
			return err
		}
	}
	t.result.Some = t.some.end()
	if t.all != nil {
		t.result.All = t.all.end()
	}
	t.result.fill(before, after)
	return nil
}

// saveProfiles ends the profiles and puts them beside the tables; they hold their
// own symbols.
func (t *trial) saveProfiles(ctx context.Context) error {
	if err := t.cluster.Profile(); err != nil {
		return err
	}
	if err := sleep(ctx, time.Second); err != nil { // while they are written
		return err
	}
	dir := filepath.Dir(t.ledger)
	to := filepath.Join(t.o.Results, fmt.Sprintf("%s-%d-profiles", time.Now().Format("20060102-150405"), t.result.Rate))
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.pprof"))
	if err != nil {
		return err
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// finish ends the load and waits until core has all of it.
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
	begin := time.Now()
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
	t.result.CatchUp = time.Since(begin)
	return ctx.Err()
}

// judge stops the programs and lets the oracle compare ledger and topic.
func (t *trial) judge(ctx context.Context) error {
	t.closeWatchers()
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

func (t *trial) closeWatchers() {
	for _, w := range []*watcher{t.all, t.some} {
		if w != nil {
			w.close()
		}
	}
}

// close ends what still runs and removes the trial's data, which can be gigabytes.
func (t *trial) close() error {
	t.closeWatchers()
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
