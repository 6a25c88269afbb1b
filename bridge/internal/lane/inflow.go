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
	// minBytes is what a request for packs allows at first; a larger pack makes it grow.
	minBytes = 1 << 20
	// envelope is what a message needs beyond its payload.
	envelope = 4 << 10
	// largestPack is what a request allows at most where the hub lets only smaller messages
	// through.
	largestPack = 4 << 20
)

// errEnded says that a gateway's server does not serve our consumer any more.
var errEnded = errors.New("the gateway's server ended the delivery")

// inflow takes the packs of one consumer as they come. It asks for the next ones while half
// of those before are still to come, so that neither end waits for the other; the library's
// own iterator asks anew only when everything has come, or for as much as it first did. It
// is for one goroutine.
type inflow struct {
	nc    *nats.Conn
	next  string // subject of requests
	inbox string
	sub   *nats.Subscription
	msgs  chan *nats.Msg
	alarm *time.Timer

	open int // packs asked for that did not come yet
	room int // bytes that a request allows at least
}

// inflow begins to take the packs of a consumer. Nothing is asked for yet.
func (s source) inflow(cons jetstream.Consumer) (*inflow, error) {
	return newInflow(s.nc, fmt.Sprintf("$JS.%s.API.CONSUMER.MSG.NEXT.%s.%s",
		wire.Domain(s.gateway), wire.PackStream(s.gateway), cons.CachedInfo().Name))
}

func newInflow(nc *nats.Conn, next string) (*inflow, error) {
	f := &inflow{
		nc: nc, next: next, inbox: nc.NewInbox(), room: minBytes,
		// What is open is bounded by maxWindow; the rest is for signs of life. What does not
		// fit all the same is dropped and shows as a jump in the sequence.
		msgs: make(chan *nats.Msg, 2*maxWindow),
	}
	var err error
	if f.sub, err = nc.ChanSubscribe(f.inbox, f.msgs); err != nil {
		return nil, fmt.Errorf("asking for packs: %w", err)
	}
	f.alarm = time.NewTimer(time.Hour)
	return f, nil
}

// stop ends the taking. What is on its way is thrown away.
func (f *inflow) stop() {
	f.alarm.Stop()
	_ = f.sub.Unsubscribe() // fails only when the connection is closed
}

// take returns the next pack. It fails with jetstream.ErrNoHeartbeat when the gateway gives
// no sign of life.
func (f *inflow) take(ctx context.Context, w window) (*nats.Msg, error) {
	f.alarm.Reset(2 * w.heartbeat)
	for {
		if err := f.ask(w); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.alarm.C:
			return nil, jetstream.ErrNoHeartbeat
		case msg := <-f.msgs:
			if len(msg.Data) > 0 || len(msg.Header) == 0 {
				f.open = max(0, f.open-1)
				return msg, nil
			}
			if err := f.status(msg.Header); err != nil {
				return nil, err
			}
			f.alarm.Reset(2 * w.heartbeat)
		}
	}
}

// request is what the server reads.
type request struct {
	Expires   time.Duration `json:"expires"`
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

// ask asks for more unless more than half of a window is still to come.
func (f *inflow) ask(w window) error {
	n := w.packs - f.open
	if f.open > w.packs/2 || n < 1 {
		return nil
	}
	data, err := json.Marshal(request{Expires: pullExpiry, Batch: n, MaxBytes: max(f.room, w.bytes), Heartbeat: w.heartbeat})
	if err == nil {
		err = f.nc.PublishRequest(f.next, f.inbox, data)
	}
	if err != nil {
		return fmt.Errorf("asking for packs: %w", err)
	}
	f.open += n
	return nil
}

// status takes what the server says about a request: that it is alive, or that the request
// is over, and how much of it was not delivered.
func (f *inflow) status(h nats.Header) error {
	const alive, timeout, conflict = "100", "408", "409"
	code, text := h.Get("Status"), h.Get("Description")
	left, err := strconv.Atoi(h.Get("Nats-Pending-Messages"))
	switch {
	case code == alive:
		return nil
	case (code != timeout && code != conflict) || err != nil || text == "Server Shutdown":
		return fmt.Errorf("%w: %s %s", errEnded, code, text)
	}
	f.open = max(0, f.open-left)
	if code == conflict && left > 0 {
		f.grow(h.Get("Nats-Pending-Bytes"))
	}
	return nil
}

// grow makes room for a pack that did not fit into a request with so many bytes left.
func (f *inflow) grow(left string) {
	if n, err := strconv.Atoi(left); err == nil && n >= f.room {
		f.room = min(2*f.room, max(largestPack, int(f.nc.MaxPayload()))+envelope)
	}
}
