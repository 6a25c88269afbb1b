package processor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
	// settleTime is how long a file must be left alone before it is read: an editor
	// writes in several steps.
	settleTime = 100 * time.Millisecond
	// rereadEvery is when it is read without anybody having said so: not every file
	// system tells of changes.
	rereadEvery = 10 * time.Second
	// keepBooks is how many sets of rules are remembered that are no longer in force.
	keepBooks = 8
	// builtInVersion stands for the rules without a file.
	builtInVersion = "built-in"
)

// book is a set of rules in force. It does not change.
type book struct {
	rules   *alarm.Rules
	set     alarm.RuleSet
	version string // 12 hex digits made from the file
}

// rulebook keeps the rules in force and reads their file again when it changes. A file
// that is bad changes nothing.
type rulebook struct {
	log     *slog.Logger
	file    string // empty: the built-in rules alone
	builtIn alarm.RuleSet

	now   atomic.Pointer[book]
	tried []byte // the content last looked at

	mu   sync.Mutex
	past []*book // those that were in force, the newest first, for explaining their alarms

	failures prometheus.Counter
	loaded   prometheus.Gauge
	version  *prometheus.GaugeVec
}

// newRulebook reads the file for the first time. Then a bad one is an error.
func newRulebook(log *slog.Logger, reg prometheus.Registerer, file string, builtIn alarm.RuleSet) (*rulebook, error) {
	b := &rulebook{
		log: log.With("component", "rules"), file: file, builtIn: builtIn,
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "core_rules_load_failures_total",
			Help: "Times the rules file was changed and could not be used. The rules before it stay in force.",
		}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "core_rules_loaded_timestamp_seconds",
			Help: "When the rules in force were loaded.",
		}),
		version: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "core_rules_version",
			Help: "1 for the version of the rules in force: the start of the file's SHA-256, or built-in.",
		}, []string{"version"}),
	}
	var data []byte
	if file != "" {
		var err error
		if data, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("CORE_RULES_FILE: %w", err)
		}
	}
	if err := b.use(data); err != nil {
		return nil, fmt.Errorf("CORE_RULES_FILE=%s: %w", file, err)
	}
	reg.MustRegister(b.failures, b.loaded, b.version)
	return b, nil
}

// load returns the rules in force.
func (b *rulebook) load() *book { return b.now.Load() }

// use puts the rules of a file's content in force.
func (b *rulebook) use(data []byte) error {
	b.tried = data
	next, err := b.compile(data)
	if err != nil {
		return err
	}
	if old := b.load(); old != nil {
		b.mu.Lock()
		b.past = append([]*book{old}, b.past[:min(len(b.past), keepBooks-1)]...)
		b.mu.Unlock()
	}
	b.now.Store(next)
	b.version.Reset()
	b.version.WithLabelValues(next.version).Set(1)
	b.loaded.SetToCurrentTime()
	return nil
}

// forAlert returns the rules that raised an alarm, those in force if they are gone.
func (b *rulebook) forAlert(a *telemetry.Alert) *alarm.Rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.load()
	for _, past := range append([]*book{now}, b.past...) {
		if _, version, ok := past.rules.Rule(a.Rule); ok && version == a.RuleVersion {
			return past.rules
		}
	}
	return now.rules
}

func (b *rulebook) compile(data []byte) (*book, error) {
	next := &book{set: b.builtIn, version: builtInVersion}
	if b.file != "" {
		set, err := rules.Load(data)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		next.set, next.version = b.builtIn.With(set), hex.EncodeToString(sum[:6])
	}
	var err error
	if next.rules, err = alarm.Compile(next.set); err != nil {
		return nil, err
	}
	return next, nil
}

// reread looks at the file and puts it in force if it has changed and is good.
func (b *rulebook) reread() {
	data, err := os.ReadFile(b.file)
	if err != nil {
		if b.tried != nil {
			b.tried = nil // say it once
			b.failures.Inc()
			b.log.Error("rules file cannot be read, the rules stay as they were", "file", b.file, "err", err)
		}
		return
	}
	if b.tried != nil && bytes.Equal(data, b.tried) {
		return
	}
	if err := b.use(data); err != nil {
		b.failures.Inc()
		b.log.Error("rules file is not usable, the rules stay as they were", "file", b.file, "err", err)
		return
	}
	b.log.Info("rules loaded", "file", b.file, "version", b.load().version, "rules", len(b.load().set.Rules))
}

// run watches the file until ctx ends. It watches the folder: editors put a new file in
// the place of the old one, and Kubernetes exchanges a symbolic link beside it.
func (b *rulebook) run(ctx context.Context) error {
	if b.file == "" {
		<-ctx.Done()
		return nil
	}
	events, errs, closeWatcher := b.watch()
	defer closeWatcher()
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	settle := time.NewTimer(settleTime) // what changed since the start
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			settle.Reset(settleTime)
		case err := <-errs:
			if err != nil && !errors.Is(err, fsnotify.ErrEventOverflow) {
				b.log.Debug("watching the rules file", "err", err)
			}
			settle.Reset(settleTime)
		case <-settle.C:
			b.reread()
		case <-ticker.C:
			b.reread()
		}
	}
}

// watch returns what the file's folder tells; nil channels where it cannot.
func (b *rulebook) watch() (<-chan fsnotify.Event, <-chan error, func()) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		if err = watcher.Add(filepath.Dir(b.file)); err == nil {
			return watcher.Events, watcher.Errors, func() { _ = watcher.Close() }
		}
		_ = watcher.Close()
	}
	b.log.Warn("rules file cannot be watched and is looked at from time to time", "every", rereadEvery, "err", err)
	return nil, nil, func() {}
}
