package connlimit

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// callers is a listener of pipes that come from given addresses.
type callers struct {
	net.Listener
	next chan net.Conn
}

func (c callers) Accept() (net.Conn, error) {
	nc, ok := <-c.next
	if !ok {
		return nil, net.ErrClosed
	}
	return nc, nil
}

type fromAddr struct {
	net.Conn
	addr net.Addr
}

func (f fromAddr) RemoteAddr() net.Addr { return f.addr }

// plant is a limited listener, and what it refused.
type plant struct {
	t        *testing.T
	callers  callers
	accepted chan net.Conn
	mu       sync.Mutex
	refused  map[string]int
}

func newPlant(t *testing.T, total, perAddress int) *plant {
	t.Helper()
	p := &plant{t: t, callers: callers{next: make(chan net.Conn)}, accepted: make(chan net.Conn, 100), refused: map[string]int{}}
	ln := New(Options{Total: total, PerAddress: perAddress, OnRefused: func(reason string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.refused[reason]++
	}}).Listen(p.callers)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			p.accepted <- nc
		}
	}()
	t.Cleanup(func() { close(p.callers.next); <-done })
	return p
}

// connect returns the server's end of a connection, nil if it was refused.
func (p *plant) connect(addr string) net.Conn {
	p.t.Helper()
	ours, theirs := net.Pipe()
	p.t.Cleanup(func() { _ = ours.Close() })
	p.callers.next <- fromAddr{theirs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1))}
	closed := make(chan struct{})
	go func() { defer close(closed); _, _ = io.Copy(io.Discard, ours) }()
	select {
	case nc := <-p.accepted:
		p.t.Cleanup(func() { _ = nc.Close() })
		return nc
	case <-closed:
		return nil
	}
}

func TestOneAddressCannotTakeAllConnections(t *testing.T) {
	p := newPlant(t, 0, 2)
	first := p.connect("10.0.0.1")
	require.NotNil(t, first)
	require.NotNil(t, p.connect("::ffff:10.0.0.1"))
	require.Nil(t, p.connect("10.0.0.1"))
	require.NotNil(t, p.connect("10.0.0.2"), "another one is served")
	require.NoError(t, first.Close())
	require.NoError(t, first.Close(), "a second Close gives no second place")
	require.NotNil(t, p.connect("10.0.0.1"))
	require.Nil(t, p.connect("10.0.0.1"))

	require.NotNil(t, p.connect("2001:db8::1"))
	require.NotNil(t, p.connect("2001:db8::2"))
	require.Nil(t, p.connect("2001:db8::3"), "a /64 counts as one address")
	require.NotNil(t, p.connect("2001:db8:0:1::3"))
	for range 5 {
		require.NotNil(t, p.connect("127.0.0.1"))
		require.NotNil(t, p.connect("::1"))
	}
	require.Equal(t, map[string]int{ReasonAddress: 3}, p.refused)
}

func TestConnectionsAreBoundedInTotal(t *testing.T) {
	p := newPlant(t, 3, 0)
	open := []net.Conn{p.connect("127.0.0.1"), p.connect("10.0.0.1"), p.connect("10.0.0.2")}
	for _, nc := range open {
		require.NotNil(t, nc)
	}
	require.Nil(t, p.connect("10.0.0.3"))
	require.Nil(t, p.connect("127.0.0.1"))
	require.NoError(t, open[1].Close())
	require.NotNil(t, p.connect("127.0.0.1"))
	require.Equal(t, map[string]int{ReasonTotal: 2}, p.refused)
}

// TestProxyIsNoAddressOfItsOwn: all clients of a proxy come from its address.
func TestProxyIsNoAddressOfItsOwn(t *testing.T) {
	proxy := netip.MustParseAddr("10.0.0.1")
	l := New(Options{PerAddress: 1, Proxy: func(a netip.Addr) bool { return a == proxy }})
	for from, want := range map[string]netip.Addr{"10.0.0.1": {}, "::ffff:10.0.0.1": {}, "10.0.0.2": netip.MustParseAddr("10.0.0.2")} {
		got := l.callerOf(fromAddr{nil, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 1))})
		require.Equal(t, want, got, from)
	}
}

// TestEndedConnectionsLeaveNothing: an address is forgotten with its last connection.
func TestEndedConnectionsLeaveNothing(t *testing.T) {
	l := New(Options{Total: 5, PerAddress: 5})
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		require.Empty(t, l.admit(a))
		l.release(a)
	}
	require.Empty(t, l.from)
	require.Zero(t, l.total)
}
