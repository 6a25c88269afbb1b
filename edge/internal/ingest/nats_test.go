package ingest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const waitTimeout = 180 * time.Second

// natsConns returns connections to a NATS server of their own inside this process.
func natsConns(t *testing.T, n int) []*nats.Conn {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	var conns []*nats.Conn
	for range n {
		nc, err := nats.Connect("", nats.InProcessServer(s))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		conns = append(conns, nc)
	}
	return conns
}

// runCollector runs a collector in real time until the test ends.
func runCollector(t *testing.T, o Options) *Collector {
	t.Helper()
	o.Epoch, o.Log, o.Linger = 7, discard(), time.Millisecond
	c := New(o)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return c
}

// With ten packs of messages waiting and a disk that takes drainTime for each, Stop
// stores a few, refuses the rest, and leaves no request unanswered.
func TestStopOfTheNATSIntakeIsBounded(t *testing.T) {
	const sent = 10 * limitEntries
	conns := natsConns(t, 2)
	store := &memStore{put: func(context.Context, int) error {
		<-time.After(drainTime)
		return nil
	}}
	c := runCollector(t, Options{Store: store, StallAfter: waitTimeout})
	intake, err := ListenNATS(NATSOptions{Conn: conns[0], Collector: c, Stream: "S", Log: discard()})
	require.NoError(t, err)
	require.NoError(t, conns[0].Flush())

	device := conns[1]
	replies, err := device.SubscribeSync(device.NewRespInbox())
	require.NoError(t, err)
	for range sent {
		require.NoError(t, device.PublishRequest(wire.TelemetrySubject("device_001"), replies.Subject, []byte(fresh("device_001"))))
	}
	require.NoError(t, device.Flush())
	require.Eventually(t, func() bool { return !c.Waiting().IsZero() }, waitTimeout, time.Millisecond, "the first pack is being stored")
	require.NoError(t, intake.Stop(t.Context()))

	stored, refused := 0, 0
	for range sent {
		msg, err := replies.NextMsg(waitTimeout)
		require.NoError(t, err)
		r, err := wire.DecodeReply(msg.Data)
		require.NoError(t, err)
		if r.Error == nil {
			stored++
			continue
		}
		require.Equal(t, telemetry.ReasonUnavailable, r.Error.Reason)
		require.Contains(t, r.Error.Message, isStopping)
		refused++
	}
	require.NotZero(t, stored, "messages received before the stop are stored")
	require.NotZero(t, refused, "the rest is refused")
	require.Equal(t, Stats{Accepted: uint64(stored), Refused: uint64(refused)}, c.Stats())
}

func TestNATSRequestsGetReplies(t *testing.T) {
	conns := natsConns(t, 2)
	store := &memStore{keep: true}
	reg := prometheus.NewRegistry()
	c := runCollector(t, Options{Store: store})
	intake, err := ListenNATS(NATSOptions{Conn: conns[0], Collector: c, Stream: "S", Log: discard(), Registerer: reg})
	require.NoError(t, err)
	require.NoError(t, conns[0].Flush())
	request := func(payload []byte) wire.Reply {
		msg, err := conns[1].Request(wire.TelemetrySubject("device_001"), payload, waitTimeout)
		require.NoError(t, err)
		r, err := wire.DecodeReply(msg.Data)
		require.NoError(t, err)
		return r
	}
	for seq := range uint64(3) {
		require.Equal(t, wire.Reply{Stream: "S", Seq: seq + 1}, request([]byte(fresh("device_001"))))
	}
	r := request([]byte("bad"))
	require.Equal(t, telemetry.ReasonInvalidJSON, r.Error.Reason)
	require.NoError(t, conns[1].Publish(wire.TelemetrySubject("device_001"), []byte(fresh("device_001"))))
	require.Eventually(t, func() bool { return c.Stats() == Stats{Accepted: 4, Unpromised: 1, Refused: 1} }, waitTimeout, time.Millisecond)
	_, all := entries(t, store.packs[0])
	require.WithinDuration(t, time.Now(), time.UnixMilli(all[0].Received), time.Minute)

	hasRoom := store.fails(broker.ErrFull)
	defer hasRoom()
	for range 2 { // refused by the failed write, then by Offer
		require.Equal(t, telemetry.ReasonBufferFull, request([]byte(fresh("device_001"))).Error.Reason)
	}
	require.NoError(t, conns[1].Publish(wire.TelemetrySubject("device_001"), []byte(fresh("device_001"))))
	require.Eventually(t, func() bool { return c.Stats().Refused == 4 }, waitTimeout, time.Millisecond)
	require.NoError(t, intake.Stop(t.Context()))
	require.Zero(t, intake.dropped())
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Equal(t, "edge_intake_dropped_total", families[0].GetName())
}

func TestStopOfTheNATSIntakeEndsWithItsContext(t *testing.T) {
	conns := natsConns(t, 2)
	c, release := blockedCollector(t)
	intake, err := ListenNATS(NATSOptions{Conn: conns[0], Collector: c, Stream: "S", Log: discard()})
	require.NoError(t, err)
	require.NoError(t, conns[0].Flush())
	for range 2*limitEntries + 1 {
		require.NoError(t, conns[1].Publish(wire.TelemetrySubject("device_001"), []byte("x")))
	}
	require.NoError(t, conns[1].Flush())
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, intake.Stop(ctx), context.DeadlineExceeded)
	release()
	intake.open.Wait()
}

func TestNATSIntakeNeedsAConnection(t *testing.T) {
	nc := natsConns(t, 1)[0]
	nc.Close()
	_, err := ListenNATS(NATSOptions{Conn: nc, Collector: New(Options{Log: discard()}), Stream: "S", Log: discard()})
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
}

func TestNATSIntakeReportsALostConnection(t *testing.T) {
	nc := natsConns(t, 1)[0]
	var out strings.Builder
	intake, err := ListenNATS(NATSOptions{
		Conn: nc, Collector: New(Options{Log: discard()}), Stream: "S", Log: slog.New(slog.NewTextHandler(&out, nil)),
	})
	require.NoError(t, err)
	nc.Close()
	intake.reply("_INBOX.x", nil)
	require.Contains(t, out.String(), "sending a reply failed")
	require.ErrorContains(t, intake.Stop(t.Context()), "ending the subscription")
}
