package dashboard

import (
	"encoding/json"
	"maps"
	"slices"
)

// Client is the connection of a session.
type Client interface {
	// Wake is called when Gather has frames; an urgent one interrupts a pause of the
	// writer. It must not block.
	Wake(urgent bool)
	// TooSlow ends the connection with 4008. It must not block.
	TooSlow(why string)
	// Present is called with the name of the operator at the screen. It must not block.
	Present(name string)
	// Screen is called with what the screen reports of itself, which may be anything. It must not
	// block.
	Screen(report []byte)
	// Command starts an operator's command; answer is called with its result, a JSON
	// object. An error that is not a *RequestError is internal. It must not block.
	Command(command json.RawMessage, answer func(result any)) error
}

// ClientLimits are reported in hello, with the publisher's own limits.
type ClientLimits struct {
	MessageBytes      int
	MessagesPerSecond float64
}

// Session holds one client's topics and its position in them. Its methods may be called
// concurrently; its fields are guarded by Publisher.mu.
type Session struct {
	publisher *Publisher
	client    Client

	subs    map[string]*subscription
	alerts  *subscription
	fifo    []*subscription // that have something, each once
	replies [][]byte
	parts   [][]byte // of a snapshot that is being sent
	partsOf *topic
	over    bool
}

// subscription is one client's place in one topic.
type subscription struct {
	session *Session
	topic   *topic
	place   int // in topic.subs

	sent    uint64 // number of the last delta the client got, or that its snapshot holds
	started bool   // it got a snapshot, or resumed
	fresh   bool   // it is to get a snapshot
	want    uint64 // which one at least
	exempt  int64  // bytes of alerts up to which nothing counts as waiting, see behind
	queued  bool
	gone    bool
}

type helloLimits struct {
	Topics            int     `json:"topics"`
	MessageBytes      int     `json:"message_bytes"`
	MessagesPerSecond float64 `json:"messages_per_second"`
	FrameBytes        int     `json:"frame_bytes"`
}

// Caller is who is at a client, as far as it was proved.
type Caller struct {
	// Operator is their name, empty if it is not known.
	Operator string `json:"operator,omitempty"`
	// Permissions are what they may do; nil: everything, without sign-in.
	Permissions []string `json:"permissions,omitempty"`
}

// Open returns a session for a new client. Hello waits in it, with who is there.
func (p *Publisher) Open(c Client, l ClientLimits, who Caller) *Session {
	s := &Session{publisher: p, client: c, subs: make(map[string]*subscription)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients++
	s.reply(struct {
		Type       string `json:"type"`
		Session    string `json:"session"`
		Epoch      string `json:"epoch"`
		ServerTime int64  `json:"server_time"`
		Caller
		Insecure []string    `json:"insecure,omitempty"`
		Limits   helloLimits `json:"limits"`
	}{
		typeHello, randomHex(), p.epoch, p.model.Now(), who, p.opts.Insecure,
		helloLimits{p.limits.Topics, l.MessageBytes, l.MessagesPerSecond, p.limits.FrameBytes},
	})
	return s
}

// Close ends everything the session follows and frees its queues. A second call does
// nothing.
func (s *Session) Close() {
	p := s.publisher
	p.model.View(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.over {
			return
		}
		s.over = true
		p.clients--
		for _, sub := range s.subs {
			s.drop(sub)
		}
		s.subs, s.alerts, s.fifo, s.replies, s.parts, s.partsOf = nil, nil, nil, nil, nil, nil
	})
}

// drop ends one subscription.
func (s *Session) drop(sub *subscription) {
	sub.gone = true
	sub.topic.remove(sub)
	s.publisher.release(sub.topic)
	delete(s.subs, sub.topic.name)
	if s.alerts == sub {
		s.alerts = nil
	}
	if s.partsOf == sub.topic {
		s.parts, s.partsOf = nil, nil
	}
}

// Handle does what a client's message asks for and queues the answer. It returns whether the
// message was accepted and how many messages' worth of work it was beside the one.
func (s *Session) Handle(data []byte) (cost float64, ok bool) {
	req, err := parseRequest(data)
	if err == nil {
		err = s.apply(&req)
	}
	for _, name := range req.names {
		cost += name.cost(req.Type)
	}
	if err == nil {
		return cost, true
	}
	s.refuse(req.ID, refused(err))
	return cost, false
}

// cost is what asking for a topic counts for: some have a snapshot of a megabyte.
func (n topicName) cost(request string) float64 {
	if request == typeSubscribe && (n.kind == kindFleet || n.kind == kindSensor || n.kind == kindFact || n.kind == kindAlerts) {
		return 5
	}
	return 0.01
}

func (s *Session) refuse(id string, r *RequestError) {
	s.publisher.mu.Lock()
	defer s.publisher.mu.Unlock()
	s.reply(struct {
		Type    string `json:"type"`
		ID      string `json:"id,omitempty"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}{typeError, id, r.Code, r.Message})
}

// reply queues an answer. It is called with Publisher.mu held.
func (s *Session) reply(v any) {
	s.replyFrame(replyFrame(v))
}

// replyFrame is reply of a message that is a frame already.
func (s *Session) replyFrame(frame []byte) {
	switch {
	case s.over:
		return
	case len(s.replies) >= s.publisher.limits.Replies:
		s.client.TooSlow("too slow: answers were not taken")
		return
	}
	s.replies = append(s.replies, frame)
	s.client.Wake(true)
}

func (s *Session) apply(req *request) error {
	b := s.publisher
	var err error
	switch req.Type {
	case typeSubscribe:
		b.model.View(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			err = s.subscribe(req)
		})
	case typeUnsubscribe:
		b.model.View(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			s.unsubscribe(req)
		})
	case typePing:
		if len(req.Screen) > 0 {
			s.client.Screen(req.Screen)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		s.reply(struct {
			Type       string `json:"type"`
			ID         string `json:"id,omitempty"`
			ServerTime int64  `json:"server_time"`
		}{typePong, req.ID, b.model.Now()})
	case typePresent:
		s.client.Present(req.Name)
	case typeCommand:
		id := req.ID
		return s.client.Command(req.Command, func(result any) { s.answer(id, result) })
	}
	return err
}

// ack is the answer to subscribe and unsubscribe.
type ack struct {
	Type      string          `json:"type"`
	ID        string          `json:"id,omitempty"`
	Topics    []string        `json:"topics"`
	Recovered map[string]bool `json:"recovered,omitempty"`
}

func (s *Session) subscribe(req *request) error {
	if s.over {
		return nil
	}
	b, n := s.publisher, len(s.subs)
	answer := ack{Type: typeAck, ID: req.ID, Topics: make([]string, 0, len(req.names))}
	for _, name := range req.names {
		if s.subs[name.name] == nil {
			n++
		}
		answer.Topics = append(answer.Topics, name.name)
	}
	if n > b.limits.Topics {
		return tooMany(n, b.limits.Topics)
	}
	for _, name := range req.names {
		recovered, asked := s.follow(name, req.Resume)
		if asked {
			if answer.Recovered == nil {
				answer.Recovered = make(map[string]bool)
			}
			answer.Recovered[name.name] = recovered
		}
	}
	s.reply(answer)
	return nil
}

// follow subscribes to one topic, or asks for a fresh snapshot of one that is followed
// already. asked says that the client wants to go on where it was, recovered that it can.
func (s *Session) follow(name topicName, r *resume) (recovered, asked bool) {
	b := s.publisher
	sub := s.subs[name.name]
	var from uint64
	if r != nil {
		from, asked = r.Seq[name.name]
	}
	if sub == nil {
		t := b.topicFor(name)
		sub = &subscription{session: s, topic: t}
		s.subs[name.name] = sub
		t.add(sub)
		if t.kind == kindAlerts {
			s.alerts = sub
		}
		recovered = asked && t.kind == kindAlerts && r.Epoch == b.epoch && from <= t.seq && from+1 >= t.log.first(t.seq)
	}
	if recovered {
		sub.sent, sub.started, sub.exempt = from, true, sub.topic.log.total
		s.enqueue(sub)
		s.client.Wake(true)
		return true, true
	}
	sub.askSnapshot()
	return false, asked
}

func (s *Session) unsubscribe(req *request) {
	if s.over {
		return
	}
	answer := ack{Type: typeAck, ID: req.ID, Topics: make([]string, 0, len(req.names))}
	for _, name := range req.names {
		answer.Topics = append(answer.Topics, name.name)
		if sub := s.subs[name.name]; sub != nil {
			s.drop(sub)
		}
	}
	s.reply(answer)
}

// answer sends the result of a command with the id of the request in it.
func (s *Session) answer(id string, result any) {
	b := s.publisher
	fields := b.encode(result)
	if len(fields) < 2 || fields[0] != '{' {
		fields = []byte("{}")
	}
	text := append([]byte(`{"type":"command_result","id":`), b.encode(id)...)
	var named map[string]json.RawMessage
	if json.Unmarshal(fields, &named) == nil {
		delete(named, "type")
		delete(named, "id")
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		text = append(append(append(text, ','), b.encode(name)...), ':')
		text = append(text, named[name]...)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.replyFrame(TextFrame(append(text, '}')))
}
