package processor

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/reload"
	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// maxPast is how many former rule sets are kept.
	maxPast = 8
	// builtInVersion stands for the rules without a file.
	builtInVersion = "built-in"
)

// ruleSet is an immutable set of compiled rules.
type ruleSet struct {
	*alarm.Rules
	version string // 12 hex digits of the SHA-256 of the file and the changes on top of it
	source  alarm.RuleSet
	base    alarm.RuleSet         // without changes
	own     map[string]bool       // ids of the rules in the file
	page    map[string]string     // ids of the changes in force, by rule
	out     []wire.RuleOutOfForce // approved changes that are not in force
}

// ruleFile keeps the rules in force: the built-in ones, those in the file, which it reloads
// when it changes, and on top of them the approved changes. An invalid file changes nothing.
type ruleFile struct {
	log     *slog.Logger
	file    string // empty: the built-in rules alone
	builtIn alarm.RuleSet
	sensors func() *sensors.Catalogue // converts the units of rules
	*reload.File

	current atomic.Pointer[ruleSet]

	mu       sync.Mutex
	data     []byte     // of the rules in force
	past     []*ruleSet // formerly in force, the newest first, to explain their alarms
	approved []rulechange.Change
	position int64 // of the changes in their topic

	failures   prometheus.Counter
	loaded     prometheus.Gauge
	version    *prometheus.GaugeVec
	outOfForce prometheus.Gauge
}

// newRuleFile reads the file for the first time, when an invalid one is an error.
func newRuleFile(log *slog.Logger, reg prometheus.Registerer, file string, builtIn alarm.RuleSet, catalogue func() *sensors.Catalogue) (*ruleFile, error) {
	f := &ruleFile{
		log: log.With("component", "rules"), file: file, builtIn: builtIn, sensors: catalogue,
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "core_rules_load_failures_total",
			Help: "Changes of the rules file that could not be loaded. The previous rules stay in force.",
		}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "core_rules_loaded_timestamp_seconds",
			Help: "Time at which the rules in force were loaded, Unix time.",
		}),
		version: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "core_rules_version",
			Help: "1 for the version of the rules in force: the first digits of the SHA-256 of the file and the changes on top of it, or built-in.",
		}, []string{"version"}),
		outOfForce: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "core_rule_changes_out_of_force",
			Help: "Approved changes of rules that do not fit the catalogue of sensors or the rules file. The rule as it was before is in force.",
		}),
	}
	var err error
	f.File, err = reload.Open(reload.Options{
		Path: file, Var: "CORE_RULES_FILE", Name: "rules", Use: f.use, Failed: f.failures.Inc, Log: f.log,
	})
	if err != nil {
		return nil, err
	}
	reg.MustRegister(f.failures, f.loaded, f.version, f.outOfForce)
	return f, nil
}

// load returns the rules in force.
func (f *ruleFile) load() *ruleSet { return f.current.Load() }

// use puts the rules in data, the content of the file, in force.
func (f *ruleFile) use(data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replace(data, f.sensors())
}

// replace is use with f.mu held, and a catalogue.
func (f *ruleFile) replace(data []byte, catalogue *sensors.Catalogue) error {
	next, err := f.compile(data, catalogue)
	if err != nil {
		return err
	}
	old := f.load()
	if old != nil {
		f.past = append([]*ruleSet{old}, f.past[:min(len(f.past), maxPast-1)]...)
	}
	f.data = data
	f.current.Store(next)
	f.version.Reset()
	f.version.WithLabelValues(next.version).Set(1)
	f.loaded.SetToCurrentTime()
	f.outOfForce.Set(float64(len(next.out)))
	for _, x := range next.out {
		if old == nil || !slices.ContainsFunc(old.out, func(o wire.RuleOutOfForce) bool { return o.ChangeID == x.ChangeID }) {
			f.log.Error("approved change of a rule does not fit, the rule stays as it was before", "rule", x.Rule, "change", x.ChangeID, "err", x.Problems[0].Message)
		}
	}
	f.log.Info("rules in force", "version", next.version, "rules", next.Len(), "changed", len(next.page))
	return nil
}

// convert converts the units of the rules in force again, after the catalogue of sensors
// has changed. Rules with a unit that it no longer has stay as they are.
func (f *ruleFile) convert() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.replace(f.data, f.sensors()); err != nil {
		f.failures.Inc()
		f.log.Error("rules do not fit the new catalogue of sensors, their limits stay as they were", "err", err)
	}
}

// change puts the approved changes in force.
func (f *ruleFile) change(b *rulechange.Book) {
	approved := b.Approved()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position = b.Position()
	if slices.EqualFunc(approved, f.approved, func(a, b rulechange.Change) bool { return a.ID == b.ID }) {
		return
	}
	f.approved = approved
	err := f.replace(f.data, f.sensors())
	if err != nil { // the file does not fit the newest catalogue, which convert has logged
		err = f.replace(f.data, f.load().Catalogue())
	}
	if err != nil {
		f.failures.Inc()
		f.log.Error("changes of rules not in force", "err", err)
	}
}

// forAlert returns the rules that raised an alarm, those in force if they are gone. Former
// changes are in their topic for ever, former files are not.
func (f *ruleFile) forAlert(a *telemetry.Alert) *alarm.Rules {
	f.mu.Lock()
	current, past, approved := f.load(), slices.Clone(f.past), f.approved
	f.mu.Unlock()
	for _, set := range append([]*ruleSet{current}, past...) {
		if raisedBy(set.Rules, a) {
			return set.Rules
		}
	}
	if old, err := alarm.Compile(current.base); err == nil && raisedBy(old, a) {
		return old
	}
	for _, c := range slices.Backward(approved) {
		if c.Rule != a.Rule || c.Remove {
			continue
		}
		if old, err := layer(current.base, []rulechange.Change{c}); err == nil && raisedBy(old.compiled, a) {
			return old.compiled
		}
	}
	return current.Rules
}

func raisedBy(set *alarm.Rules, a *telemetry.Alert) bool {
	_, version, ok := set.Rule(a.Rule)
	return ok && version == a.RuleVersion
}

func (f *ruleFile) compile(data []byte, catalogue *sensors.Catalogue) (*ruleSet, error) {
	set, version := f.builtIn, builtInVersion
	set.Catalogue = catalogue
	inFile := make(map[string]bool)
	if f.file != "" {
		own, err := rules.Load(data, catalogue)
		if err != nil {
			return nil, err
		}
		for i := range own.Rules {
			inFile[own.Rules[i].ID] = true
		}
		sum := sha256.Sum256(data)
		set, version = f.builtIn.With(own), hex.EncodeToString(sum[:6])
	}
	if _, err := alarm.Compile(set); err != nil {
		return nil, err
	}
	top, err := layer(set, f.approved)
	if err != nil {
		return nil, err
	}
	page := make(map[string]string, len(top.changes))
	for _, c := range top.changes {
		page[c.Rule] = c.ID
	}
	return &ruleSet{
		Rules: top.compiled, version: versionOf(version, top.changes), source: top.set, base: set, own: inFile, page: page, out: top.out,
	}, nil
}
