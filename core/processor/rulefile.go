package processor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// settleTime is how long a file must be unchanged before it is read: an editor writes
	// in several steps.
	settleTime = 100 * time.Millisecond
	// rereadEvery is the time between two reads without an event: not every file system
	// reports changes.
	rereadEvery = 10 * time.Second
	// maxPast is how many former rule sets are kept.
	maxPast = 8
	// builtInVersion stands for the rules without a file.
	builtInVersion = "built-in"
)

// ruleSet is an immutable set of compiled rules.
type ruleSet struct {
	*alarm.Rules
	version string // 12 hex digits of the file's SHA-256
}

// ruleFile keeps the rules in force and reloads their file when it changes. An invalid
// file changes nothing.
type ruleFile struct {
	log     *slog.Logger
	file    string // empty: the built-in rules alone
	builtIn alarm.RuleSet

	current atomic.Pointer[ruleSet]
	tried   []byte // the content last read

	mu   sync.Mutex
	past []*ruleSet // formerly in force, the newest first, to explain their alarms

	failures prometheus.Counter
	loaded   prometheus.Gauge
	version  *prometheus.GaugeVec
}

// newRuleFile reads the file for the first time, when an invalid one is an error.
func newRuleFile(log *slog.Logger, reg prometheus.Registerer, file string, builtIn alarm.RuleSet) (*ruleFile, error) {
	f := &ruleFile{
		log: log.With("component", "rules"), file: file, builtIn: builtIn,
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
	var data []byte
	if file != "" {
		var err error
		if data, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("CORE_RULES_FILE: %w", err)
		}
	}
	if err := f.use(data); err != nil {
		return nil, fmt.Errorf("CORE_RULES_FILE=%s: %w", file, err)
	}
	reg.MustRegister(f.failures, f.loaded, f.version)
	return f, nil
}

// load returns the rules in force.
func (f *ruleFile) load() *ruleSet { return f.current.Load() }

// use puts the rules in data, the content of the file, in force.
func (f *ruleFile) use(data []byte) error {
	f.tried = data
	next, err := f.compile(data)
	if err != nil {
		return err
	}
	if old := f.load(); old != nil {
		f.mu.Lock()
		f.past = append([]*ruleSet{old}, f.past[:min(len(f.past), maxPast-1)]...)
		f.mu.Unlock()
	}
	f.current.Store(next)
	f.version.Reset()
	f.version.WithLabelValues(next.version).Set(1)
	f.loaded.SetToCurrentTime()
	return nil
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
	set, version := f.builtIn, builtInVersion
	if f.file != "" {
		own, err := rules.Load(data)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		set, version = f.builtIn.With(own), hex.EncodeToString(sum[:6])
	}
	compiled, err := alarm.Compile(set)
	if err != nil {
		return nil, err
	}
	return &ruleSet{Rules: compiled, version: version}, nil
}

// reread loads the file if it has changed.
func (f *ruleFile) reread() {
	data, err := os.ReadFile(f.file)
	if err != nil {
		if f.tried != nil {
			f.tried = nil // log it once
			f.failures.Inc()
			f.log.Error("rules file unreadable, keeping the previous rules", "file", f.file, "err", err)
		}
		return
	}
	if f.tried != nil && bytes.Equal(data, f.tried) {
		return
	}
	if err := f.use(data); err != nil {
		f.failures.Inc()
		f.log.Error("rules file invalid, keeping the previous rules", "file", f.file, "err", err)
		return
	}
	f.log.Info("rules loaded", "file", f.file, "version", f.load().version, "rules", f.load().Len())
}

// run reloads the file until ctx ends. It watches the folder: editors replace the file,
// and Kubernetes replaces a symbolic link beside it.
func (f *ruleFile) run(ctx context.Context) error {
	if f.file == "" {
		<-ctx.Done()
		return nil
	}
	events, errs, closeWatcher := f.watch()
	defer closeWatcher()
	f.follow(ctx, events, errs)
	return nil
}

// follow reads the file some time after an event or error, and periodically.
func (f *ruleFile) follow(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error) {
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	settle := time.NewTimer(settleTime) // it may have changed since newRuleFile
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			settle.Reset(settleTime)
		case err := <-errs: // it may have lost events
			f.log.Debug("file watcher failed", "err", err)
			settle.Reset(settleTime)
		case <-settle.C:
			f.reread()
		case <-ticker.C:
			f.reread()
		}
	}
}

// watch returns the events of the file's folder; nil channels if it cannot be watched.
func (f *ruleFile) watch() (<-chan fsnotify.Event, <-chan error, func()) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		if err = watcher.Add(filepath.Dir(f.file)); err == nil {
			return watcher.Events, watcher.Errors, func() { _ = watcher.Close() }
		}
		_ = watcher.Close()
	}
	f.log.Warn("rules file not watchable, reading it periodically", "every", rereadEvery, "err", err)
	return nil, nil, func() {}
}
