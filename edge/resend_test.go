package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/freeport"
)

// TestResendAfterKillsIsStoredOnce kills the program again and again, each time with readings
// whose answer does not arrive, while the hub trims all that the gateway gives up. Every
// reading is sent again after the restart, also those that were trimmed before the kill.
func TestResendAfterKillsIsStoredOnce(t *testing.T) {
	hub, js := startHub(t)
	addr, ops := freeport.Address(t), freeport.Address(t)
	env := []string{
		"EDGE_GATEWAY_ID=gw-k", "EDGE_NATS_ADDR=" + addr, "EDGE_MQTT_ADDR=127.0.0.1:0", "EDGE_HTTP_ADDR=" + ops,
		"EDGE_HUB_URL=" + hub, "EDGE_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "LOG_LEVEL=error",
	}
	beats, err := js.Conn().SubscribeSync(wire.StatusSubject("gw-k"))
	require.NoError(t, err)
	const devices = 5
	taken := map[string]int{}           // trimmed, by payload
	answered := map[string][]string{}   // by device, oldest first
	unanswered := map[string][]string{} // the same
	newest := uint64(0)                 // sequence of an acknowledged reading before this start
	for round := range 4 {
		cmd := spawn(t, env...)
		ready(t, ops)
		nc, err := nats.Connect(addr, nats.NoReconnect())
		require.NoError(t, err)
		seq := uint64(0)
		for d := range devices {
			id := fmt.Sprintf("device_%03d", d)
			for _, payload := range answered[id] {
				require.True(t, ask(t, nc, id, payload).Duplicate, "round %d: %s was acknowledged", round, payload)
			}
			for _, payload := range unanswered[id] {
				ask(t, nc, id, payload)
				require.True(t, ask(t, nc, id, payload).Duplicate)
			}
			answered[id], unanswered[id] = append(answered[id], unanswered[id]...), nil
			for n := range 3 {
				payload := fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A"},"sensors":{}}`, id, 1640995200000+10*round+n)
				if n == 2 { // killed before the answer
					unanswered[id] = append(unanswered[id], payload)
					require.NoError(t, nc.PublishRequest(wire.TelemetrySubject(id), nats.NewInbox(), []byte(payload)))
					continue
				}
				r := ask(t, nc, id, payload)
				require.False(t, r.Duplicate)
				answered[id], seq = append(answered[id], payload), r.Seq
			}
		}
		require.NoError(t, nc.Flush())
		trim(t, js, beats, newest, taken)
		newest = seq
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		nc.Close()
	}
	cmd := spawn(t, env...)
	ready(t, ops)
	nc, err := nats.Connect(addr)
	require.NoError(t, err)
	defer nc.Close()
	for id, payloads := range unanswered {
		for _, payload := range payloads {
			ask(t, nc, id, payload)
		}
		answered[id] = append(answered[id], payloads...)
	}
	require.NotEmpty(t, taken, "some were trimmed")
	have := stored(t, js)
	for payload, n := range taken {
		have[payload] += n
	}
	for _, payloads := range answered {
		require.Len(t, payloads, 4*3)
		for _, payload := range payloads {
			require.Equal(t, 1, have[payload], payload)
		}
	}
	require.Len(t, have, devices*4*3)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// ask publishes a reading, which must be stored.
func ask(t *testing.T, nc *nats.Conn, id, payload string) wire.Reply {
	t.Helper()
	msg, err := nc.Request(wire.TelemetrySubject(id), []byte(payload), waitTimeout)
	require.NoError(t, err)
	r, err := wire.DecodeReply(msg.Data)
	require.NoError(t, err)
	require.Nil(t, r.Error)
	return r
}

// trim removes the packs that the gateway need not keep, as soon as that includes the one at
// seq, and counts the payloads in them.
func trim(t *testing.T, js jetstream.JetStream, beats *nats.Subscription, seq uint64, taken map[string]int) {
	t.Helper()
	var status wire.GatewayStatus
	for status.KeepFrom <= seq {
		msg, err := beats.NextMsg(waitTimeout)
		require.NoError(t, err)
		status, err = wire.DecodeGatewayStatus(msg.Data)
		require.NoError(t, err)
	}
	stream, err := js.Stream(t.Context(), wire.PackStream("gw-k"))
	require.NoError(t, err)
	for at := stream.CachedInfo().State.FirstSeq; at < status.KeepFrom; at++ {
		msg, err := stream.GetMsg(t.Context(), at)
		require.NoError(t, err)
		p, err := wire.OpenPack(msg.Data)
		require.NoError(t, err)
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			taken[string(e.Payload)]++
		}
	}
	require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(status.KeepFrom)))
}
