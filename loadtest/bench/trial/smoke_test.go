package trial

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	demo "industrial-iot-monitor/deploy/allinone/plant"
	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/sim/simulator"
)

// realPrograms is the directory in which the test binary is the real programs.
const realPrograms = "real"

// runReal runs the all-in-one or the simulator.
func runReal(name string) int {
	if name == simName {
		load := func() (simulator.Config, error) { return simulator.Load(os.Args[1:], os.Stdout) }
		return program.Run(name, load, func(cfg simulator.Config, log *slog.Logger) (*simulator.Simulator, error) {
			return simulator.New(simulator.Options{Config: cfg, Log: log, Out: os.Stdout})
		})
	}
	load := func() (demo.Config, error) { return demo.LoadConfig(os.Args[1:], os.Stdout) }
	return program.Run(name, load, func(cfg demo.Config, log *slog.Logger) (*demo.Plant, error) {
		return demo.New(demo.Options{Config: cfg, Log: log, Out: os.Stdout})
	})
}

// Every figure of a load is measured on the real programs: none of their metrics was renamed,
// and the log is where the benchmark looks for it.
func TestEveryFigureIsMeasured(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	w := workshop{dir: t.TempDir()}
	w.bin = filepath.Join(w.dir, realPrograms)
	require.NoError(t, os.MkdirAll(w.bin, 0o750))
	for _, name := range []string{allinone, simName} {
		require.NoError(t, os.Symlink(self, filepath.Join(w.bin, name)))
	}
	o, err := ParseFlags([]string{"-rates=200+one", "-duration=3s", "-warmup=1s"}, io.Discard)
	require.NoError(t, err)
	r, _, err := measure(t.Context(), o, o.Loads[0], w, "1")
	require.NoError(t, err)
	for _, key := range []string{
		report.Accepted, report.InKafka, report.Processed, report.PushedOne, report.PushedAll,
		report.Packs, report.PackReadings, report.BridgeTxns, report.CoreTxns, report.TxnReadings,
		report.LogBytes, report.TopicBytes + "device-data", report.TopicBytes + transactionsTopic, report.TopicBytes + offsetsTopic,
		report.Ack + report.P99, report.Screen + report.P99, report.ScreenAll + report.P99,
		report.CPU + allinone, report.RSS + allinone, report.StageCPU + allinone, report.StageCPU + "simulator", report.Acked,
	} {
		require.Positive(t, r[key], key)
	}
	require.Zero(t, r[report.Lost])
	require.Zero(t, r[report.Duplicated])
	require.Zero(t, r[report.Disordered])
}
