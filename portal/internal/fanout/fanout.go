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
	"industrial-iot-monitor/portal/internal/state"
)

// Limits of a hub. A zero field takes the default.
type Limits struct {
	Connections   int           // open connections; default 1000
	PerAddress    int           // of these, from one IP address that is not this machine's own; 0: no limit
	Subscriptions int           // device ids a client may list; default 10,000
	MessageBytes  int           // longest message of a client; default 64 KiB
	RecentBytes   int           // for the readings of the last minute, see package recent; default 128 MiB, below 0: none
	Alerts        int           // alerts that may wait for a client, beyond those active when it subscribed; default 10,000
	PingEvery     time.Duration // default 25 s
	SilentFor     time.Duration // nothing heard for this long ends a connection with 4012; default 60 s
	StalledFor    time.Duration // nothing taken for this long ends a connection with 4008; default 10 s
	LastWords     time.Duration // how long the close frame of a stalled connection may take; default 5 s
	RatePerSecond float64       // messages a client may send, on average; default 50
	RateBurst     float64       // and at once; default 500
}

func (l Limits) withDefaults() Limits {
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	num := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
	}
	num(&l.Connections, 1000)
	num(&l.Subscriptions, 10_000)
	num(&l.MessageBytes, 64<<10)
	num(&l.RecentBytes, 128<<20)
	num(&l.Alerts, 10_000)
	def(&l.PingEvery, 25*time.Second)
	def(&l.SilentFor, 60*time.Second)
	def(&l.StalledFor, 10*time.Second)
	def(&l.LastWords, 5*time.Second)
	if l.RatePerSecond == 0 {
		l.RatePerSecond = 50
	}
	if l.RateBurst == 0 {
		l.RateBurst = 500
	}
	return l
}

// Options of a hub. Model, Log and Registry are required. Without a Board the hub does not
// speak the dashboard's dialect.
type Options struct {
	Model     *state.Model
	Log       *slog.Logger
	Registry  prometheus.Registerer
	Publisher *dashboard.Publisher
	Limits    Limits
}

// Broadcaster owns the open connections.
type Broadcaster struct {
	model     model
	publisher *dashboard.Publisher // nil: the simple dialect alone
	log       *slog.Logger
	limits    Limits
	router    *router
	recent    *recent.Store
	pacer     *pacer
	counts    counters
	batches   sync.Pool // of *batch

	mu       sync.Mutex
	clients  map[*client]struct{}
	from     map[netip.Addr]int // clients by address, see Visitor
	stopping bool
	running  sync.WaitGroup // Serve calls
	open     atomic.Int64   // clients in the map
	refusing atomic.Int64   // connections being turned away

	meterMu sync.Mutex
	pushed  meter.Meter // device_data messages written, with their age
}

var errMissing = errors.New("fanout: Model, Log and Registry are required")

// New returns a hub that watches o.Model.
func New(o Options) (*Broadcaster, error) {
	if o.Model == nil || o.Log == nil || o.Registry == nil {
		return nil, errMissing
	}
	b := &Broadcaster{
		model:     o.Model,
		publisher: o.Publisher,
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
	o.Model.Observe(b.router)
	return b, nil
}

// Visitor is what is known of a client before it speaks.
type Visitor struct {
	// From is the address it counts for; where that is not valid it counts for none.
	From netip.Addr
	// Commands takes its alarm commands; nil: they are refused.
	Commands Commands
}

// Serve speaks with one client until the connection ends. The connection is not to be
// used afterwards; the caller closes it.
func (b *Broadcaster) Serve(ws *websocket.Conn, v Visitor) {
	raw := rawConn(ws)
	c, code, reason := b.admit(ws, raw, v.From)
	if c == nil {
		b.turnAway(raw, code, reason)
		return
	}
	defer b.running.Done()
	ctx, cancel := context.WithCancel(context.Background()) // ends with the connection
	defer cancel()
	if v.Commands != nil {
		c.commands = func(raw json.RawMessage) any { return v.Commands(ctx, raw) }
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write()
	}()
	c.read()
	cancel()
	<-written
	c.workers.Wait()
	b.forget(c)
}

// admit registers a connection, or tells with which close code to refuse it.
func (b *Broadcaster) admit(ws *websocket.Conn, raw rawSocket, from netip.Addr) (c *client, code int, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stopping:
		return nil, CloseShutdown, "shutting down"
	case len(b.clients) >= b.limits.Connections:
		return nil, CloseLimit, "connection limit reached"
	case !b.roomFrom(from):
		return nil, CloseLimit, "connection limit of this address reached"
	}
	c = newClient(b, ws, raw)
	c.from = from
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

func (b *Broadcaster) forget(c *client) {
	b.detach(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.clients, c)
	b.count(c, -1)
	b.counts.ended(c)
	b.open.Store(int64(len(b.clients)))
}

// mostRefusing bounds the connections that are being told why they are refused; beyond
// it they are dropped without a word.
const mostRefusing = 256

// turnAway ends a connection that was not admitted.
func (b *Broadcaster) turnAway(raw rawSocket, code int, reason string) {
	b.counts.closed(code)
	defer b.refusing.Add(-1)
	if b.refusing.Add(1) > mostRefusing {
		return
	}
	_ = raw.SetDeadline(time.Now().Add(closeWait)) // what fails here fails the Write below
	if _, err := raw.Write(appendClose(nil, code, reason)); err != nil {
		return
	}
	_ = raw.CloseWrite() // as good as it gets: the client is being turned away
	drain(raw)
}

// Run sends pings and ends silent connections until ctx ends; then it closes every
// connection with 4001 and waits for them, two seconds at most.
func (b *Broadcaster) Run(ctx context.Context) error {
	every := min(max(b.limits.PingEvery/10, 10*time.Millisecond), time.Second)
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

// sweep asks every client that is due for a pong and gives up those that are silent.
func (b *Broadcaster) sweep(now time.Time) {
	for _, c := range b.snapshot() {
		switch {
		case now.Sub(c.lastHeard()) > b.limits.SilentFor:
			c.close(CloseNoPong, "no answer to pings")
		case now.Sub(c.pinged) >= b.limits.PingEvery:
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

// Stats are the hub's figures for the page.
type Stats struct {
	Clients, Limit                int
	Messages, Alerts, Conflated   int64
	Bytes                         int64
	Pushed                        meter.Recent
	ClosedSlow, Refused, Rejected int64
}

// Stats returns the hub's figures.
func (b *Broadcaster) Stats() Stats {
	now := b.model.Now()
	b.meterMu.Lock()
	recent := b.pushed.Recent(now)
	b.meterMu.Unlock()
	return Stats{
		Clients: int(b.open.Load()), Limit: b.limits.Connections,
		Messages: b.counts.readings.Load(), Alerts: b.counts.alerts.Load(),
		Conflated: b.counts.conflated.Load(), Bytes: b.counts.bytes.Load(), Pushed: recent,
		ClosedSlow: b.counts.slow.Load(), Refused: b.counts.limit.Load(), Rejected: b.counts.rejected.Load(),
	}
}

// pause is how long a writer rests after a write.
func (b *Broadcaster) pause() time.Duration { return b.pacer.pause(b.open.Load()) }
