package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// hub is a plain NATS server with a leaf node port, as the bridge embeds one.
type hub struct {
	srv      *server.Server
	nc       *nats.Conn
	leafPort int
}

// startHub starts a hub; leafPort -1 picks a free port.
func startHub(tb testing.TB, leafPort int) *hub {
	tb.Helper()
	o := &server.Options{ServerName: "hub", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true}
	o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", leafPort
	srv, err := server.NewServer(o)
	require.NoError(tb, err)
	srv.Start()
	require.True(tb, srv.ReadyForConnections(waitTimeout))
	nc, err := nats.Connect(srv.ClientURL())
	require.NoError(tb, err)
	v, err := srv.Varz(nil)
	require.NoError(tb, err)
	h := &hub{srv, nc, v.LeafNode.Port}
	tb.Cleanup(h.stop)
	return h
}

func (h *hub) stop() {
	h.nc.Close()
	h.srv.Shutdown()
	h.srv.WaitForShutdown()
}

// url is the leaf node URL.
func (h *hub) url() string {
	return fmt.Sprintf("nats-leaf://127.0.0.1:%d", h.leafPort)
}

// stream waits for a gateway's stream to be reachable.
func (h *hub) stream(tb testing.TB, gateway string) jetstream.Stream {
	tb.Helper()
	js, err := jetstream.NewWithDomain(h.nc, wire.Domain(gateway))
	require.NoError(tb, err)
	var s jetstream.Stream
	require.Eventually(tb, func() bool {
		s, err = js.Stream(tb.Context(), wire.PackStream(gateway))
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	return s
}

// stored is one entry of a gateway's stream.
type stored struct {
	wire.PackHeader
	wire.PackEntry
	Seq uint64
}

// entries reads a gateway's whole stream, oldest first.
func (h *hub) entries(tb testing.TB, gateway string) []stored {
	tb.Helper()
	s := h.stream(tb, gateway)
	info, err := s.Info(tb.Context())
	require.NoError(tb, err)
	var all []stored
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		msg, err := s.GetMsg(tb.Context(), seq)
		require.NoError(tb, err)
		p, err := wire.OpenPack(msg.Data)
		require.NoError(tb, err)
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			all = append(all, stored{p.Header, e, seq})
		}
		require.NoError(tb, p.Err())
	}
	return all
}
