package mqtt

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// subprotocols of MQTT over WebSocket ([MQTT-6.0.0-3]); old clients of MQTT 3.1 ask for the
// second.
var subprotocols = []string{"mqtt", "mqttv3.1"}

const maxHeaderBytes = 16 << 10

// ServeWebSocket accepts clients over WebSocket (section 6) in the background, on any
// path, until StopIntake closes ln. A browser's page may connect if it comes from the same
// host or from one of origins, where "*" allows any: nothing but the origin keeps a page
// that somebody visits from publishing as a device.
func (s *Server) ServeWebSocket(ln net.Listener, origins []string) {
	up := &websocket.Upgrader{
		Subprotocols: subprotocols, HandshakeTimeout: connectTimeout,
		CheckOrigin: func(r *http.Request) bool { return originAllowed(r, origins) },
	}
	hs := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.upgrade(up, w, r) }),
		ReadHeaderTimeout: connectTimeout, ReadTimeout: connectTimeout, WriteTimeout: connectTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.background(webListener{hs, ln}, func() { _ = hs.Serve(ln) }) // ends with ErrServerClosed
}

// webListener closes both: the HTTP server knows its listener only once it serves.
type webListener struct {
	hs *http.Server
	ln net.Listener
}

// Close implements io.Closer.
func (l webListener) Close() error { return errors.Join(l.ln.Close(), l.hs.Close()) }

// upgrade serves one client.
func (s *Server) upgrade(up *websocket.Upgrader, w http.ResponseWriter, r *http.Request) {
	switch {
	case !websocket.IsWebSocketUpgrade(r):
		http.Error(w, "this port speaks MQTT over WebSocket", http.StatusUpgradeRequired)
		return
	case !slices.ContainsFunc(websocket.Subprotocols(r), func(p string) bool { return slices.Contains(subprotocols, p) }):
		http.Error(w, "Sec-WebSocket-Protocol: want mqtt", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	done := s.working()
	s.mu.Unlock()
	defer done()
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // it was answered
	}
	s.serve(&wsConn{Conn: ws.NetConn(), ws: ws})
}

// originAllowed reports whether the page that opens the WebSocket may; other clients than
// browsers send no origin.
func originAllowed(r *http.Request, origins []string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(origins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || slices.ContainsFunc(origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

// wsConn is a WebSocket as a stream of bytes: packets may share a message or span several
// ([MQTT-6.0.0-2]).
type wsConn struct {
	net.Conn // under the WebSocket
	ws       *websocket.Conn
	message  io.Reader                 // being read; nil between two
	deadline atomic.Pointer[time.Time] // of writes
}

// Read implements net.Conn.
func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.message == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage { // [MQTT-6.0.0-1]
				return 0, faultf(protocolError, "a WebSocket text message: want binary")
			}
			c.message = r
		}
		n, err := c.message.Read(b)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
			if n == 0 && len(b) > 0 {
				continue
			}
		}
		return n, err
	}
}

// Write implements net.Conn. It is called by one goroutine at a time.
func (c *wsConn) Write(b []byte) (int, error) {
	if t := c.deadline.Load(); t != nil {
		_ = c.ws.SetWriteDeadline(*t) // never fails
	}
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetWriteDeadline implements net.Conn; it also ends a Write that blocks.
func (c *wsConn) SetWriteDeadline(t time.Time) error {
	c.deadline.Store(&t)
	return c.Conn.SetWriteDeadline(t)
}

// NetConn returns the connection under the WebSocket.
func (c *wsConn) NetConn() net.Conn { return c.Conn }

// Close implements net.Conn.
func (c *wsConn) Close() error {
	c.bye()
	return c.Conn.Close()
}

// CloseWrite says that nothing more comes.
func (c *wsConn) CloseWrite() error {
	c.bye()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// bye tries to say that the end is intended (RFC 6455, section 5.5.1).
func (c *wsConn) bye() {
	const grace = 100 * time.Millisecond
	b := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, b, time.Now().Add(grace)) // the connection ends anyway
}
