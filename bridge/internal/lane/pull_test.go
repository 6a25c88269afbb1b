package lane

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/wire"
)

// A jump in the sequence is a hole in the stream or a pack lost between the gateway and the
// puller. Only the stream can tell, and only the former may be skipped.
func TestPackThatVanishedOnItsWayIsNotBelievedAsAHole(t *testing.T) {
	s := fullSource(t, 0, 10, 6)
	p := &puller{live: &liveGateway{}, src: s, g: &gateway{pos: checkpoint.Checkpoint{Seq: 3}}}
	require.NoError(t, p.inSequence(t.Context(), 4))
	require.ErrorIs(t, p.inSequence(t.Context(), 5), errJump, "the stream has pack 4")
	require.ErrorIs(t, p.inSequence(t.Context(), 3), errJump, "pack 3 was read before")

	stream, err := s.stream(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 4))
	require.NoError(t, p.inSequence(t.Context(), 5), "a hole")
	require.ErrorIs(t, p.inSequence(t.Context(), 6), errJump, "the stream has pack 5")
	p.g.pos.Seq = 6
	require.ErrorIs(t, p.inSequence(t.Context(), 8), jetstream.ErrMsgNotFound, "the stream ends before it")
}

// A line that is cut and repaired at once swallows packs and leaves the request alone. If no more
// packs follow, only the heartbeats of the gateway's server tell.
func TestLastPackThatVanishedOnItsWayIsRequestedAgain(t *testing.T) {
	g := newTestGateway(t, 0)
	p := pulling(t, g.source, 0)
	cons, err := g.consume(t.Context(), 1)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- p.pull(t.Context(), cons) }()
	g.store(1, 1)
	require.Equal(t, uint64(1), (<-p.r.packs).next.Seq)

	name := wire.PackStream(g.gateway) + "." + cons.CachedInfo().Name
	g.inboxes.mu.Lock()
	inbox := g.inboxes.open[name]
	g.inboxes.open[name] = make(chan *nats.Msg, 1)
	swallowed := g.inboxes.open[name]
	g.inboxes.mu.Unlock()
	g.store(1, 1)
	require.NotEmpty(t, (<-swallowed).Data)
	g.inboxes.mu.Lock()
	g.inboxes.open[name] = inbox
	g.inboxes.mu.Unlock()
	require.ErrorIs(t, <-ended, errMissing)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ended <- p.session(ctx) }()
	require.Equal(t, uint64(2), (<-p.r.packs).next.Seq)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// pulling is a puller whose lane is the test.
func pulling(t *testing.T, s source, from uint64) *puller {
	t.Helper()
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil })
	l.o.Live.o.Line = func(string) (*nats.Conn, error) { return s.nc, nil }
	l.o.Live.inboxes[s.nc] = s.inboxes
	r := &run{Lane: l, budget: semaphore.NewWeighted(memory), packs: make(chan item)}
	p := newPuller(r, &gateway{id: s.gateway, pos: checkpoint.Checkpoint{Gateway: s.gateway, Seq: from}})
	p.src = s
	return p
}

func TestPullEndsWithTheReason(t *testing.T) {
	s := fullSource(t, 0, 10, 3)
	cons, err := s.consume(t.Context(), 1)
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, pulling(t, s, 0).pull(ended, cons), context.Canceled)

	cons, err = s.consume(t.Context(), 1) // the request of the one before may have taken the packs
	require.NoError(t, err)
	require.ErrorIs(t, pulling(t, s, 7).pull(t.Context(), cons), errJump, "the packs are those before")

	cons, err = s.consume(t.Context(), 1)
	require.NoError(t, err)
	p := pulling(t, s, 0)
	full, cancel := context.WithCancel(t.Context())
	go func() { <-p.r.packs; cancel() }()
	require.ErrorIs(t, p.pull(full, cons), context.Canceled, "the collector takes one pack")
	require.Equal(t, uint64(1), p.g.pos.Seq)

	s.nc.Close()
	p = pulling(t, s, 0)
	require.ErrorIs(t, p.pull(t.Context(), cons), nats.ErrConnectionClosed)
	require.ErrorIs(t, p.session(t.Context()), nats.ErrConnectionClosed)
	require.ErrorIs(t, p.compare(t.Context()), nats.ErrConnectionClosed)
	require.Empty(t, p.r.packs)
}

// The stream's state arrives, then the line breaks. A checkpoint must not be judged by that.
func TestViewFailsWhenThePackDoesNotArrive(t *testing.T) {
	nc := play(t).nc
	const state = `{"config":{"name":"PACKS_gw-x"},"created":"2024-01-01T00:00:00Z","state":{"messages":9,"first_seq":1,"last_seq":9}}`
	_, err := nc.Subscribe("$JS.gw-x.API.STREAM.INFO.>", func(m *nats.Msg) { _ = m.Respond([]byte(state)) })
	require.NoError(t, err)
	s := source{nc: nc, gateway: "gw-x"}
	v, err := s.view(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, checkpoint.View{First: 1, Last: 9}, v)
	_, err = s.view(t.Context(), 5)
	require.ErrorContains(t, err, "reading the pack at the checkpoint")
	_, err = s.firstFrom(t.Context(), 5)
	require.ErrorContains(t, err, "finding the pack after a hole")
}

func TestSourceReportsAGatewayItCannotReach(t *testing.T) {
	reachable := fullSource(t, 0, 10, 1)
	cons, err := reachable.consume(t.Context(), 1)
	require.NoError(t, err)
	fails := func(s source) {
		t.Helper()
		_, err := s.consume(t.Context(), 1)
		require.Error(t, err)
		_, err = s.consumeNewest(t.Context())
		require.Error(t, err)
		_, err = s.view(t.Context(), 1)
		require.Error(t, err)
		_, err = s.firstFrom(t.Context(), 1)
		require.Error(t, err)
		require.Error(t, s.trim(t.Context(), cons, 1))
		s.drop(t.Context(), cons)
	}
	fails(source{nc: reachable.nc}) // no gateway
	reachable.nc.Close()
	fails(reachable)
}

// A gateway that was cut off goes on with packs of 1 MiB. As many of them as of the small
// ones before would fill the bridge's memory.
func TestLargePacksArriveWithinTheAllowance(t *testing.T) {
	const packs, size = 16, 1 << 20
	s := fullSource(t, 0, size, packs)
	cons, err := s.consume(t.Context(), 1)
	require.NoError(t, err)
	f, err := s.prefetch(cons)
	require.NoError(t, err)
	t.Cleanup(f.stop)
	before := s.nc.Stats().InBytes
	for taken := range packs {
		_, err := f.next(t.Context(), window{packs: 512, bytes: 100 << 10, heartbeat: maxHeartbeat})
		require.NoError(t, err)
		_, err = s.view(t.Context(), 0) // the answer arrives behind the packs
		require.NoError(t, err)
		require.Less(t, s.nc.Stats().InBytes-before, uint64((taken+4)*size), "unread packs")
	}
}
