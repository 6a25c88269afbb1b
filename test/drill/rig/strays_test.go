package rig

import (
	"encoding/json"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

// strayed is a message of a stray.
type strayed struct {
	At   int64
	Load struct{ W float64 }
}

// acknowledge is a gateway that acknowledges the messages of one connection and passes them on.
func acknowledge(t *testing.T) (addr string, messages <-chan strayed) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	out := make(chan strayed, 10_000)
	go func() {
		defer close(out)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // the stray has closed it
		for {
			p, err := packets.ReadPacket(conn)
			if err != nil {
				return
			}
			answer := packets.NewControlPacket(packets.Connack)
			if m, ok := p.(*packets.PublishPacket); ok {
				var s strayed
				if json.Unmarshal(m.Payload, &s) != nil {
					return
				}
				out <- s
				answer = &packets.PubackPacket{FixedHeader: packets.FixedHeader{MessageType: packets.Puback}, MessageID: m.MessageID}
			}
			if answer.Write(conn) != nil {
				return
			}
		}
	}()
	return listener.Addr().String(), out
}

func TestAStrayLearnsGoesAstrayAndWaits(t *testing.T) {
	t.Parallel()
	addr, messages := acknowledge(t)
	s, err := startStrays(filepath.Join(t.TempDir(), "ledger"), []string{addr}, 1, 1)
	require.NoError(t, err)
	defer s.stop()
	first := <-messages
	received := 1
	var newest strayed
	for _, far := range []float64{5, 20} {
		last, resume, err := s.all[0].Pause(t.Context())
		require.NoError(t, err)
		for newest.At != last {
			m := <-messages
			require.Greater(t, m.At, newest.At)
			newest = m
			received++
		}
		require.Empty(t, messages, "it waits")
		require.InDelta(t, far*1050, newest.Load.W, far*51, "far off")
		resume()
	}
	require.Greater(t, newest.At-first.At, (25 * time.Hour).Milliseconds(), "more than a day")
	s.stop()
	require.NoError(t, s.err)
	for range messages {
		received++
	}
	require.InDelta(t, received, s.acked.Load(), 1, "it need not have seen the last acknowledgement")
}
