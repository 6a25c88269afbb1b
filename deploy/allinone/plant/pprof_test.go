package plant

import (
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/sim/simulator"
)

func TestProfilesOfThePlantAreServedByThePortal(t *testing.T) {
	t.Setenv("OPS_PPROF", "true")
	cfg := testConfig(t, t.TempDir())
	cfg.Devices = 0
	p := start(t, cfg, io.Discard)
	run(t, p)
	require.Equal(t, http.StatusOK, ask(t, p, "/debug/pprof/heap?debug=1", nil))
	t.Setenv("PORTAL_ADDR", "0.0.0.0:8080")
	_, err := LoadConfig(nil, io.Discard)
	require.ErrorContains(t, err, "OPS_PPROF=true")
	require.ErrorContains(t, err, "PORTAL_ADDR=0.0.0.0:8080")
}

func TestEveryProgramRefusesProfilesBeyondLoopback(t *testing.T) {
	t.Setenv("OPS_PPROF", "true")
	t.Setenv("OPS_TOKEN", "a token does not open them")
	parts := testConfig(t, t.TempDir()).Parts
	const everywhere = "0.0.0.0:0"
	log := slog.New(slog.DiscardHandler)
	for variable, start := range map[string]func() error{
		"EDGE_HTTP_ADDR": func() error {
			c := parts.Edge
			c.ID, c.DataDir, c.NATSAddr, c.MQTTAddr, c.HTTPAddr = "gw", t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", everywhere
			_, err := gateway.New(gateway.Options{Config: c, Log: log})
			return err
		},
		"BRIDGE_HTTP_ADDR": func() error {
			c := parts.Bridge
			c.HubAddr, c.LeafAddr, c.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", everywhere
			_, err := relay.New(relay.Options{Config: c, Log: log})
			return err
		},
		"CORE_HTTP_ADDR": func() error {
			c := parts.Core
			c.HTTPAddr, c.History.Mode = everywhere, "off"
			_, err := processor.New(processor.Options{Config: c, Log: log})
			return err
		},
		"SIM_HTTP_ADDR": func() error {
			c, err := simulator.Load([]string{"-http=" + everywhere}, io.Discard)
			require.NoError(t, err)
			_, err = simulator.New(simulator.Options{Config: c, Log: log, Out: io.Discard})
			return err
		},
	} {
		require.ErrorContains(t, start(), variable+"="+everywhere+" with OPS_PPROF=true")
	}
}
