// Package mqtt is the MQTT server of a gateway: version 3.1, 3.1.1 and 5, over TCP and
// WebSocket. It takes messages and passes them to a Receiver, which says when each is
// stored; only then is it acknowledged. It delivers no message to anybody: clients may
// subscribe, and nothing is ever published to them. It knows nothing of readings.
//
// Section numbers and [MQTT-…] in comments are those of MQTT 5.0 unless they say 3.1.1.
//
// # Answers
//
// Every QoS 1 and QoS 2 PUBLISH is answered, or its connection ends: a client never waits
// for an answer that will not come. MQTT 5 clients get a DISCONNECT with the reason first;
// MQTT 3 has none, its connection is closed.
//
// # Blocking
//
// Receiver.Publish may block, which stops reading from that client. Writing to a client
// never blocks; one that does not read is disconnected.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// receiveMaximum is how many QoS 1 and QoS 2 messages of an MQTT 5 client may be without an
// answer (section 3.3.4).
const receiveMaximum = 16 << 10

// acceptPause is the longest pause after a failed accept.
const acceptPause = time.Second

// Publish is a message of a client.
type Publish struct {
	Topic       string
	Payload     []byte // valid until Receiver.Publish returns
	QoS         byte   // 0: no answer
	ID          uint16 // for Client.Answer; 0 with QoS 0
	MessageID   string // user property message-id of MQTT 5; may be empty
	ContentType string // of MQTT 5; may be empty
	TraceParent string // user property traceparent of MQTT 5; may be empty
	TraceState  string // its tracestate
	Will        bool   // the last message of a lost client, always QoS 0
}

// Receiver takes the messages of one client.
type Receiver interface {
	// Publish is called for each message, one at a time. For QoS 1 and 2 exactly one call of
	// Client.Answer must follow, by any goroutine.
	Publish(p *Publish)
}

// Options of a Server. NewReceiver, MaxPacket and Log are required.
type Options struct {
	// NewReceiver is called for each client that connects, and for a will that outlives its
	// connection. It must not block.
	NewReceiver func(*Client) Receiver
	// Gate decides which clients may connect; nil: every one.
	Gate Gate
	// MaxPacket is the largest packet in bytes, fixed header included.
	MaxPacket uint32
	Log       *slog.Logger
	// OnClosed is called with the cause when the server ends a connection because of what
	// its client did. It must not block. May be nil.
	OnClosed func(cause string)
}

// Server accepts MQTT clients.
type Server struct {
	newReceiver func(*Client) Receiver
	gate        Gate
	onClosed    func(string)
	maxPacket   uint32
	log         *slog.Logger
	limit       logLimit
	seed        maphash.Seed // of the hashes of filters

	stopping atomic.Bool   // no more messages are accepted
	stopped  chan struct{} // closed then
	clients  atomic.Int64
	readers  sync.WaitGroup // accept loops, readers of clients, due wills
	writers  sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	listeners []io.Closer
	conns     map[*Client]struct{}
	sessions  map[string]*session // by Client.sessionKey
	kept      keptSessions
}

// New returns a server; Serve gives it a listener.
func New(o Options) (*Server, error) {
	if o.NewReceiver == nil || o.MaxPacket == 0 || o.Log == nil {
		return nil, errors.New("mqtt: Options.NewReceiver, MaxPacket and Log are required")
	}
	if o.OnClosed == nil {
		o.OnClosed = func(string) {}
	}
	if o.Gate == nil {
		o.Gate = everybody{}
	}
	return &Server{
		newReceiver: o.NewReceiver, gate: o.Gate, onClosed: o.OnClosed, maxPacket: o.MaxPacket, log: o.Log,
		seed: maphash.MakeSeed(), stopped: make(chan struct{}), conns: map[*Client]struct{}{}, sessions: map[string]*session{},
	}, nil
}

// Clients returns the number of connected clients.
func (s *Server) Clients() int { return int(s.clients.Load()) }

// Serve accepts clients from ln in the background until StopIntake, which closes ln.
func (s *Server) Serve(ln net.Listener) { s.background(ln, func() { s.accept(ln) }) }

// background runs serve until StopIntake closes ln; if the server has stopped, it only
// closes ln.
func (s *Server) background(ln io.Closer, serve func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		_ = ln.Close() // no client was served
		return
	}
	s.listeners = append(s.listeners, ln)
	s.readers.Go(serve)
}

// accept serves the clients of ln. A failed accept, as with too many open files, may pass.
func (s *Server) accept(ln net.Listener) {
	for pause := time.Duration(0); ; {
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			s.readers.Go(func() { s.serve(nc) })
			continue
		}
		if s.stopping.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		pause = min(pause+10*time.Millisecond, acceptPause)
		if skipped, ok := s.limit.admit(time.Now()); ok {
			s.log.Warn("accepting an MQTT client failed, retrying", "err", err, "skipped", skipped)
		}
		select {
		case <-time.After(pause):
		case <-s.stopped:
		}
	}
}

// serve serves one client until its connection ends.
func (s *Server) serve(nc net.Conn) {
	c := &Client{srv: s, conn: &conn{Conn: nc, writers: &s.writers}, done: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = nc.Close() // nothing was sent
		return
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	c.run()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// working keeps Close waiting until done is called. s.mu is held.
func (s *Server) working() (done func()) {
	if s.closed {
		return func() {}
	}
	s.readers.Add(1)
	return s.readers.Done
}

// StopIntake accepts no more clients and messages; wills that wait for their delay are due
// now. Messages in flight still get their answers.
func (s *Server) StopIntake() {
	s.mu.Lock()
	first := !s.stopping.Swap(true)
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	for _, ln := range listeners {
		_ = ln.Close() // it accepts no more either way
	}
	if first {
		close(s.stopped)
		s.endSessions()
	}
}

// Close calls StopIntake, sends queued packets, disconnects the clients and waits for the
// server's goroutines, until ctx ends. A second call does nothing.
func (s *Server) Close(ctx context.Context) error {
	s.StopIntake()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.end(faultf(serverShuttingDown, "the gateway stops"))
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.readers.Wait()
		s.writers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("disconnecting MQTT clients: %w", ctx.Err())
	}
}
