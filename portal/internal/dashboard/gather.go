package dashboard

// bigFrame is the size from which a frame is not copied into a batch but written from
// where all clients share it.
const bigFrame = 16 << 10

// Batch is what one write sends. Gather fills either Buf, by appending, or Shared.
type Batch struct {
	Buf      []byte
	Shared   []byte  // one whole frame that must not be changed
	Received []int64 // gateway receive times of the live readings in it, ms
	Messages int
	Readings int
	Alerts   int
}

// Gather adds frames to the batch until it has about room bytes, and reports whether there
// are more.
func (s *Session) Gather(to *Batch, room int) (more bool) {
	b := s.publisher
	b.mu.Lock()
	defer b.mu.Unlock()
	g := gathering{b: b, to: to, room: room}
	for len(s.replies) > 0 {
		if !g.put(kindReply, s.replies[0]) {
			return true
		}
		s.replies[0] = nil
		s.replies = s.replies[1:]
	}
	s.replies = nil
	if sub := s.alerts; sub != nil && s.partsOf != sub.topic && !sub.fresh && !g.deltas(sub, sub.topic.seq) {
		return true
	}
	for g.parts(s) {
		sub := s.next()
		if sub == nil {
			return false
		}
		if !g.addSubscription(s, sub) {
			s.requeue(sub)
			return true
		}
	}
	return true
}

// next pops the oldest subscription with pending frames.
func (s *Session) next() *subscription {
	for len(s.fifo) > 0 {
		sub := s.fifo[0]
		s.fifo[0] = nil
		s.fifo = s.fifo[1:]
		sub.queued = false
		if !sub.gone {
			return sub
		}
	}
	s.fifo = nil
	return nil
}

// enqueue queues a subscription with pending frames. It is called with Publisher.mu held.
func (s *Session) enqueue(sub *subscription) {
	if !sub.queued && !s.over {
		sub.queued = true
		s.fifo = append(s.fifo, sub)
	}
}

// requeue puts a subscription that is not done back to the front.
func (s *Session) requeue(sub *subscription) {
	sub.queued = true
	s.fifo = append([]*subscription{sub}, s.fifo...)
}

// gathering is one call of Gather.
type gathering struct {
	b    *Publisher
	to   *Batch
	room int
}

// put adds a frame, or returns false when there is no room.
func (g *gathering) put(k kind, frame []byte) bool {
	switch {
	case g.to.Shared != nil || len(g.to.Buf) >= g.room:
		return false
	case len(frame) < bigFrame:
		g.to.Buf = append(g.to.Buf, frame...)
	case len(g.to.Buf) > 0:
		return false
	default:
		g.to.Shared = frame
	}
	g.to.Messages++
	g.b.metrics.sent(k, len(frame))
	return true
}

// parts adds the rest of the snapshot being sent. It returns false when there is no room.
func (g *gathering) parts(s *Session) bool {
	for len(s.parts) > 0 {
		if !g.put(s.partsOf.kind, s.parts[0]) {
			return false
		}
		s.parts = s.parts[1:]
	}
	s.parts, s.partsOf = nil, nil
	return true
}

// addSubscription adds the pending frames of a subscription. It returns false when there is
// no room for all.
func (g *gathering) addSubscription(s *Session, sub *subscription) bool {
	t := sub.topic
	if !sub.fresh {
		return g.news(sub)
	}
	if !t.usable(sub) {
		sub.askSnapshot() // Run queues the subscription when it is made
		return true
	}
	if t.kind == kindAlerts && sub.started && !g.deltas(sub, t.snapshot.seq) {
		return false
	}
	sub.fresh, sub.started, sub.sent = false, true, t.snapshot.seq
	s.parts, s.partsOf = t.snapshot.frames, t
	sub.exempt = t.log.total
	return g.parts(s) && g.news(sub)
}

// news adds the deltas that a client has not got yet. One that is too far behind gets a
// lagged message and the newest delta or a fresh snapshot.
func (g *gathering) news(sub *subscription) bool {
	t := sub.topic
	if first := t.log.first(t.seq); sub.sent+1 < first && t.kind != kindAlerts {
		dropped := t.seq - sub.sent
		if t.whole() {
			dropped = first - 1 - sub.sent
		}
		if !g.put(t.kind, laggedFrame(t, dropped)) {
			return false
		}
		g.b.metrics.lag(t.kind, dropped)
		sub.sent += dropped
		if !t.whole() {
			sub.askSnapshot()
			return true
		}
	}
	return g.deltas(sub, t.seq)
}

// deltas adds the deltas up to a number.
func (g *gathering) deltas(sub *subscription, upTo uint64) bool {
	t := sub.topic
	if t.kind == kindAlerts && sub.started && sub.sent+1 < t.log.first(t.seq) {
		sub.session.client.TooSlow("too slow: alerts were not taken")
		return true
	}
	for sub.started && sub.sent < upTo {
		e := t.log.after(sub.sent, t.seq)
		if e == nil {
			return true
		}
		if !g.put(t.kind, e.frame) {
			return false
		}
		sub.sent = e.seq
		g.count(t.kind, e)
	}
	return true
}

// count counts alerts and readings for the fan-out's metrics.
func (g *gathering) count(k kind, e *entry) {
	if k == kindAlerts {
		g.to.Alerts++
	}
	if k == kindDevice {
		g.to.Readings++
	}
	if e.received != 0 {
		g.to.Received = append(g.to.Received, e.received)
	}
}

// askSnapshot makes the subscription wait for a snapshot: the one at hand if nothing has
// changed since, else one that Run makes. It is called with Publisher.mu held.
func (sub *subscription) askSnapshot() {
	t, b := sub.topic, sub.session.publisher
	sub.fresh = true
	if t.current(b.model.Now()) {
		sub.want = t.snapshot.number
		sub.session.enqueue(sub)
		sub.session.client.Wake(true)
		return
	}
	sub.want = t.made + 1
	if !t.wanted {
		t.wanted = true
		b.wanted = append(b.wanted, t)
	}
	b.poke()
}

// behind returns how many bytes of alerts wait for the client, beyond those that were there
// when it came.
func (sub *subscription) behind() int64 {
	l := &sub.topic.log
	return l.total - max(l.reached(sub.sent, sub.topic.seq), sub.exempt)
}
