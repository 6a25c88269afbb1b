package mqtt

import (
	"sync"
	"time"
)

// maxSessionExpiry is how long a session is kept at most after its connection ended.
const maxSessionExpiry = 24 * time.Hour

// session is what outlives a client's connection (section 4.1): the ids of unfinished QoS 2
// exchanges and a delayed will.
type session struct {
	// Guarded by Server.mu.
	client *Client // nil while disconnected
	expiry time.Duration
	end    *time.Timer // of a disconnected session
	will   *will       // of a disconnected client, delayed
	delay  *time.Timer // of will
	place  place       // among the kept sessions
	taken  time.Time   // when a connection last took it from another

	mu       sync.Mutex
	received map[uint16]exchange
}

// exchange is a QoS 2 PUBLISH that has no PUBREL yet.
type exchange struct {
	stored bool    // a PUBREC with success was sent
	to     *Client // gets the PUBREC
}

// will is a message to store when its client is lost.
type will struct {
	msg   *Publish
	delay time.Duration
	to    Receiver
}

type exchangeState int

const (
	exchangeNew exchangeState = iota
	exchangePending
	exchangeStored
	exchangeRefused // too many are unfinished
)

// begin notes a QoS 2 PUBLISH and returns what became of an earlier one with that id.
// Until the PUBREL it is the same message ([MQTT-4.3.3-10]).
func (x *session) begin(id uint16, c *Client) exchangeState {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.received[id]
	switch {
	case e.stored:
		return exchangeStored
	case ok:
		x.received[id] = exchange{to: c} // the PUBREC goes to the newest connection
		return exchangePending
	case len(x.received) >= receiveMaximum:
		return exchangeRefused
	}
	if x.received == nil {
		x.received = map[uint16]exchange{}
	}
	x.received[id] = exchange{to: c}
	return exchangeNew
}

// outcome notes whether the message of an exchange is stored, and returns who waits for
// the PUBREC. If it is not, the id is free again (section 4.3.3).
func (x *session) outcome(id uint16, stored bool) *Client {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.received[id].to
	if stored {
		x.received[id] = exchange{stored: true}
	} else {
		delete(x.received, id)
	}
	return c
}

// release ends an exchange at its PUBREL and reports whether there was one.
func (x *session) release(id uint16) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.received[id].stored {
		return false
	}
	delete(x.received, id)
	return true
}

// attach makes c the connection of its session and reports whether an earlier session
// goes on. A connection that has the same client id ends first (section 3.1.4), its
// messages before those of c; the will of a lost client is dropped if its session goes on
// before its delay is over ([MQTT-3.1.3-9]).
func (s *Server) attach(c *Client, p *connectPacket) (present bool, err *fault) {
	s.mu.Lock()
	if s.stopping.Load() {
		s.mu.Unlock()
		return false, faultf(serverShuttingDown, "the gateway stops")
	}
	x := s.sessions[c.sessionKey()]
	var previous *Client
	var last *will
	var taken time.Time
	if x != nil {
		if c.identity != nil && x.client != nil && time.Since(x.taken) < takeOverPause {
			s.mu.Unlock()
			return false, faultf(serverBusy, "client identifier %.80q is in use and was taken over a moment ago: two devices use it", c.id)
		}
		previous, last = x.client, x.will
		taken = x.taken
		x.stopTimers()
		if previous != nil {
			last, previous.will, taken = previous.will, nil, time.Now()
		} else {
			s.kept.remove(x)
		}
		present = !p.clean && (previous == nil || x.expiry > 0)
		if present && (previous == nil || last != nil && last.delay > 0) {
			last = nil
		}
	}
	if !present {
		if x != nil {
			x.client = nil // its detach would end the new session
		}
		x = &session{}
		s.sessions[c.sessionKey()] = x
	}
	x.client, x.expiry, x.taken = c, p.sessionExpiry(), taken
	c.session = x
	if p.will != nil {
		c.will = &will{msg: p.will, delay: p.willDelay, to: c.receiver}
	}
	s.mu.Unlock()
	if previous != nil {
		previous.end(faultf(sessionTakenOver, "another connection has client identifier %.80q", c.id))
		<-previous.done
	}
	last.publish()
	return present, nil
}

// detach ends the part of c in its session: the connection is gone, and c.will is what it
// leaves behind.
func (s *Server) detach(c *Client) {
	s.mu.Lock()
	x := c.session
	if x == nil || x.client != c { // never connected, or taken over
		s.mu.Unlock()
		return
	}
	last := c.will
	c.will, x.client = nil, nil
	if s.stopping.Load() {
		last = nil // a stop is no loss of the client
	}
	due := []*will{last}
	if x.expiry == 0 || s.closed {
		delete(s.sessions, c.sessionKey())
	} else {
		key := c.sessionKey()
		x.end = time.AfterFunc(x.expiry, func() { s.expire(key, x) })
		if last != nil && last.delay > 0 {
			due = nil
			// A receiver of its own, or the will would keep the buffers of the connection.
			x.will = &will{msg: last.msg, delay: last.delay, to: s.newReceiver(&Client{srv: s, id: c.id, identity: c.identity, version: c.version})}
			x.delay = time.AfterFunc(x.will.delay, func() { s.publishDelayed(x) })
		}
		due = append(due, s.keep(key, x)...)
	}
	s.mu.Unlock()
	for _, w := range due {
		w.publish()
	}
}

func (x *session) stopTimers() {
	x.will = nil
	for _, t := range []*time.Timer{x.end, x.delay} {
		if t != nil {
			t.Stop()
		}
	}
	x.end, x.delay = nil, nil
}

// expire ends a session that no client came back to.
func (s *Server) expire(key string, x *session) {
	s.mu.Lock()
	if s.sessions[key] != x || x.client != nil || x.end == nil {
		s.mu.Unlock()
		return
	}
	last := x.will
	x.stopTimers()
	delete(s.sessions, key)
	s.kept.remove(x)
	done := s.working()
	s.mu.Unlock()
	defer done()
	last.publish()
}

// publishDelayed stores the will of a client that stayed away for its delay.
func (s *Server) publishDelayed(x *session) {
	s.mu.Lock()
	last := x.will
	x.will = nil
	done := s.working()
	s.mu.Unlock()
	defer done()
	last.publish()
}

// endSessions ends the sessions without a connection, whose wills are due then.
func (s *Server) endSessions() {
	s.mu.Lock()
	var due []*will
	for id, x := range s.sessions {
		if x.client == nil {
			due = append(due, x.will)
			x.stopTimers()
			delete(s.sessions, id)
			s.kept.remove(x)
		}
	}
	s.mu.Unlock()
	for _, w := range due {
		w.publish()
	}
}

// publish stores the will; that of a nil will is nothing.
func (w *will) publish() {
	if w != nil {
		w.to.Publish(w.msg)
	}
}
