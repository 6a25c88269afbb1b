package publisher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/wire"
)

// phase of a sender's current message.
type phase uint8

const (
	idle     phase = iota // no current message
	inFlight              // sent, not answered
	waiting               // to be sent again
)

// state of one sender: a device, or a concentrator. Its current message is identified by the
// time and encoded for each attempt, since the fleet makes the same bytes for the same time.
type state struct {
	timestamp int64         // of the current message, ms
	last      int64         // newest timestamp of a message
	firstSent time.Duration // since the worker's start
	backlog   []int64       // timestamps of the following messages
	serial    uint32        // number of the current message, to recognise stale answers
	sent      int32         // how often the current message was sent
	tries     int32         // attempts to send it, failed ones included
	phase     phase
	repeating bool // it is acknowledged and was sent again
}

// link is one connection to the gateway. The worker calls send and unanswered with its
// lock held.
type link interface {
	// send sends the current message of a sender. After an error it was certainly not
	// sent.
	send(sender int, serial uint32, payload []byte) error
	// flush writes buffered messages to the network.
	flush()
	// unanswered is called when an answer is overdue.
	unanswered()
	// run connects, reconnects, and closes when ctx ends. It calls attempted after the
	// first attempt to connect, successful or not.
	run(ctx context.Context, attempted func()) error
}

// worker sends for the devices of one building to its gateway.
type worker struct {
	opts     *Options
	log      *slog.Logger
	base     int // number of the worker's first device in the fleet
	devices  int
	subjects []string // or topics, by sender
	links    []link   // sender s uses link s modulo their number

	mu        sync.Mutex
	start     time.Time
	gen       *fleet.Generator
	senders   []state
	made      int64 // messages due that were made or skipped
	buf       []byte
	unflushed []link // sent to since the last flush
	retries   schedule
	deadlines timeouts
	stats     Stats
	latency   *Latency
}

func newWorker(o *Options, building int) *worker {
	from, to := o.Fleet.Block(building)
	w := &worker{
		opts:    o,
		log:     o.Log.With("building", o.Fleet.Buildings()[building], "addr", natsconn.Redact(o.Gateways[building])),
		base:    from,
		gen:     o.Fleet.Generator(),
		latency: NewLatency(),
		devices: to - from,
		senders: make([]state, (to-from+o.Batch-1)/o.Batch),
	}
	name := namer(o)
	for s := range w.senders {
		w.subjects = append(w.subjects, name(o.Fleet.ID(from+s*o.Batch)))
	}
	w.links = newLinks(w, o.Gateways[building])
	return w
}

// namer returns the function that gives the subject or topic of a sender by the id of its
// first device.
func namer(o *Options) func(id string) string {
	switch {
	case o.Protocol == MQTT && o.Batch > 1:
		return wire.ConcentratorTopic
	case o.Protocol == MQTT:
		return wire.TelemetryTopic
	case o.Batch > 1:
		return wire.ConcentratorSubject
	}
	return wire.TelemetrySubject
}

// block returns the devices of a sender, by their numbers in the fleet: from ≤ i < to.
func (w *worker) block(sender int) (from, to int) {
	from = sender * w.opts.Batch
	return w.base + from, w.base + min(from+w.opts.Batch, w.devices)
}

// newLinks returns the worker's links, not yet connected.
func newLinks(w *worker, addr string) []link {
	n, newLink := 1, newNATSLink
	if w.opts.Protocol == MQTT {
		n, newLink = sharedMQTTLinks, newMQTTLink
	}
	if w.opts.PerDevice {
		n = len(w.senders)
	}
	n = min(max(n, len(w.senders)/maxPerLink+1), len(w.senders))
	var links []link
	gate := make(chan struct{}, maxDialling)
	for k := range n {
		links = append(links, newLink(w, addr, k, gate))
	}
	return links
}

const (
	sharedMQTTLinks = 4
	// maxPerLink is how many senders can share a connection: MQTT has 65,535 packet
	// identifiers.
	maxPerLink = 1<<16 - 1
	// maxDialling bounds the concurrent connection attempts of a worker.
	maxDialling = 32
	// maxConnecting is how long the first reading waits for connections.
	maxConnecting = 10 * time.Second
	// maxBatch bounds how many messages are made before the lock is released for answers.
	maxBatch = 64
	// maxBehind is how late readings may be made; later ones are skipped.
	maxBehind = time.Second
	// minPause batches readings at high rates.
	minPause = 2 * time.Millisecond
	maxIdle  = 10 * time.Millisecond
)

// run sends until ctx ends, drains and closes the links.
func (w *worker) run(ctx context.Context, start time.Time) error {
	linkCtx, closeLinks := context.WithCancel(context.WithoutCancel(ctx))
	defer closeLinks()
	var running, attempts sync.WaitGroup
	errs := make(chan error, len(w.links))
	w.start = start
	for _, l := range w.links {
		attempts.Add(1)
		running.Go(func() {
			if err := l.run(linkCtx, sync.OnceFunc(attempts.Done)); err != nil {
				errs <- err
			}
		})
	}
	w.awaitAttempts(ctx, &attempts)
	w.mu.Lock()
	w.made = w.due(w.now()) // readings due before the first connection do not count
	w.mu.Unlock()

	w.loop(ctx, func() bool { return false }, true)
	drain, cancel := context.WithTimeout(linkCtx, w.opts.Drain)
	defer cancel()
	w.loop(drain, w.drained, false)
	closeLinks()
	running.Wait()
	close(errs)
	return <-errs // nil if there is none
}

// awaitAttempts waits until every link has tried to connect, at most maxConnecting.
func (w *worker) awaitAttempts(ctx context.Context, attempts *sync.WaitGroup) {
	all := make(chan struct{})
	go func() {
		attempts.Wait() // ends with the links at the latest
		close(all)
	}()
	select {
	case <-all:
	case <-ctx.Done():
	case <-time.After(maxConnecting):
	}
}

// loop makes readings and resends, until ctx ends or done returns true.
func (w *worker) loop(ctx context.Context, done func() bool, making bool) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if done() {
			return
		}
		timer.Reset(w.step(making))
	}
}

func (w *worker) drained() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats.Open() == 0
}

// step makes and sends the readings due and returns the pause until the next.
func (w *worker) step(making bool) time.Duration {
	now := w.now()
	w.housekeeping(now)
	if !making {
		return maxIdle
	}
	for stop := now + maxIdle; w.batch(w.due(now)); {
		if now = w.now(); now > stop {
			return 0 // behind: let the caller check its context
		}
	}
	return max(minPause, min(w.dueAt(w.made)-w.now(), maxIdle))
}

// housekeeping handles overdue answers and sends the resends that are due.
func (w *worker) housekeeping(now time.Duration) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	for a, ok := w.deadlines.due(now); ok; a, ok = w.deadlines.due(now) {
		if s := &w.senders[a.sender]; s.phase == inFlight && s.serial == a.serial && s.tries == a.attempts {
			w.stats.Timeouts++
			w.wait(int(a.sender))
			w.link(int(a.sender)).unanswered()
		}
	}
	for a, ok := w.retries.due(now); ok; a, ok = w.retries.due(now) {
		if s := &w.senders[a.sender]; s.phase == waiting && s.serial == a.serial {
			w.stats.Waiting -= w.open(int(a.sender))
			w.send(int(a.sender))
		}
	}
}

// batch makes the next messages due, at most maxBatch, and reports whether some are left.
// A message's timestamp is the time at which it was due, so that measured ages include
// delays of this program.
func (w *worker) batch(due int64) bool {
	w.mu.Lock()
	defer w.unlockAndFlush()
	n := int64(len(w.senders))
	allowed := max(1, int64(maxBehind/w.opts.Interval))
	if behind := (due - w.made) / n; behind > allowed {
		w.stats.Skipped += uint64(behind) * uint64(w.devices)
		w.made += behind * n
	}
	start := time.Now().Add(-w.now()) // by the current wall clock
	for end := min(due, w.made+maxBatch); w.made < end; w.made++ {
		w.makeMessage(int(w.made%n), start.Add(w.dueAt(w.made)).UnixMilli())
	}
	return w.made < due
}

// due returns how many messages are due until now, since the start of the run.
func (w *worker) due(now time.Duration) int64 {
	n, interval := int64(len(w.senders)), int64(w.opts.Interval)
	return int64(now)/interval*n + int64(now)%interval*n/interval
}

// dueAt returns when message k (from 0) is due.
func (w *worker) dueAt(k int64) time.Duration {
	n, interval := int64(len(w.senders)), int64(w.opts.Interval)
	return time.Duration((k+1)/n*interval + (k+1)%n*interval/n)
}

func (w *worker) now() time.Duration { return time.Since(w.start) }

func (w *worker) link(sender int) link { return w.links[sender%len(w.links)] }

// unlockAndFlush releases the lock and then flushes, which may block on the network.
func (w *worker) unlockAndFlush() {
	unflushed := w.unflushed
	w.unflushed = nil
	w.mu.Unlock()
	for _, l := range unflushed {
		l.flush()
	}
}
