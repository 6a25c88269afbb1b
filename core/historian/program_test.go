package historian

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

// TestAHistorianAloneReportsItself has one with a hub, which also changes the level of its log.
func TestAHistorianAloneReportsItself(t *testing.T) {
	hub, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	hub.Start()
	t.Cleanup(func() { hub.Shutdown(); hub.WaitForShutdown() })
	require.True(t, hub.ReadyForConnections(waitTimeout))
	p := newPlant(t)
	var cfg ProgramConfig
	require.NoError(t, config.Defaults(&cfg))
	cfg.Brokers, cfg.Topics, cfg.GroupID, cfg.HubURL = p.brokers, p.topics, p.group, hub.ClientURL()
	cfg.HTTPAddr, cfg.History.Addr, cfg.History.DataDir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	log, err := ops.NewLogger(ops.LogConfig{Level: "error", Format: "text"}, io.Discard)
	require.NoError(t, err)
	h, err := NewProgram(&cfg, log)
	require.NoError(t, err)
	nc, err := nats.Connect(hub.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	reports, err := nc.SubscribeSync(wire.VitalsSubjects)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	defer func() {
		stop()
		require.NoError(t, <-done)
	}()
	next := func() wire.Vitals {
		m, err := reports.NextMsg(waitTimeout)
		require.NoError(t, err)
		v, err := wire.DecodeVitals(m.Data)
		require.NoError(t, err)
		return v
	}
	v := next()
	require.Equal(t, []string{"historian", "error"}, []string{v.Program, v.LogLevel})
	require.Eventually(t, func() bool {
		_, err := nc.Request(wire.LogLevelSubject("historian"), []byte(`{"instance":"`+v.Instance+`","level":"warn","by":"Li Wei"}`), time.Second)
		return err == nil
	}, waitTimeout, often)
	for v = next(); v.LogLevel != "warn"; v = next() { //nolint:revive // it waits
	}
	require.Equal(t, "Li Wei", v.LogLevelBy)
}
