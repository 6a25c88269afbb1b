package lane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/internal/wire"
)

const (
	// minBytes is the byte limit of the first request; a larger pack makes it grow.
	minBytes = 1 << 20
	// envelope is the size of a message beyond its payload.
	envelope = 4 << 10
	// largestPack is the highest byte limit of a request, unless the hub passes larger
	// messages.
	largestPack = 4 << 20
)

var (
	// errEnded is returned when a gateway's server no longer serves the consumer.
	errEnded = errors.New("the gateway's server ended the delivery")
	// errMissing is returned when packs that the gateway's server sent did not arrive.
	errMissing = errors.New("packs were lost on their way")
)

// prefetcher receives the packs of one consumer. It requests the next ones while half of the
// window is still to come, so that neither end waits for the other. The client library's
// iterator does so too, but with a window fixed when it is opened, and no limit in bytes
// that a larger pack passes (docs/adr/0006). It is for one goroutine.
type prefetcher struct {
	nc      *nats.Conn
	subject string // of requests
	inboxes *inboxes
	inbox   string
	msgs    chan *nats.Msg
	silence *time.Timer

	pending  int    // packs requested and not received
	received uint64 // packs, since the consumer was created
	maxBytes int    // least byte limit of a request
}

// prefetch opens a prefetcher for a consumer. Nothing is requested yet.
func (s source) prefetch(cons jetstream.Consumer) (*prefetcher, error) {
	stream, consumer := wire.PackStream(s.gateway), cons.CachedInfo().Name
	return newPrefetcher(s.inboxes, stream, consumer, fmt.Sprintf("$JS.%s.API.CONSUMER.MSG.NEXT.%s.%s", wire.Domain(s.gateway), stream, consumer))
}

func newPrefetcher(in *inboxes, stream, consumer, requests string) (*prefetcher, error) {
	f := &prefetcher{nc: in.nc, subject: requests, inboxes: in, maxBytes: minBytes}
	var err error
	// At most maxWindow packs are pending; the rest is for status messages. A pack that
	// does not fit is dropped, and found missing by its sequence.
	if f.inbox, f.msgs, err = in.add(stream, consumer, 2*maxWindow); err != nil {
		return nil, err
	}
	f.silence = time.NewTimer(time.Hour)
	return f, nil
}

// stop closes the inbox. Packs on their way are discarded.
func (f *prefetcher) stop() {
	f.silence.Stop()
	f.inboxes.remove(f.inbox)
}

// next returns the next pack. It fails with jetstream.ErrNoHeartbeat when heartbeats are
// missing, and with errMissing when packs are: a line that is cut and repaired at once may
// lose some without any other sign, and the gap in the sequence shows only with the next pack.
func (f *prefetcher) next(ctx context.Context, w window) (*nats.Msg, error) {
	f.silence.Reset(2 * w.heartbeat)
	for {
		if err := f.request(w); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.silence.C:
			return nil, jetstream.ErrNoHeartbeat
		case msg := <-f.msgs:
			if len(msg.Data) > 0 || len(msg.Header) == 0 {
				f.pending = max(0, f.pending-1)
				f.received++
				return msg, nil
			}
			if err := f.status(msg.Header); err != nil {
				return nil, err
			}
			f.silence.Reset(2 * w.heartbeat)
		}
	}
}

// pullRequest is the body of a request to CONSUMER.MSG.NEXT (docs.nats.io, JetStream API reference).
type pullRequest struct {
	Expires   time.Duration `json:"expires"`
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

// request requests more packs unless more than half of the window is pending.
func (f *prefetcher) request(w window) error {
	n := w.packs - f.pending
	if f.pending > w.packs/2 || n < 1 {
		return nil
	}
	data, err := json.Marshal(pullRequest{Expires: pullExpiry, Batch: n, MaxBytes: max(f.maxBytes, w.bytes), Heartbeat: w.heartbeat})
	if err == nil {
		err = f.nc.PublishRequest(f.subject, f.inbox, data)
	}
	if err != nil {
		return fmt.Errorf("requesting packs: %w", err)
	}
	f.pending += n
	return nil
}

// status handles a status message: a heartbeat, or the end of a request with the number of
// packs that were not delivered.
func (f *prefetcher) status(h nats.Header) error {
	const idle, timeout, conflict = "100", "408", "409"
	code, text := h.Get("Status"), h.Get("Description")
	left, err := strconv.Atoi(h.Get("Nats-Pending-Messages"))
	switch {
	case code == idle:
		return f.complete(h)
	case (code != timeout && code != conflict) || err != nil || text == "Server Shutdown":
		return fmt.Errorf("%w: %s %s", errEnded, code, text)
	}
	f.pending = max(0, f.pending-left)
	if code == conflict && left > 0 {
		f.grow(h.Get("Nats-Pending-Bytes"))
	}
	return nil
}

// complete compares the packs received with those that a heartbeat says were sent before it.
// Both take the same way, in order.
func (f *prefetcher) complete(heartbeat nats.Header) error {
	sent, err := strconv.ParseUint(heartbeat.Get("Nats-Last-Consumer"), 10, 64)
	if err == nil && sent > f.received {
		return fmt.Errorf("%w: %d of %d arrived", errMissing, f.received, sent)
	}
	return nil
}

// grow raises the byte limit for a pack that did not fit into the bytes left of a request.
func (f *prefetcher) grow(left string) {
	if n, err := strconv.Atoi(left); err == nil && n >= f.maxBytes {
		f.maxBytes = min(2*f.maxBytes, max(largestPack, int(f.nc.MaxPayload()))+envelope)
	}
}
