// Package fanout sends changes of the model to WebSocket clients, in two dialects. In the
// simple one of the contract a client subscribes to devices or to all of them, and gets
// device_data and alert messages. Messages of the dashboard's dialect iot.v1.json are made by
// package dashboard; the fan-out delivers them. Alarm commands are executed by the caller of
// Serve. The rest of this comment is about the simple dialect.
//
// Readings are not copied per client. A client has a queue of device numbers; its writer
// looks up each device's newest reading when it writes, so a reading that was not sent in
// time is replaced by its successor (conflation), and a client that stopped reading costs a
// few bytes per device. Alerts are queued in order and never dropped: a client whose alert
// queue is full is closed with 4008.
//
// The model, locked, only notes a change in the router's inbox; the router's goroutine
// distributes it to the queues under locks of the fan-out, so that the model's lock is held
// no longer with a thousand clients than with none. Locks are taken in this order:
// router.mu, the model's, the dashboard's, then client.mu or inbox.mu. A
// subscription gets each device's reading and each open alert exactly once, as snapshot or as
// news.
//
// Serve blocks as long as its connection lives and Run as long as its context; methods that
// the model calls do not block.
package fanout

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/meter"
	"industrial-iot-monitor/portal/internal/recent"
	"industrial-iot-monitor/portal/internal/screens"
	"industrial-iot-monitor/portal/internal/state"
)

// Limits of a broadcaster. Everywhere 0 means the default and a negative number none: no
// limit of connections per address, no memory for recent readings. The other fields have to be
// positive or 0.
type Limits struct {
	Connections       int           // open connections; default 1000
	PerAddress        int           // of these, from one IP address that is not this machine's own; default 200
	Subscriptions     int           // device ids a client may list; default 10,000
	MessageBytes      int           // longest message of a client; default 64 KiB
	RecentBytes       int           // memory for the readings of the last minute, see package recent; default 128 MiB
	Alerts            int           // alerts that may wait for a client, besides those of snapshots; default 10,000
	PingInterval      time.Duration // default 25 s
	PongTimeout       time.Duration // a client silent for this long is closed with 4012; default 60 s
	WriteStallTimeout time.Duration // a client that accepts no byte for this long is closed with 4008; default 10 s
	CloseTimeout      time.Duration // for writing the close frame to a stalled client; default 5 s
	RatePerSecond     float64       // messages a client may send, on average; default 50
	RateBurst         float64       // and at once; default 500
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Connections:       cmp.Or(l.Connections, 1000),
		PerAddress:        cmp.Or(l.PerAddress, 200),
		Subscriptions:     cmp.Or(l.Subscriptions, 10_000),
		MessageBytes:      cmp.Or(l.MessageBytes, 64<<10),
		RecentBytes:       cmp.Or(l.RecentBytes, 128<<20),
		Alerts:            cmp.Or(l.Alerts, 10_000),
		PingInterval:      cmp.Or(l.PingInterval, 25*time.Second),
		PongTimeout:       cmp.Or(l.PongTimeout, 60*time.Second),
		WriteStallTimeout: cmp.Or(l.WriteStallTimeout, 10*time.Second),
		CloseTimeout:      cmp.Or(l.CloseTimeout, 5*time.Second),
		RatePerSecond:     cmp.Or(l.RatePerSecond, 50),
		RateBurst:         cmp.Or(l.RateBurst, 500),
	}
}

// Options of a broadcaster. Model, Log and Registry are required. Without a Publisher only the
// simple dialect is available.
type Options struct {
	Model     *state.Model
	Log       *slog.Logger
	Registry  prometheus.Registerer
	Publisher *dashboard.Publisher
	Screens   *screens.Board // nil: what screens report is ignored
	Limits    Limits
}

// Broadcaster owns the open connections.
type Broadcaster struct {
	model     model
	publisher *dashboard.Publisher // nil: the simple dialect alone
	screens   *screens.Board       // may be nil
	log       *slog.Logger
	limits    Limits
	router    *router
	recent    *recent.Store
	pacer     *pacer
	counts    counters
	batches   sync.Pool // of *batch

	mu        sync.Mutex
	clients   map[*client]struct{}
	from      map[netip.Addr]int // clients by address, see Visitor
	stopping  bool
	running   sync.WaitGroup // Serve calls
	open      atomic.Int64   // clients in the map
	rejecting atomic.Int64   // connections being rejected

	meterMu  sync.Mutex
	pushed   meter.Meter // device_data messages written, with their age
	messages meter.Meter // messages of any kind written
}

var errMissing = errors.New("fanout: Model, Log and Registry are required")

// New returns a broadcaster that observes o.Model.
func New(o Options) (*Broadcaster, error) {
	if o.Model == nil || o.Log == nil || o.Registry == nil {
		return nil, errMissing
	}
	b := &Broadcaster{
		model:     o.Model,
		publisher: o.Publisher,
		screens:   o.Screens,
		log:       o.Log.With("component", "fanout"),
		limits:    o.Limits.withDefaults(),
		clients:   make(map[*client]struct{}),
		from:      make(map[netip.Addr]int),
		batches:   sync.Pool{New: newBatch},
	}
	b.router, b.pacer = newRouter(o.Model, &b.limits, &b.counts), newPacer()
	b.recent = recent.New(int64(b.limits.RecentBytes), o.Model.Now())
	o.Model.SetRecorder(b.recent)
	if err := b.register(o.Registry); err != nil {
		return nil, err
	}
	o.Model.HoldIndexes()
	o.Model.Observe(b.router)
	return b, nil
}

// Visitor holds the facts about a client from its HTTP request.
type Visitor struct {
	// From is the address it counts against; an invalid one counts against none.
	From netip.Addr
	// Caller is who is at it.
	dashboard.Caller

	// Present is called with the name of the operator whenever the client says it; nil: it is ignored. It must
	// not block.
	Present func(name string)
	// Commands executes its alarm commands; nil: they are refused.
	Commands Commands
	// Ended reports whether it may not be connected any more: it is closed with 4003 within a quarter of a second.
	// nil: never. It must not block.
	Ended func() bool
}

// Serve serves one client until the connection ends. The caller closes the connection.
func (b *Broadcaster) Serve(ws *websocket.Conn, v Visitor) {
	raw := rawConn(ws)
	c, code, reason := b.admit(ws, raw, &v)
	if c == nil {
		b.reject(raw, code, reason)
		return
	}
	defer b.running.Done()
	ctx, cancel := context.WithCancel(context.Background()) // ends with the connection
	defer cancel()
	if v.Commands != nil {
		c.commands = func(raw json.RawMessage) any { return v.Commands(ctx, raw) }
	}
	c.present = v.Present
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write()
	}()
	c.read()
	cancel()
	<-written
	c.workers.Wait()
	b.remove(c)
}

// admit registers a connection, or returns the close code to reject it with.
func (b *Broadcaster) admit(ws *websocket.Conn, raw rawSocket, v *Visitor) (c *client, code int, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stopping:
		return nil, CloseShutdown, "shutting down"
	case len(b.clients) >= b.limits.Connections:
		return nil, CloseLimit, "connection limit reached"
	case !b.roomFrom(v.From):
		return nil, CloseLimit, "connection limit of this address reached"
	}
	c = newClient(b, ws, raw, v.Caller)
	c.from, c.ended = v.From, v.Ended
	b.clients[c] = struct{}{}
	b.count(c, 1)
	b.open.Store(int64(len(b.clients)))
	b.running.Add(1)
	return c, 0, ""
}

// detach ends a client's subscriptions and frees its queues.
func (b *Broadcaster) detach(c *client) {
	b.router.mu.Lock()
	b.router.detach(c)
	b.router.mu.Unlock()
	if c.session != nil {
		c.session.Close()
	}
}

func (b *Broadcaster) remove(c *client) {
	b.detach(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.clients, c)
	b.count(c, -1)
	b.counts.ended(c)
	b.open.Store(int64(len(b.clients)))
}

// maxRejecting bounds the connections that are being rejected with a close frame; more are
// dropped without one.
const maxRejecting = 256

// reject closes a connection that was not admitted.
func (b *Broadcaster) reject(raw rawSocket, code int, reason string) {
	b.counts.closed(code)
	defer b.rejecting.Add(-1)
	if b.rejecting.Add(1) > maxRejecting {
		return
	}
	_ = raw.SetDeadline(time.Now().Add(closeWait)) // what fails here fails the Write below
	if _, err := raw.Write(appendClose(nil, code, reason)); err != nil {
		return
	}
	_ = raw.CloseWrite() // best effort: the connection ends anyway
	drain(raw)
}

// Run sends pings and ends silent connections until ctx ends; then it closes every
// connection with 4001 and waits for them, two seconds at most.
func (b *Broadcaster) Run(ctx context.Context) error {
	every := min(max(b.limits.PingInterval/10, 10*time.Millisecond), time.Second/4)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var parts sync.WaitGroup
	parts.Go(func() { b.pacer.run(ctx) })
	defer parts.Wait()
	routing, stopRouting := context.WithCancel(context.WithoutCancel(ctx)) // alerts raised before the end are still sent
	parts.Go(func() { b.router.run(routing) })
	defer stopRouting()
	for {
		select {
		case <-ctx.Done():
			b.stop()
			return nil
		case now := <-tick.C:
			b.sweep(now)
		}
	}
}

// sweep sends the pings that are due, and closes silent clients and those whose session has ended.
func (b *Broadcaster) sweep(now time.Time) {
	for _, c := range b.snapshot() {
		switch {
		case c.ended != nil && c.ended():
			c.close(CloseEnded, "the session has ended: sign in again")
		case now.Sub(c.lastSeenAt()) > b.limits.PongTimeout:
			c.close(CloseNoPong, "no answer to pings")
		case now.Sub(c.pinged) >= b.limits.PingInterval:
			c.pinged = now // only sweep touches it
			c.askForPong()
		}
	}
}

func (b *Broadcaster) snapshot() []*client {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*client, 0, len(b.clients))
	for c := range b.clients {
		out = append(out, c)
	}
	return out
}

// stop closes every connection and waits for them.
func (b *Broadcaster) stop() {
	b.mu.Lock()
	b.stopping = true
	b.mu.Unlock()
	b.router.distribute()
	for _, c := range b.snapshot() {
		c.close(CloseShutdown, "shutting down")
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		b.running.Wait()
	}()
	force := time.NewTimer(2 * time.Second)
	defer force.Stop()
	select {
	case <-gone:
		return
	case <-force.C:
	}
	for _, c := range b.snapshot() {
		_ = c.raw.Close() // unblocks its reader and its writer
	}
	<-gone
}

// Stats are figures for the page.
type Stats struct {
	Clients, Limit                int
	Messages, Alerts, Conflated   int64   // Messages of any kind, in both dialects
	PerSecond                     float64 // of Messages, over the last ten seconds
	Bytes                         int64
	Pushed                        meter.Recent
	ClosedSlow, Refused, Rejected int64
}

// Stats returns the current figures.
func (b *Broadcaster) Stats() Stats {
	now := b.model.Now()
	b.meterMu.Lock()
	recent, perSecond := b.pushed.Recent(now), b.messages.Recent(now).PerSecond
	b.meterMu.Unlock()
	messages := int64(0)
	for i := range b.counts.dialects {
		messages += b.counts.dialects[i].messages.Load()
	}
	return Stats{
		Clients: int(b.open.Load()), Limit: b.limits.Connections,
		Messages: messages, PerSecond: perSecond, Alerts: b.counts.alerts.Load(),
		Conflated: b.counts.conflated.Load(), Bytes: b.counts.bytes.Load(), Pushed: recent,
		ClosedSlow: b.counts.slow.Load(), Refused: b.counts.limit.Load(), Rejected: b.counts.rejected.Load(),
	}
}

// pause is how long a writer waits after a write.
func (b *Broadcaster) pause() time.Duration { return b.pacer.pause(b.open.Load()) }
