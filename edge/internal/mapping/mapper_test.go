package mapping

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// metric returns the sum of a metric's series that have all the given label values, and
// the number of these series.
func metric(t *testing.T, reg *prometheus.Registry, name string, labels ...string) (sum float64, series int) {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if has(m, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				series++
			}
		}
	}
	return sum, series
}

func has(m *dto.Metric, labels []string) bool {
	for _, want := range labels {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetValue() == want
		}
		if !found {
			return false
		}
	}
	return true
}

// TestMappingsAreReloadedWhileRunning has a bad file in between, which changes nothing.
func TestMappingsAreReloadedWhileRunning(t *testing.T) {
	reg := prometheus.NewRegistry()
	path := filepath.Join(t.TempDir(), "mappings.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(plain())
	m, err := New(Options{File: path, Building: building, Log: slog.New(slog.DiscardHandler), Registerer: reg})
	require.NoError(t, err)
	subjects, changed := m.Subjects()
	require.Equal(t, []string{"a.*"}, subjects)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()

	write("mappings:\n  - id: y\n    topic: b\n    format: ignore\n    device: d\n")
	require.Eventually(t, func() bool { n, _ := metric(t, reg, "edge_mappings_reloads_total", "failed"); return n == 1 }, time.Minute, 5*time.Millisecond)
	require.Contains(t, outcome(t, m, "a/d1", []byte(`{"t":1}`)), `"t":{"value":1}`)
	_, series := metric(t, reg, "edge_mapped_messages_total", "x")
	require.Equal(t, 4, series)

	write("mappings:\n  - {id: y, topic: b, format: ignore}\n")
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("the change was not announced")
	}
	require.Equal(t, "no mapping", outcome(t, m, "a/d1", []byte(`{"t":1}`)))
	require.Equal(t, "ignored", outcome(t, m, "b", nil))
	subjects, _ = m.Subjects()
	require.Equal(t, []string{"b"}, subjects)
	_, series = metric(t, reg, "edge_mapped_messages_total", "x")
	require.Zero(t, series, "the series of a mapping that is gone")
	n, _ := metric(t, reg, "edge_mapped_messages_total", "y", "ignored")
	require.InDelta(t, 1, n, 0)
	cancel()
	require.NoError(t, <-done)
}

func TestABadFileStopsTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mappings.yaml")
	_, err := New(Options{File: path, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "EDGE_MAPPINGS_FILE")
	require.NoError(t, os.WriteFile(path, []byte("mappings:\n  - id: x\n"), 0o600))
	_, err = New(Options{File: path, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "line 2: mappings[0].topic: missing")
	_, err = New(Options{})
	require.ErrorContains(t, err, "required")
}

func TestWithoutAFileNothingIsMapped(t *testing.T) {
	m, err := New(Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Nil(t, m.Map(Topics, "a/b", []byte("1"), received))
	subjects, _ := m.Subjects()
	require.Empty(t, subjects)
}

func TestMessagesAreCountedByResult(t *testing.T) {
	reg := prometheus.NewRegistry()
	path := filepath.Join(t.TempDir(), "mappings.yaml")
	require.NoError(t, os.WriteFile(path, []byte(file("topic: a/{id}", `device: "{id}"`, "each: '@this'", "sensors: [{name: t, path: t}]")), 0o600))
	m, err := New(Options{File: path, Building: building, Log: slog.New(slog.DiscardHandler), Registerer: reg})
	require.NoError(t, err)
	for _, payload := range []string{`{"t":1}`, `[{"t":1},{"t":2}]`, `[{"t":1},{}]`, `{}`, `x`} {
		m.Map(Topics, "a/d", []byte(payload), received).Release()
	}
	for result, want := range map[string]float64{mapped: 2, partly: 1, refused: 2, ignored: 0} {
		n, _ := metric(t, reg, "edge_mapped_messages_total", "x", result)
		require.InDelta(t, want, n, 0, result)
	}
	n, _ := metric(t, reg, "edge_mapped_readings_total", "x")
	require.InDelta(t, 4, n, 0)
	n, _ = metric(t, reg, "edge_mappings")
	require.InDelta(t, 1, n, 0)
}

// TestMapIsSafeForConcurrentUse also changes the mappings meanwhile.
func TestMapIsSafeForConcurrentUse(t *testing.T) {
	m := mapperOf(t, folder+"thingsboard.yaml")
	payload := payloadOf(t, "thingsboard.json")
	want := outcome(t, m, "v1/gateway/telemetry", payload)
	text, err := os.ReadFile(folder + "thingsboard.yaml")
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				r := m.Map(Topics, "v1/gateway/telemetry", payload, received)
				got := ""
				for i, x := range r.Readings {
					if i > 0 {
						got += "\n"
					}
					got += string(x.Payload)
				}
				r.Release()
				if got != want {
					t.Errorf("got %s", got)
					return
				}
			}
		})
	}
	for range 20 {
		require.NoError(t, m.use(text))
	}
	all.Wait()
}

func TestSparkplugIsCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := New(Options{File: folder + "sparkplug.yaml", Building: building, Log: slog.New(slog.DiscardHandler), Registerer: reg})
	require.NoError(t, err)
	for _, x := range []struct{ topic, sample string }{
		{"NBIRTH/press", "nbirth"}, {"DBIRTH/press/motor", "dbirth"}, {"DDATA/press/motor", "ddata"}, {"DDATA/press/motor", "ddata"}, {"DBIRTH/press/pump", "dbirth"},
	} {
		m.Map(Topics, "spBv1.0/line/"+x.topic, payloadOf(t, "sparkplug-"+x.sample+".bin"), received).Release()
	}
	n, _ := metric(t, reg, "edge_sparkplug_nodes")
	require.InDelta(t, 3, n, 0)
	n, _ = metric(t, reg, "edge_sparkplug_metrics")
	require.InDelta(t, 14, n, 0)
	n, _ = metric(t, reg, "edge_sparkplug_sequence_gaps_total")
	require.InDelta(t, 1, n, 0)
}
