package processor

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/reload"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
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
	version string // 12 hex digits of the file's SHA-256
	source  alarm.RuleSet
	own     map[string]bool // ids of the rules in the file
}

// ruleFile keeps the rules in force and reloads their file when it changes. An invalid
// file changes nothing.
type ruleFile struct {
	log     *slog.Logger
	file    string // empty: the built-in rules alone
	builtIn alarm.RuleSet
	sensors func() *sensors.Catalogue // converts the units of rules
	*reload.File

	current atomic.Pointer[ruleSet]

	mu   sync.Mutex
	data []byte     // of the rules in force
	past []*ruleSet // formerly in force, the newest first, to explain their alarms

	failures prometheus.Counter
	loaded   prometheus.Gauge
	version  *prometheus.GaugeVec
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
			Help: "1 for the version of the rules in force: the first digits of the file's SHA-256, or built-in.",
		}, []string{"version"}),
	}
	var err error
	f.File, err = reload.Open(reload.Options{
		Path: file, Var: "CORE_RULES_FILE", Name: "rules", Use: f.use, Failed: f.failures.Inc, Log: f.log,
	})
	if err != nil {
		return nil, err
	}
	reg.MustRegister(f.failures, f.loaded, f.version)
	return f, nil
}

// load returns the rules in force.
func (f *ruleFile) load() *ruleSet { return f.current.Load() }

// use puts the rules in data, the content of the file, in force.
func (f *ruleFile) use(data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replace(data)
}

// replace is use with f.mu held.
func (f *ruleFile) replace(data []byte) error {
	next, err := f.compile(data)
	if err != nil {
		return err
	}
	if old := f.load(); old != nil {
		f.past = append([]*ruleSet{old}, f.past[:min(len(f.past), maxPast-1)]...)
	}
	f.data = data
	f.current.Store(next)
	f.version.Reset()
	f.version.WithLabelValues(next.version).Set(1)
	f.loaded.SetToCurrentTime()
	f.log.Info("rules in force", "version", next.version, "rules", next.Len())
	return nil
}

// convert converts the units of the rules in force again, after the catalogue of sensors
// has changed. Rules with a unit that it no longer has stay as they are.
func (f *ruleFile) convert() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.replace(f.data); err != nil {
		f.failures.Inc()
		f.log.Error("rules do not fit the new catalogue of sensors, their limits stay as they were", "err", err)
	}
}

// forAlert returns the rules that raised an alarm, those in force if they are gone.
func (f *ruleFile) forAlert(a *telemetry.Alert) *alarm.Rules {
	f.mu.Lock()
	defer f.mu.Unlock()
	current := f.load()
	for _, set := range append([]*ruleSet{current}, f.past...) {
		if _, version, ok := set.Rule(a.Rule); ok && version == a.RuleVersion {
			return set.Rules
		}
	}
	return current.Rules
}

func (f *ruleFile) compile(data []byte) (*ruleSet, error) {
	catalogue := f.sensors()
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
	compiled, err := alarm.Compile(set)
	if err != nil {
		return nil, err
	}
	return &ruleSet{Rules: compiled, version: version, source: set, own: inFile}, nil
}
