// Package connlimit bounds the connections that a listener accepts, in total and from one
// address, before anything of them is read. A connection beyond a limit is closed at once and
// counted. Accept blocks like that of the listener below; nothing else does.
package connlimit

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// Caller returns the address for which a connection counts. For IPv6 it is the /64, the least
// that a household gets. It is invalid, and not counted, on loopback, where all clients of a
// local proxy have the same address.
func Caller(from netip.Addr) netip.Addr {
	from = from.Unmap().WithZone("")
	if !from.IsValid() || from.IsLoopback() {
		return netip.Addr{}
	}
	if from.Is6() {
		return netip.PrefixFrom(from, 64).Masked().Addr()
	}
	return from
}

// Reasons for which a connection is refused.
const (
	ReasonTotal   = "total"
	ReasonAddress = "address"
)

// Reasons returns all values that Options.OnRefused gets.
func Reasons() []string { return []string{ReasonTotal, ReasonAddress} }

// Options of a Limiter. A limit of 0 is none.
type Options struct {
	Total      int
	PerAddress int // see Caller
	// Proxy reports whether an address is that of a proxy, whose connections count in total
	// only. May be nil.
	Proxy func(netip.Addr) bool
	// OnRefused is called with the reason. It must not block. May be nil.
	OnRefused func(reason string)
}

// Limiter counts the connections of all its listeners together.
type Limiter struct {
	o Options

	mu    sync.Mutex
	total int
	from  map[netip.Addr]int
}

// New returns a Limiter without connections.
func New(o Options) *Limiter {
	if o.OnRefused == nil {
		o.OnRefused = func(string) {}
	}
	return &Limiter{o: o, from: map[netip.Addr]int{}}
}

// Listen returns ln with the limits.
func (l *Limiter) Listen(ln net.Listener) net.Listener { return listener{ln, l} }

type listener struct {
	net.Listener
	l *Limiter
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		caller := l.l.callerOf(nc)
		reason := l.l.admit(caller)
		if reason == "" {
			return &conn{Conn: nc, release: sync.OnceFunc(func() { l.l.release(caller) })}, nil
		}
		l.l.o.OnRefused(reason) // who sees the end finds it counted
		_ = nc.Close()          // nothing was sent
	}
}

// callerOf is invalid for what has no IP address, such as a pipe, and for a proxy.
func (l *Limiter) callerOf(nc net.Conn) netip.Addr {
	a, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	from := a.AddrPort().Addr().Unmap()
	if l.o.Proxy != nil && l.o.Proxy(from) {
		return netip.Addr{}
	}
	return Caller(from)
}

// admit counts a connection, or returns why it is refused.
func (l *Limiter) admit(caller netip.Addr) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.o.PerAddress > 0 && caller.IsValid() && l.from[caller] >= l.o.PerAddress:
		return ReasonAddress
	case l.o.Total > 0 && l.total >= l.o.Total:
		return ReasonTotal
	}
	l.total++
	if caller.IsValid() {
		l.from[caller]++
	}
	return ""
}

func (l *Limiter) release(caller netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if !caller.IsValid() {
		return
	}
	if l.from[caller]--; l.from[caller] == 0 {
		delete(l.from, caller)
	}
}

// conn is counted until it is closed.
type conn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// CloseWrite says that nothing more comes, as of a TCP connection.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetWriteBuffer sets what the system may hold of what was written, as of a TCP connection.
func (c *conn) SetWriteBuffer(bytes int) error {
	if tcp, ok := c.Conn.(interface{ SetWriteBuffer(int) error }); ok {
		return tcp.SetWriteBuffer(bytes)
	}
	return errors.ErrUnsupported
}
