// Package tcpline is a TCP forwarder between two programs that can be broken: cut,
// silent in both directions without closing anything (a black hole), half-open, or slow. It is for
// the outage drill and for tests of faults. New binds; only Close blocks, until its goroutines have ended.
package tcpline

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// state of a line.
type state int

const (
	up     state = iota
	cut          // connections are closed, new ones are refused
	silent       // connections stay open, nothing is forwarded
)

// Line forwards connections to a target. Make it with New.
type Line struct {
	target string
	addr   string

	mu      sync.Mutex
	state   state
	changed chan struct{} // closed when state changes
	ln      net.Listener  // nil while cut
	pairs   map[*pair]struct{}
	closed  bool
	dialled int
	delay   time.Duration

	running sync.WaitGroup
}

// pair is one connection through the line.
type pair struct{ near, far net.Conn } // near dialled us, far is the target

func (p *pair) close() {
	_ = p.near.Close()
	if p.far != nil {
		_ = p.far.Close()
	}
}

// New listens on a free port of this machine and forwards to target (host:port).
func New(target string) (*Line, error) {
	l := &Line{target: target, changed: make(chan struct{}), pairs: map[*pair]struct{}{}}
	if err := l.listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	l.addr = l.ln.Addr().String()
	return l, nil
}

// Addr returns the address to dial.
func (l *Line) Addr() string { return l.addr }

// Connections returns how many connections are open through the line.
func (l *Line) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

// Dialled returns how many connections were made through the line so far.
func (l *Line) Dialled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dialled
}

func (l *Line) listen(addr string) error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	l.ln = ln
	l.running.Go(func() { l.accept(ln) })
	return nil
}

// Cut closes every connection and refuses new ones until Restore.
func (l *Line) Cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(cut)
	l.drop()
	if l.ln == nil {
		return nil
	}
	err := l.ln.Close()
	l.ln = nil
	return err
}

// Silence stops forwarding in both directions. Nothing is closed, and neither end can
// distinguish the line from a slow one.
func (l *Line) Silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(silent)
}

// HalfOpen closes the connections to the target while those to the dialling side stay open
// and silent, as after a hub's machine was replaced. New connections are silent too, until
// Restore.
func (l *Line) HalfOpen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(silent)
	for p := range l.pairs {
		if p.far != nil {
			_ = p.far.Close()
		}
	}
}

// Slow makes the line hold back what it forwards, in each direction, for so long; 0: not at all.
func (l *Line) Slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

// hold waits for the line's delay, or until the line changes.
func (l *Line) hold() {
	l.mu.Lock()
	delay, changed := l.delay, l.changed
	l.mu.Unlock()
	if delay == 0 {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	}
}

// Restore repairs the line. Silent connections are dropped: after a real outage their packets
// are not answered either.
func (l *Line) Restore() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("the line is closed")
	}
	if l.state == silent {
		l.drop()
	}
	l.set(up)
	if l.ln != nil {
		return nil
	}
	return l.listen(l.addr)
}

// Close closes the line and its connections.
func (l *Line) Close() error {
	l.mu.Lock()
	l.closed = true
	l.set(cut)
	l.drop()
	var err error
	if l.ln != nil {
		err = l.ln.Close()
		l.ln = nil
	}
	l.mu.Unlock()
	l.running.Wait()
	return err
}

func (l *Line) set(s state) {
	l.state = s
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Line) drop() {
	for p := range l.pairs {
		p.close()
	}
}

func (l *Line) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return // closed
		}
		p := &pair{near: conn}
		l.mu.Lock()
		if l.state == cut || l.closed {
			l.mu.Unlock()
			_ = conn.Close()
			continue
		}
		l.pairs[p] = struct{}{}
		l.dialled++
		l.mu.Unlock()
		l.running.Go(func() { l.serve(p) })
	}
}

const dialTimeout = 5 * time.Second

// serve connects to the target and forwards until one end closes. While the line is silent
// it accepts connections and does not forward them.
func (l *Line) serve(p *pair) {
	defer l.forget(p)
	if !l.open(p) {
		return
	}
	far, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(context.Background(), "tcp", l.target)
	if err != nil {
		return
	}
	l.mu.Lock()
	p.far = far
	broken := l.closed || l.state != up // since it dialled
	l.mu.Unlock()
	if broken {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.pump(p, p.near, far) })
	both.Go(func() { l.pump(p, far, p.near) })
	both.Wait()
}

func (l *Line) forget(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs, p)
	p.close()
}

// open waits while the line is silent and reports whether it is up afterwards.
func (l *Line) open(p *pair) bool {
	for {
		l.mu.Lock()
		s, changed := l.state, l.changed
		_, mine := l.pairs[p]
		l.mu.Unlock()
		switch {
		case s == cut || !mine:
			return false
		case s == up:
			return true
		}
		<-changed
	}
}

// pump forwards one direction. While the line is silent it keeps the bytes it has read and
// reads no more; it passes a close on only when the line is up again.
func (l *Line) pump(p *pair, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.hold()
		if !l.open(p) {
			return
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			l.mu.Lock()
			p.close()
			l.mu.Unlock()
			return
		}
	}
}
