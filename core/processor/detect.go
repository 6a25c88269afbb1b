package processor

import (
	"hash/fnv"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/anomaly"
	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/neighbours"
	"industrial-iot-monitor/internal/telemetry"
)

// Modes of DETECT_MODE.
const (
	detectOff    = "off"
	detectShadow = "shadow" // counts what it would raise
	detectOn     = "on"
)

const (
	// maxDetected bounds the sensors of a device that are watched.
	maxDetected = 16
	// A device's state is written once it has learnt from snapshotReadings readings, or has not
	// been written for snapshotMS, but not more often than every snapshotMinMS of plant time.
	snapshotReadings = 1024
	snapshotMS       = 20 * 60_000
	snapshotMinMS    = 60_000
	// notableState is the state from which on a device is a candidate for the report of unusual ones.
	notableState = 0.2
	// timedPart is which part of the readings is timed.
	timedPart = 64
)

// detectStage learns what is usual for the devices of a partition and raises alarms about what is
// not.
type detectStage struct {
	log      *slog.Logger
	metrics  func() *metrics
	mode     string
	set      detect.Settings
	share    float64
	maxWait  int64
	parts    func() int
	samples  []detect.Sample
	units    []string
	verdicts []detect.Verdict
	changes  []anomaly.Change
	policy   policy

	neighbours *neighbours.Table
	record     int64 // ms: when the newest record that it has learnt from was written
	behind     *behind
	mark       mark
	marked     int64 // ms: when the mark moved
	markDue    bool

	buildings  map[string]*building
	changed    []*device            // states to write
	candidates map[*device]struct{} // those that may be unusual now
	orphans    []*device            // with alarms that nothing would end
	timed      int

	// Read by anyone.
	unusual atomic.Pointer[[]telemetry.Unusual]
	streams atomic.Int64
	lag     atomic.Int64  // offsets that it is behind its task; at least 1 while it is, or the task has not begun
	spent   atomic.Uint64 // bits of the highest pressure of a building
}

// building is what a partition knows about the devices of one building.
type building struct {
	devices int
	budget  anomaly.Budget
	changed bool
}

// detected is what is known about one device.
type detected struct {
	detect.Device
	alarms   anomaly.Device
	near     neighbours.Device
	building string
	phase    int   // readings until the first snapshot, so that devices take turns
	read     int   // readings since the last snapshot
	written  int64 // ms of plant time of the last snapshot
	clock    int64 // ms by the clock of the last snapshot
	position int64 // offset from which on the last snapshot knows no reading
	record   int64 // when the newest record before position was written
	offset   int64 // of the device's clock, as restored
	restored *neighbours.State
	streams  int
	held     bool // under maintenance: it learns nothing
	listed   bool

	lacks              bool // the last snapshot lacks a reading: that at the offset since, written at sinceRecord
	since, sinceRecord int64

	state  float64 // the highest of its sensors that are unusual, after the newest reading
	sensor string
	unit   string
}

// policy answers the questions of package anomaly about the device at hand.
type policy struct {
	stage *detectStage
	rules *alarm.Rules
	r     *telemetry.Reading
	at    int64
	b     *building
}

func newDetectStage(p *Processor) *detectStage {
	s := &detectStage{
		log: p.log, metrics: func() *metrics { return p.metrics }, mode: p.cfg.DetectMode, set: detect.Defaults(),
		share: p.cfg.AnomalyBudget, maxWait: p.cfg.AlertMaxDelay.Milliseconds(),
		parts: func() int { return int(p.partitions.Load()) }, buildings: make(map[string]*building), candidates: make(map[*device]struct{}),
		neighbours: neighbours.New(),
	}
	s.set.Settle = p.cfg.DetectSettle
	s.lag.Store(1)
	s.policy.stage = s
	return s
}

// Limits implements anomaly.Policy.
func (p *policy) Limits(sensor string) anomaly.Limits {
	allowed := anomaly.Allowed(p.stage.share, p.b.devices, p.stage.parts())
	return anomaly.Limits{
		AnomalyLimits: p.rules.Anomaly(anomaly.Base, sensor, p.r.DeviceID, p.r.Info.Model, p.r.Location),
		Pressure:      p.b.budget.Pressure(p.at, allowed),
	}
}

// detect learns from the accepted reading and raises what is unusual, unless the detector is behind: then it
// reads the same record later.
func (t *task) detect(d *device, p intake.Placed, gateway string, offset, now int64) {
	if t.detects.mode != detectOff && t.detects.behind == nil {
		t.judge(d, p, gateway, offset, t.progress.written, now)
	}
}

// judge learns from the reading at hand, which is at offset in device-data and was written there at the time
// written, and raises what is unusual.
func (t *task) judge(d *device, p intake.Placed, gateway string, offset, written, now int64) {
	s := t.detects
	s.timed++
	if s.timed%timedPart == 0 {
		defer func(start time.Time) { s.metrics().detect.observe(time.Since(start).Seconds(), 1) }(time.Now())
	}
	r := &t.intake.Reading
	if !s.collect(r) {
		return
	}
	x := s.of(d, r)
	x.settle()
	s.record = written
	x.lack(offset, written)
	if !p.Backfill {
		s.compare(x, s.neighbours.Put(&x.near, written, r))
	}
	if held := d.alarm.Maintenance() != nil; held != x.held {
		x.held = held
		s.list(d)
	}
	if !s.learn(x, r, p, t.alarms.rules.Rules, p.Waited > s.maxWait) {
		return
	}
	for i := range s.changes {
		t.anomaly(d, &s.changes[i], p.At, gateway, now)
	}
	s.learnt(d, p.At)
}

// learnt notes that d has learnt from a reading of the plant time at.
func (s *detectStage) learnt(d *device, at int64) {
	x := d.detect
	if x.state > notableState {
		s.candidates[d] = struct{}{}
	}
	if x.read++; x.read >= x.phase && at-x.written >= snapshotMinMS {
		s.list(d)
	}
}

// lack notes that the last snapshot lacks the reading at an offset.
func (x *detected) lack(offset, written int64) {
	if !x.lacks {
		x.lacks, x.since, x.sinceRecord = true, offset, written
	}
}

// collect gathers the values that are watched; false: there are none.
func (s *detectStage) collect(r *telemetry.Reading) bool {
	s.samples, s.units = s.samples[:0], s.units[:0]
	for i := range r.Sensors {
		m := &r.Sensors[i]
		if !m.Comparable() {
			continue
		}
		if len(s.samples) == maxDetected {
			break
		}
		s.samples, s.units = append(s.samples, detect.Sample{Sensor: m.Name, Value: m.Number}), append(s.units, m.Unit)
	}
	return len(s.samples) > 0
}

// of returns what is known about d, which sent r from its building.
func (s *detectStage) of(d *device, r *telemetry.Reading) *detected {
	x := d.detect
	if x == nil {
		h := fnv.New32a()
		_, _ = h.Write([]byte(d.id))
		x = &detected{phase: 1 + int(h.Sum32()%snapshotReadings)}
		d.detect = x
		s.enter(x, r.Location.Building)
		s.list(d) // a restart must know that it exists
	}
	if x.building != r.Location.Building {
		s.buildings[x.building].devices--
		s.enter(x, r.Location.Building)
		s.list(d)
	}
	return x
}

func (s *detectStage) enter(x *detected, name string) {
	b := s.buildings[name]
	if b == nil {
		name = strings.Clone(name) // a reading's strings share its whole text
		b = new(building)
		s.buildings[name] = b
	}
	b.devices++
	x.building = strings.Clone(name)
}

// learn steps the detector and finds the changes of alarms; false: the reading says nothing, since
// the device is under maintenance or the reading is late.
func (s *detectStage) learn(x *detected, r *telemetry.Reading, p intake.Placed, rules *alarm.Rules, quiet bool) bool {
	s.changes = s.changes[:0]
	if x.held || p.At <= x.Seen() {
		return false
	}
	if n := len(s.samples); n > x.streams {
		s.streams.Add(int64(n - x.streams))
		x.streams = n
		s.own()
	}
	s.verdicts = x.Step(&s.set, p.At, s.samples, s.verdicts[:0])
	s.policy.rules, s.policy.r, s.policy.at, s.policy.b = rules, r, p.At, s.buildings[x.building]
	in := anomaly.Input{At: p.At, Samples: s.samples, Verdicts: s.verdicts, Learn: quiet}
	s.changes = x.alarms.Judge(&in, &s.policy, s.changes)
	x.state = 0
	best := -1
	for i := range s.verdicts {
		if v := &s.verdicts[i]; !v.Learning && v.Kind != "" && v.State > x.state {
			x.state, best = v.State, i
		}
	}
	if x.state > notableState && x.sensor != s.samples[best].Sensor {
		x.sensor, x.unit = s.samples[best].Sensor, strings.Clone(s.units[best])
	}
	return true
}

// own gives the samples names of their own: the detector keeps the names of new sensors, and a
// reading's strings share its whole text.
func (s *detectStage) own() {
	for i := range s.samples {
		s.samples[i].Sensor = strings.Clone(s.samples[i].Sensor)
	}
}

// list notes that the state of d is to be written.
func (s *detectStage) list(d *device) {
	if !d.detect.listed {
		d.detect.listed = true
		s.changed = append(s.changed, d)
	}
}

// anomaly carries out one change of an alarm.
func (t *task) anomaly(d *device, c *anomaly.Change, at int64, gateway string, now int64) {
	s, x := t.detects, d.detect
	s.list(d)
	sample := &s.samples[c.Index]
	a, _ := x.describe(sample.Sensor)
	a.Sensor, a.Sensors = strings.Clone(sample.Sensor), s.together()
	if c.Step == anomaly.Raise {
		b := s.buildings[x.building]
		b.budget.Add(at)
		b.changed = true
		s.metrics().anomalies.WithLabelValues(string(a.Kind), s.mode).Inc()
	}
	f := t.finding(d, &a, c, strings.Clone(s.units[c.Index]), at, now)
	f.Value, f.Gateway = sample.Value, gateway
	if c.Step != anomaly.Clear && s.mode != detectOn {
		return
	}
	t.alarms.watch(d, f, t.out)
}

// together returns how many sensors of the reading at hand are unusual.
func (s *detectStage) together() (n int) {
	for i := range s.verdicts {
		if v := &s.verdicts[i]; !v.Learning && max(v.Score, v.State) >= anomaly.Base {
			n++
		}
	}
	return n
}

// finding returns what the alarm engine is told about a.
func (t *task) finding(d *device, a *telemetry.Anomaly, c *anomaly.Change, unit string, at, now int64) alarm.Finding {
	r := &t.intake.Reading
	f := alarm.Finding{
		Device: d.id, Type: anomaly.TypePrefix + a.Sensor, Holds: c.Step != anomaly.Clear, Since: at, Now: at, Detected: now,
		Source: telemetry.SourceAnomaly, Severity: telemetry.SeverityLow, Unit: unit, Anomaly: a,
		Threshold: telemetry.Threshold{Parameter: a.Sensor, Operator: ">", Value: a.High},
		Location: telemetry.Location{
			Building: d.detect.building, Floor: r.Location.Floor, Room: strings.Clone(r.Location.Room),
		},
		Rule: t.alarms.rules.Anomaly(anomaly.Base, a.Sensor, d.id, r.Info.Model, r.Location).Rule,
	}
	name := strings.ReplaceAll(a.Sensor, "_", " ")
	f.Message = name + " is as usual again"
	if f.Holds {
		f.Message = name + ": " + anomaly.Words(*a, unit)
	}
	if a.Value < a.Low || a.Value <= a.High && a.Value < a.Expected {
		f.Threshold.Operator, f.Threshold.Value = "<", a.Low
	}
	if c.Grave {
		f.Severity = telemetry.SeverityMedium
	}
	return f
}

// accept carries out the feedback on a sensor of d, and reports whether the detector knows the sensor.
func (s *detectStage) accept(d *device, sensor string) bool {
	x := d.detect
	if s.mode == detectOff || x == nil || !x.Accept(sensor) {
		return false
	}
	x.alarms.Accept(sensor, x.Seen())
	s.list(d)
	return true
}

// drop forgets a device.
func (s *detectStage) drop(d *device) {
	if x := d.detect; x != nil {
		s.buildings[x.building].devices--
		s.streams.Add(-int64(x.streams))
		s.neighbours.Remove(&x.near)
		x.listed = false
	}
	d.detect = nil
	delete(s.candidates, d)
}

// tick writes states that have waited long.
func (s *detectStage) tick(d *device, now int64) {
	if x := d.detect; x != nil && x.lacks && now-x.clock >= snapshotMS+int64(x.phase)*100 {
		s.list(d)
	}
}

// pressure finds how much of its budget the building has spent that has spent the most.
func (s *detectStage) pressure(now int64) {
	most := 0.0
	for _, b := range s.buildings {
		if len(b.budget.Raises) > 0 {
			most = max(most, b.budget.Pressure(now, anomaly.Allowed(s.share, b.devices, s.parts())))
		}
	}
	s.spent.Store(math.Float64bits(most))
}

// report finds the devices that are unusual now.
func (s *detectStage) report(now int64) {
	s.pressure(now)
	if len(s.candidates) == 0 {
		s.unusual.Store(nil)
		return
	}
	all := make([]*device, 0, len(s.candidates))
	for d := range s.candidates {
		if d.detect == nil || d.detect.state <= notableState || d.presence.Offline() {
			delete(s.candidates, d)
			continue
		}
		all = append(all, d)
	}
	slices.SortFunc(all, byState)
	top := describeUnusual(all)
	s.unusual.Store(&top)
}
