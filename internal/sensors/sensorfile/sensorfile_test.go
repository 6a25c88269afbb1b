package sensorfile

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/sensors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const inBar = "sensors:\n  - {kind: pressure, unit: bar}\n"

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

// value returns the value of a metric without labels.
func value(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			require.Len(t, f.GetMetric(), 1)
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestCatalogueIsReadAgainWhileRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sensors.yaml")
	write(t, path, "sensors: []\n")
	reg := prometheus.NewPedanticRegistry()
	changes := make(chan *sensors.Catalogue, 10)
	f, err := Open(Options{
		Config: Config{SensorsFile: path}, Log: slog.New(slog.DiscardHandler), Registry: reg, Program: "core",
		Changed: func(c *sensors.Catalogue) { changes <- c },
	})
	require.NoError(t, err)
	require.Same(t, f.Catalogue(), <-changes)
	require.Equal(t, "hPa", f.Catalogue().Kind("pressure").Unit)
	first := f.Version()
	require.Len(t, first, 12)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()

	write(t, path, inBar)
	select {
	case c := <-changes:
		require.Equal(t, "bar", c.Kind("pressure").Unit)
	case <-time.After(time.Minute):
		t.Error("the change was not noticed")
	}
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, "bar", f.Catalogue().Kind("pressure").Unit)
	require.NotEqual(t, first, f.Version())
	require.InDelta(t, 1, value(t, reg, "core_sensors_version"), 0, "one version at a time")
	require.InDelta(t, float64(time.Now().Unix()), value(t, reg, "core_sensors_loaded_timestamp_seconds"), 600)
}

func TestInvalidFileChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sensors.yaml")
	write(t, path, inBar)
	reg := prometheus.NewPedanticRegistry()
	var log bytes.Buffer
	f, err := Open(Options{
		Config: Config{SensorsFile: path}, Log: slog.New(slog.NewTextHandler(&log, nil)), Registry: reg, Program: "portal",
	})
	require.NoError(t, err)
	good := f.Catalogue()
	write(t, path, inBar+"  - {kind: x, unti: A}\n")
	f.Reread()
	require.Same(t, good, f.Catalogue())
	require.InDelta(t, 1, value(t, reg, "portal_sensors_load_failures_total"), 0)
	require.Contains(t, log.String(), "line 3: sensors[1].unti: unknown field")
	require.NoError(t, os.Remove(path))
	f.Reread()
	require.Same(t, good, f.Catalogue())
	require.InDelta(t, 2, value(t, reg, "portal_sensors_load_failures_total"), 0)
}

func TestInvalidFileStopsTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sensors.yaml")
	o := Options{Config: Config{SensorsFile: path}, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Program: "core"}
	_, err := Open(o)
	require.ErrorContains(t, err, "SENSORS_FILE")
	_, err = o.Config.Load()
	require.ErrorContains(t, err, "SENSORS_FILE")
	write(t, path, "sensors: 7\n")
	_, err = Open(o)
	require.ErrorContains(t, err, "SENSORS_FILE="+path+": line 1: sensors: 7: want a list")
	_, err = o.Config.Load()
	require.ErrorContains(t, err, "SENSORS_FILE="+path+": line 1: sensors: 7: want a list")
	write(t, path, inBar)
	c, err := o.Config.Load()
	require.NoError(t, err)
	require.Equal(t, "bar", c.Kind("pressure").Unit)
	c, err = Config{}.Load()
	require.NoError(t, err)
	require.Same(t, sensors.Default(), c)
}

func TestBuiltInCatalogueNeedsNoFile(t *testing.T) {
	f, err := Open(Options{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Program: "core"})
	require.NoError(t, err)
	require.Same(t, sensors.Default(), f.Catalogue())
	require.Equal(t, BuiltIn, f.Version())
}
