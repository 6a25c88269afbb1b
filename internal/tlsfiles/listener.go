package tlsfiles

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
)

// Listen returns ln with TLS, and with plainToo also with clients that speak none: who begins with a TLS
// handshake gets one. The handshake is made with the first Read, within the deadlines that are set.
func Listen(ln net.Listener, c *tls.Config, plainToo bool) net.Listener {
	if plainToo {
		return either{ln, c}
	}
	return tls.NewListener(ln, c)
}

type either struct {
	net.Listener
	settings *tls.Config
}

// Accept implements net.Listener.
func (l either) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &undecided{Conn: nc, settings: l.settings}, nil
}

// undecided is a connection whose first byte says what it is. Its own Conn is the one below.
type undecided struct {
	net.Conn
	settings *tls.Config
	decided  atomic.Pointer[net.Conn]
}

// handshakeRecord is the type of the first record of TLS (RFC 8446, section 5.1). No packet of MQTT and no
// request of HTTP begins with it.
const handshakeRecord = 0x16

var errNothingRead = errors.New("written to before anything was read")

// Read implements net.Conn.
func (c *undecided) Read(b []byte) (int, error) {
	if p := c.decided.Load(); p != nil {
		return (*p).Read(b)
	}
	first := make([]byte, 1)
	if _, err := c.Conn.Read(first); err != nil {
		return 0, err
	}
	var nc net.Conn = &prefixed{Conn: c.Conn, first: first}
	if first[0] == handshakeRecord {
		nc = tls.Server(nc, c.settings)
	}
	c.decided.Store(&nc)
	return nc.Read(b)
}

// Write implements net.Conn: a server that speaks after its client alone may use it.
func (c *undecided) Write(b []byte) (int, error) {
	if p := c.decided.Load(); p != nil {
		return (*p).Write(b)
	}
	return 0, errNothingRead
}

// Close implements net.Conn.
func (c *undecided) Close() error {
	if p := c.decided.Load(); p != nil {
		return (*p).Close()
	}
	return c.Conn.Close()
}

// CloseWrite says that nothing more comes.
func (c *undecided) CloseWrite() error {
	nc := c.Conn
	if p := c.decided.Load(); p != nil {
		nc = *p
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nc.Close()
}

// prefixed gives back what was read first.
type prefixed struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *prefixed) Read(b []byte) (int, error) {
	if len(c.first) > 0 && len(b) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite says that nothing more comes.
func (c *prefixed) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}
