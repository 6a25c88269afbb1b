package gateway

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// heartbeats returns the heartbeats that arrive at the hub.
func (h *hub) heartbeats(t *testing.T) <-chan wire.GatewayStatus {
	t.Helper()
	ch := make(chan wire.GatewayStatus, 1000)
	_, err := h.nc.Subscribe(wire.StatusSubjects, func(m *nats.Msg) {
		if s, err := wire.DecodeGatewayStatus(m.Data); err == nil {
			ch <- s
		}
	})
	require.NoError(t, err)
	require.NoError(t, h.nc.Flush())
	return ch
}

func next(t *testing.T, ch <-chan wire.GatewayStatus) wire.GatewayStatus {
	t.Helper()
	select {
	case s := <-ch:
		return s
	case <-time.After(waitTimeout):
		require.Fail(t, "no heartbeat")
		return wire.GatewayStatus{}
	}
}

func TestHeartbeatTellsWhatTheGatewayHolds(t *testing.T) {
	g, h := startWithHub(t)
	ch := h.heartbeats(t)
	s := next(t, ch)
	require.Equal(t, "gw-a", s.Gateway)
	require.Equal(t, "A栋", s.Building)
	require.Equal(t, g.Epoch(), s.Epoch)
	require.Len(t, s.Epoch, 16)
	require.EqualValues(t, 1<<30, s.BufferLimit)
	require.Zero(t, s.OldestMS)
	require.NotZero(t, s.Started)
	require.False(t, s.BufferFull)

	send(t, g, 2, 3)
	_, err := dial(t, g).Request(wire.TelemetrySubject("device_001"), []byte("bad"), waitTimeout)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s = next(t, ch)
		return s.Accepted == 6 && s.Refused == 1
	}, waitTimeout, time.Millisecond)
	require.NotZero(t, s.LastSeq)
	require.EqualValues(t, 1, s.FirstSeq)
	require.NotZero(t, s.BufferBytes)
	require.WithinDuration(t, time.Now(), time.UnixMilli(s.OldestMS), time.Hour)
}

func TestGatewayWorksWithoutAHubAndIsHeardWhenOneComes(t *testing.T) {
	h := startHub(t, -1) // only to find a port that is free
	cfg := config(t)
	cfg.HubURL = h.url()
	h.stop()
	g := start(t, cfg)
	acked := send(t, g, 3, 10)
	require.False(t, g.broker.HubConnected())

	for range 2 { // the second time it comes back
		h = startHub(t, h.leafPort)
		ch := h.heartbeats(t)
		require.Equal(t, "gw-a", next(t, ch).Gateway)
		requireStored(t, acked, h.entries(t, cfg.ID))
		h.stop()
		require.Eventually(t, func() bool { return !g.broker.HubConnected() }, waitTimeout, 5*time.Millisecond)
		for id, more := range send(t, g, 3, 10) {
			acked[id] = append(acked[id], more...)
		}
		require.NoError(t, g.Ready())
	}
}

// A hub with default settings accepts messages of up to 1 MiB.
func TestLargestPackReachesAnOrdinaryHub(t *testing.T) {
	g, h := startWithHub(t)
	var b wire.PackBuilder
	b.Reset(1, 1)
	for b.Size() < 896<<10 {
		b.Add(wire.PackEntry{Device: "device_001", Payload: make([]byte, wire.MaxReadingBytes)})
	}
	_, err := g.broker.Stream().Put(t.Context(), b.Finish())
	require.NoError(t, err)
	require.Len(t, h.entries(t, g.cfg.ID), b.Count())
	consumer, err := h.stream(t, g.cfg.ID).OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	msg, err := consumer.Next(jetstream.FetchMaxWait(waitTimeout))
	require.NoError(t, err)
	require.Equal(t, b.Finish(), msg.Data())
}
