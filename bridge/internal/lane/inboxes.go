package lane

import (
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// inboxes receive the packs of all gateways through one subscription. The hub announces every
// subscription to every gateway: with one for each gateway, a thousand gateways would know of a
// million. They are safe for concurrent use; nothing blocks.
type inboxes struct {
	nc *nats.Conn

	mu     sync.Mutex
	prefix string                    // of the subjects, with the dot; "" before the first one is opened
	open   map[string]chan *nats.Msg // by stream and consumer
}

func newInboxes(nc *nats.Conn) *inboxes { return &inboxes{nc: nc, open: map[string]chan *nats.Msg{}} }

// add opens the inbox of a consumer, to be removed, with room for size messages. One that finds
// no room is dropped.
func (in *inboxes) add(stream, consumer string, size int) (subject string, msgs chan *nats.Msg, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.nc.IsClosed() {
		return "", nil, fmt.Errorf("opening an inbox: %w", nats.ErrConnectionClosed)
	}
	if in.prefix == "" {
		prefix := in.nc.NewInbox() + "."
		if _, err := in.nc.Subscribe(prefix+">", func(m *nats.Msg) { in.deliver(prefix, m) }); err != nil { // it ends with the connection
			return "", nil, fmt.Errorf("opening an inbox: %w", err)
		}
		in.prefix = prefix
	}
	name := stream + "." + consumer
	msgs = make(chan *nats.Msg, size)
	in.open[name] = msgs
	return in.prefix + name, msgs, nil
}

// remove closes an inbox. What still arrives for it is discarded.
func (in *inboxes) remove(subject string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.open, strings.TrimPrefix(subject, in.prefix))
}

// deliver passes a message on. A pack has the subject under which its gateway stored it, and names
// its consumer in the subject for acknowledgements; other messages have that of the inbox.
func (in *inboxes) deliver(prefix string, m *nats.Msg) {
	name, ours := strings.CutPrefix(m.Subject, prefix)
	if !ours {
		md, err := m.Metadata()
		if err != nil {
			return
		}
		name = md.Stream + "." + md.Consumer
	}
	in.mu.Lock()
	msgs := in.open[name]
	in.mu.Unlock()
	select {
	case msgs <- m:
	default: // no such inbox, or full
	}
}
