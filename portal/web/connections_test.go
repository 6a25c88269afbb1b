package web

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// open opens a connection to an address of the portal that says nothing.
func (r *rig) open(addr string) net.Conn {
	r.tb.Helper()
	c, err := (&net.Dialer{}).DialContext(r.tb.Context(), "tcp", addr)
	require.NoError(r.tb, err)
	r.tb.Cleanup(func() { _ = c.Close() })
	require.NoError(r.tb, c.SetDeadline(time.Now().Add(waitTimeout)))
	return c
}

// TestConnectionsOfBothPortsAreLimited: what is beyond the limit is closed before it said anything, and those within it go on.
func TestConnectionsOfBothPortsAreLimited(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.Config.MaxConnections, o.Config.MaxTCP = 1, 3 })
	ws := r.connect(r.portal.WSAddr())
	require.Equal(t, http.StatusOK, r.get("/api/v1/stats").status) // its connection is kept
	idle := r.open(r.portal.Addr())
	_, err := io.WriteString(idle, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	_, err = idle.Read(make([]byte, 1))
	require.NoError(t, err)
	for _, addr := range []string{r.portal.Addr(), r.portal.WSAddr()} {
		n, _ := r.open(addr).Read(make([]byte, 1))
		require.Zero(t, n, "closed")
	}
	require.Contains(t, r.get("/metrics").body, `portal_connections_refused_total{reason="total"} 2`)
	require.NoError(t, ws.WriteJSON(map[string]string{"type": "ping"}))
	r.receive(ws)
	require.NoError(t, idle.Close())
	r.eventually("room again", func() bool {
		c := r.open(r.portal.Addr())
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		n, _ := c.Read(make([]byte, 1))
		return n == 1
	})
}

// TestSilentConnectionIsClosed: one that says nothing, or a byte now and then, does not stay.
func TestSilentConnectionIsClosed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	began := time.Now()
	silent, slow := r.open(r.portal.Addr()), r.open(r.portal.Addr())
	trickle := make(chan int)
	go func() {
		defer close(trickle)
		for range time.Tick(time.Second) {
			if _, err := slow.Write([]byte("G")); err != nil {
				return
			}
		}
	}()
	_, err := io.Copy(io.Discard, silent)
	require.NoError(t, err, "closed by the portal before the test gives up")
	_, _ = io.Copy(io.Discard, slow) // closed, or reset since it sent more
	require.GreaterOrEqual(t, time.Since(began), headWithin)
	_ = slow.Close()
	<-trickle
}
