package fanout

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/fasthttp/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"industrial-iot-monitor/portal/internal/state"
)

// newCommanded is newBench with connections whose commands are taken.
func newCommanded(tb testing.TB, commands Commands) *bench {
	tb.Helper()
	p := state.New(state.Options{})
	h, err := New(Options{Model: p, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(tb, err)
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	up := websocket.FastHTTPUpgrader{ReadBufferSize: 512, WriteBufferPool: &sync.Pool{}}
	srv := &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) {
		_ = up.Upgrade(c, func(ws *websocket.Conn) { h.Serve(ws, Visitor{Commands: commands}) })
	}}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(ln) }()
	ctx, cancel := context.WithCancel(tb.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); _ = h.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		<-ran
		_ = srv.Shutdown()
		<-served
	})
	return &bench{tb: tb, model: p, broadcaster: h, addr: ln.Addr().String()}
}

func TestCommandIsAnsweredWhileOtherMessagesAreHandled(t *testing.T) {
	let := make(chan struct{})
	b := newCommanded(t, func(_ context.Context, raw json.RawMessage) any {
		<-let
		return map[string]any{"type": "command_result", "payload": raw}
	})
	p := b.dial()
	p.send(`{"type":"alarm_command","command":{"x":1}}`)
	p.synced() // the reader is not held up
	b.push(entry("d1", 1, 10))
	p.send(`{"type":"subscribe","device_ids":["d1"]}`)
	p.expectDevice("d1", 1)
	close(let)
	m := p.read()
	require.Equal(t, "command_result", m.Type)
	require.JSONEq(t, `{"x":1}`, string(m.Payload))
}

func TestCommandsUnderWayAreBoundedAndEndWithTheConnection(t *testing.T) {
	ended := make(chan error, maxCommands)
	b := newCommanded(t, func(ctx context.Context, _ json.RawMessage) any {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil
	})
	p := b.dial()
	for range maxCommands + 1 {
		p.send(`{"type":"alarm_command","command":{}}`)
	}
	p.expectError(codeRateLimited)
	require.NoError(t, p.ws.Close())
	for range maxCommands {
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

func TestCommandThatPanicsEndsItsConnectionAlone(t *testing.T) {
	b := newCommanded(t, func(context.Context, json.RawMessage) any { panic("secret") })
	p, q := b.dial(), b.dial()
	p.send(`{"type":"alarm_command","command":{}}`)
	_, err := p.tryRead(waitTimeout)
	require.Error(t, err)
	require.NotContains(t, fmt.Sprint(err), "secret")
	q.synced()
}

func TestCommandsAreNotTakenWhereNobodyDoesThem(t *testing.T) {
	b := newBench(t, Limits{})
	p := b.dial()
	for _, body := range []string{`{"type":"alarm_command","command":{}}`, `{"type":"alarm_command"}`, `{"type":"alarm_command","command":5}`} {
		p.send(body)
		p.expectError(codeBadRequest)
	}
}
