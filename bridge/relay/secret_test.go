package relay

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/logtest"
)

func TestHubPasswordIsNotInTheLog(t *testing.T) {
	p := newCluster(t)
	p.cfg.HubURL = "nats://user:hunter2@127.0.0.1:1"
	var log logtest.Buffer // the connection logs after Run has ended, too
	r, err := New(Options{Config: p.cfg, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	notReady := r.Ready()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, r.Run(ctx))
	for _, text := range []string{log.String(), notReady.Error()} {
		require.Contains(t, text, "xxxxx@127.0.0.1:1")
		require.NotContains(t, text, "hunter2")
	}
}
