package ingest

import (
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/edge/internal/mapping"
)

// mappedSubjects are the subscriptions to subjects that have a mapping. They follow the
// mappings in force.
type mappedSubjects struct {
	n      *NATSIntake
	mapper Mapper
	stop   chan struct{}
	done   chan struct{} // closed when follow has ended

	mu       sync.Mutex
	subjects []string // in force
	queues   map[string]*natsQueue
}

func (n *NATSIntake) followMappings(m Mapper) *mappedSubjects {
	s := &mappedSubjects{n: n, mapper: m, stop: make(chan struct{}), done: make(chan struct{}), queues: map[string]*natsQueue{}}
	subjects, changed := m.Subjects()
	s.set(subjects)
	go s.follow(changed)
	return s
}

// follow changes the subscriptions when other mappings are in force.
func (s *mappedSubjects) follow(changed <-chan struct{}) {
	defer close(s.done)
	for {
		select {
		case <-changed:
		case <-s.stop:
			return
		}
		var subjects []string
		subjects, changed = s.mapper.Subjects()
		s.set(subjects)
	}
}

// set subscribes to subjects and ends the other subscriptions. One that fails is tried
// again with the next change.
func (s *mappedSubjects) set(subjects []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subjects = subjects
	for subject, q := range s.queues {
		if !slices.Contains(subjects, subject) {
			if err := q.sub.Drain(); err != nil {
				s.n.log.Warn("ending the subscription to a mapped subject failed", "subject", subject, "err", err)
			}
			delete(s.queues, subject)
		}
	}
	for _, subject := range subjects {
		if s.queues[subject] != nil {
			continue
		}
		q := &natsQueue{n: s.n}
		if err := q.subscribe(subject, func(msg *nats.Msg) { s.receive(q, subject, msg) }); err != nil {
			s.n.log.Error("subscribing to a mapped subject failed, its messages are not received", "subject", subject, "err", err)
			continue
		}
		s.queues[subject] = q
	}
}

// receive takes a message of a subscription. Of several whose subjects match, the first
// takes it.
func (s *mappedSubjects) receive(q *natsQueue, subject string, msg *nats.Msg) {
	s.mu.Lock()
	i := slices.IndexFunc(s.subjects, func(x string) bool { return server.SubjectMatchesFilter(msg.Subject, x) })
	first := i < 0 || s.subjects[i] == subject
	s.mu.Unlock()
	if !first {
		return
	}
	if d := s.n.o.Devices; d != nil {
		q.check.sender, q.check.may = msg.Subject, func(device string) bool { return d.Maps(msg.Subject, device) }
	}
	q.offer(msg, func(m *Message, encoding string) bool {
		return q.check.other(m, s.mapper, mapping.Subjects, msg.Subject, msg.Data, encoding)
	})
	q.check.release()
}

// drain ends the subscriptions and returns the first error.
func (s *mappedSubjects) drain() (err error) {
	close(s.stop)
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		if e := q.sub.Drain(); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// begin returns the queue's message for msg, without its content.
func (q *natsQueue) begin(msg *nats.Msg) *Message {
	m := &q.msg
	m.Received = time.Now()
	m.ID, m.asked = "", nil
	m.Ticket = Ticket{Protocol: NATS, Reply: msg.Reply}
	if msg.Reply != "" {
		m.Ticket.To = q.n
	}
	return m
}
