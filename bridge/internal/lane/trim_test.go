package lane

import (
	"context"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

// heard returns the life of a lane that has heard one heartbeat.
func heard(t *testing.T, s wire.GatewayStatus) *run {
	t.Helper()
	known, err := roster.New(roster.Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	data, err := s.Encode()
	require.NoError(t, err)
	require.NoError(t, known.Observe(wire.StatusSubject(s.Gateway), data))
	return &run{Lane: &Lane{o: Options{Roster: known}, log: slog.New(slog.DiscardHandler)}}
}

func TestTrimIsPutOffWhileABacklogDrains(t *testing.T) {
	for name, c := range map[string]struct {
		status wire.GatewayStatus
		want   bool
	}{
		"a backlog, and room":     {wire.GatewayStatus{LastSeq: 1000, BufferBytes: 10, BufferLimit: 100}, true},
		"no backlog":              {wire.GatewayStatus{LastSeq: 130, BufferBytes: 10, BufferLimit: 100}, false},
		"the buffer is half full": {wire.GatewayStatus{LastSeq: 1000, BufferBytes: 50, BufferLimit: 100}, false},
		"the buffer is full":      {wire.GatewayStatus{LastSeq: 1000, BufferBytes: 10, BufferLimit: 100, BufferFull: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.status.Gateway = "gw-a"
			p := &puller{r: heard(t, c.status), g: &gateway{id: "gw-a"}}
			require.Equal(t, c.want, p.unhurried(Position{Committed: checkpoint.Checkpoint{Seq: 100}}))
		})
	}
	p := &puller{r: heard(t, wire.GatewayStatus{Gateway: "gw-b"}), g: &gateway{id: "gw-a"}}
	require.False(t, p.unhurried(Position{}), "no heartbeat yet")
}

// A gateway recognises messages that are sent again by its newest packs.
func TestTrimLeavesWhatTheGatewayKeeps(t *testing.T) {
	for keepFrom, want := range map[uint64]uint64{
		0:   90, // an older gateway, or one that gave up
		1:   0,
		51:  50,
		200: 90,
	} {
		r := heard(t, wire.GatewayStatus{Gateway: "gw-a", KeepFrom: keepFrom})
		r.o.TrimMargin = 10
		require.Equal(t, want, (&puller{r: r, g: &gateway{id: "gw-a"}}).trimmable(100), "keep from %d", keepFrom)
		require.EqualValues(t, 90, (&puller{r: r, g: &gateway{id: "gw-b"}}).trimmable(100), "no heartbeat yet")
	}
}

func TestAheadSenderThatFellBehindStartsAgain(t *testing.T) {
	s := newAheadSender(heard(t, wire.GatewayStatus{Gateway: "gw-a", LastSeq: 1000}), "gw-a")
	require.False(t, s.stale(1000))
	require.False(t, s.stale(1000-aheadPacks), "that many can be on their way")
	require.True(t, s.stale(1000-aheadPacks-1))
}

func TestSendingAheadEndsWithTheReason(t *testing.T) {
	g := newTestGateway(t, 0)
	g.store(3, 1)
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil })
	l.o.NATS = g.nc
	l.o.Progress.Begin(0, checkpoint.Checkpoint{Gateway: "gw-a"})
	s := newAheadSender(&run{Lane: l}, "gw-a")
	sub, err := g.nc.SubscribeSync(wire.AheadSubject("gw-a"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ahead(ctx, 3) }()
	_, err = sub.NextMsg(waitTimeout)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)

	data, err := wire.GatewayStatus{Gateway: "gw-a", LastSeq: 1000}.Encode()
	require.NoError(t, err)
	require.NoError(t, l.o.Roster.Observe(wire.StatusSubject("gw-a"), data))
	require.ErrorIs(t, s.ahead(t.Context(), 3), errStale)
	g.nc.Close()
	require.ErrorIs(t, s.ahead(t.Context(), 3), nats.ErrConnectionClosed)
}
