// Package sensorfile keeps the catalogue of sensors in force for a program: the built-in
// one, extended by the file that SENSORS_FILE names and reloaded when that changes. An
// invalid file changes nothing. Catalogue never blocks; Run blocks until its context ends.
package sensorfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/reload"
	"industrial-iot-monitor/internal/sensors"
)

// Config is the setting of each program that has a catalogue.
type Config struct {
	SensorsFile string `env:"SENSORS_FILE" help:"YAML file that extends the catalogue of sensors (names, units, ranges), reloaded when it changes; empty: the built-in one alone"`
}

// Load reads the catalogue once, for a program that ends soon.
func (c Config) Load() (*sensors.Catalogue, error) {
	if c.SensorsFile == "" {
		return sensors.Default(), nil
	}
	data, err := os.ReadFile(c.SensorsFile)
	if err != nil {
		return nil, fmt.Errorf("SENSORS_FILE: %w", err)
	}
	catalogue, err := sensors.Load(data)
	if err != nil {
		return nil, fmt.Errorf("SENSORS_FILE=%s: %w", c.SensorsFile, err)
	}
	return catalogue, nil
}

// BuiltIn is the version of the catalogue without a file.
const BuiltIn = "built-in"

// Options of a File. Log, Registry and Program are required.
type Options struct {
	Config   Config
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Program is the prefix of the metrics: core gives core_sensors_version.
	Program string
	// Changed is called after a new catalogue has come into force, also for the first one.
	// It must not block. May be nil.
	Changed func(*sensors.Catalogue)
}

// File is the catalogue in force.
type File struct {
	*reload.File
	o       Options
	current atomic.Pointer[version]

	failures prometheus.Counter
	loaded   prometheus.Gauge
	inForce  *prometheus.GaugeVec
}

// version is a catalogue with its version.
type version struct {
	*sensors.Catalogue
	id string
}

// Open reads the file for the first time, when an invalid one is an error.
func Open(o Options) (*File, error) {
	f := &File{
		o: o,
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: o.Program + "_sensors_load_failures_total",
			Help: "Changes of the file of sensors that could not be loaded. The previous catalogue stays in force.",
		}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: o.Program + "_sensors_loaded_timestamp_seconds",
			Help: "Time at which the catalogue of sensors in force was loaded, Unix time.",
		}),
		inForce: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: o.Program + "_sensors_version",
			Help: "1 for the version of the catalogue of sensors in force: the first digits of the file's SHA-256, or built-in.",
		}, []string{"version"}),
	}
	var err error
	f.File, err = reload.Open(reload.Options{
		Path: o.Config.SensorsFile, Var: "SENSORS_FILE", Name: "sensors file", Use: f.use, Failed: f.failures.Inc,
		Log: o.Log.With("component", "sensors"),
	})
	if err != nil {
		return nil, err
	}
	o.Registry.MustRegister(f.failures, f.loaded, f.inForce)
	return f, nil
}

// Catalogue returns the catalogue in force.
func (f *File) Catalogue() *sensors.Catalogue { return f.current.Load().Catalogue }

// Version returns the version of the catalogue in force: 12 hex digits of the file's
// SHA-256, or BuiltIn.
func (f *File) Version() string { return f.current.Load().id }

// use puts the catalogue in data, the content of the file, in force.
func (f *File) use(data []byte) error {
	next := &version{sensors.Default(), BuiltIn}
	if f.o.Config.SensorsFile != "" {
		c, err := sensors.Load(data)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		next = &version{c, hex.EncodeToString(sum[:6])}
	}
	f.current.Store(next)
	f.inForce.Reset()
	f.inForce.WithLabelValues(next.id).Set(1)
	f.loaded.SetToCurrentTime()
	if f.o.Changed != nil {
		f.o.Changed(next.Catalogue)
	}
	return nil
}
