package mqtt

import (
	"crypto/x509"
	"errors"
	"net"
	"time"

	"industrial-iot-monitor/internal/tlsfiles"
)

// Login is what a client shows of itself when it connects. It is valid until Gate.Admit returns.
type Login struct {
	ClientID string // as the client said; may be empty
	User     string
	Password []byte
	Remote   net.Addr
	// Certificate is the one that it has shown by TLS, nil for none.
	Certificate *x509.Certificate
}

// Identity is who a client has proved to be.
type Identity interface {
	// Device is the name that the client's sessions belong to.
	Device() string
}

// Gate decides which clients may connect. It is called by many goroutines at once.
type Gate interface {
	// Admit may block. A nil Identity is of a client that is let in without a proof. After ErrBusy
	// the client may try again.
	Admit(l Login) (Identity, error)
	// Holds reports whether a client may stay.
	Holds(i Identity) bool
}

// ErrBusy is returned by a Gate that has no time for a client now.
var ErrBusy = errors.New("the gateway is busy, try again")

// everybody is the Gate of a server without one.
type everybody struct{}

func (everybody) Admit(Login) (Identity, error) { return nil, nil }
func (everybody) Holds(Identity) bool           { return true }

// Identity returns who the client has proved to be, nil for one that was let in without a proof.
func (c *Client) Identity() Identity { return c.identity }

// admit asks the gate. What it says is for the log of the gateway: a stranger is not told whether a
// device exists.
func (c *Client) admit(p *connectPacket) *fault {
	i, err := c.srv.gate.Admit(Login{ClientID: p.id, User: p.user, Password: p.password, Remote: c.conn.RemoteAddr(), Certificate: tlsfiles.PeerOf(c.conn)})
	switch {
	case errors.Is(err, ErrBusy):
		return faultf(serverBusy, "%v", err)
	case err != nil:
		return faultf(NotAuthorized, "user name and password are not those of a device of this gateway")
	}
	c.identity = i
	return nil
}

// sessionKey names the session of a client. Every device has names of its own: none can take the session
// of another.
func (c *Client) sessionKey() string {
	if c.identity == nil {
		return c.id
	}
	return c.identity.Device() + "\x00" + c.id
}

// takeOverPause is the shortest time between two takings over of a device's session: two devices with the
// same credential and client identifier would throw each other out for ever.
const takeOverPause = 10 * time.Second

// Recheck ends the connections of clients that may not stay any more.
func (s *Server) Recheck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.session != nil && !s.closed && !s.gate.Holds(c.identity) {
			s.readers.Go(func() { c.end(errNoLonger) }) // it waits for the greeting
		}
	}
}

var errNoLonger = faultf(NotAuthorized, "the device was revoked, or its secret or rights have changed")
