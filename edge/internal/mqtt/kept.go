package mqtt

import (
	"container/list"
	"maps"
)

const (
	// maxKept bounds the sessions without a connection, and maxKeptBytes what they hold
	// together. Beyond it the one silent for longest ends; its client then finds no session
	// present, as after a restart.
	maxKept      = 100_000
	maxKeptBytes = 64 << 20
	// sessionBytes is what a kept session without content takes, with its timers and its
	// client id's place, and exchangeBytes an unfinished exchange. Both are estimates from
	// above.
	sessionBytes  = 1 << 10
	exchangeBytes = 64
)

// keptSessions are the sessions without a connection, the one silent for longest first. It is
// guarded by Server.mu.
type keptSessions struct {
	order list.List // of *keptSession
	bytes int
}

// place is where a session is in keptSessions; nil: it is not kept.
type place = *list.Element

type keptSession struct {
	id    string
	x     *session
	bytes int
}

// add appends a session.
func (k *keptSessions) add(id string, x *session) {
	e := &keptSession{id: id, x: x, bytes: sessionBytes + len(id) + x.trim()*exchangeBytes + x.will.size()}
	x.place = k.order.PushBack(e)
	k.bytes += e.bytes
}

// remove removes a session if it is there.
func (k *keptSessions) remove(x *session) {
	if x.place == nil {
		return
	}
	if e, ok := k.order.Remove(x.place).(*keptSession); ok {
		k.bytes -= e.bytes
	}
	x.place = nil
}

// longest returns the session silent for longest if there are too many.
func (k *keptSessions) longest() (*keptSession, bool) {
	if k.order.Len() <= maxKept && k.bytes <= maxKeptBytes {
		return nil, false
	}
	e, ok := k.order.Front().Value.(*keptSession)
	return e, ok
}

// keep keeps a session whose connection has ended, and returns the wills of those that make
// room for it, which are due with their session ([MQTT-3.1.2-10]). s.mu is held.
func (s *Server) keep(id string, x *session) (due []*will) {
	s.kept.add(id, x)
	for e, ok := s.kept.longest(); ok; e, ok = s.kept.longest() {
		due = append(due, e.x.will)
		e.x.stopTimers()
		delete(s.sessions, e.id)
		s.kept.remove(e.x)
	}
	return due
}

// trim gives back the room of finished exchanges and returns how many are unfinished: a map
// never shrinks.
func (x *session) trim() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	received := make(map[uint16]exchange, len(x.received))
	maps.Copy(received, x.received)
	x.received = received
	return len(received)
}

// size is what a will takes; 0 for none.
func (w *will) size() int {
	if w == nil {
		return 0
	}
	return len(w.msg.Topic) + len(w.msg.Payload) + len(w.msg.MessageID) + len(w.msg.ContentType)
}
