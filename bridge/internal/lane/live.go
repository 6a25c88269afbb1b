package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

const (
	// liveCheckEvery is how often Live checks whether a gateway needs a scout.
	liveCheckEvery = 200 * time.Millisecond
	// behindPacks is the backlog that counts as large, in packs.
	behindPacks = 64
	// behindFor is how long a gateway's newest pack may wait for the lane that reads the
	// gateway.
	behindFor = time.Second
	// heldFor is how long the lane may hold its puller up before it counts as not reading.
	heldFor = 100 * time.Millisecond
	// maxDue is how many gateways may wait to be checked at once.
	maxDue = 64
	// freshBeat is how old the heartbeat of a gateway may be that a scout is started for.
	freshBeat = 5 * time.Second
)

// Live is the bridge's part of the live path: it sends each pack to core's live stage as soon
// as the bridge has it, for screens only. Usually that is when a lane receives the pack on
// its way to Kafka. Where lanes do not read, because Kafka is away or a backlog is in front,
// a scout reads the gateway's newest packs. Sending is best effort and never waits; the same
// packs are in Kafka in the end. It is safe for concurrent use. Only Run blocks.
type Live struct {
	o       LiveOptions
	log     *slog.Logger
	metrics *liveMetrics

	due      chan *liveGateway // check it at once
	mu       sync.Mutex
	gateways map[string]*liveGateway
	inboxes  map[*nats.Conn]*inboxes
}

// LiveOptions are the options of a Live. All but Tracer are required.
type LiveOptions struct {
	NATS *nats.Conn // into the plant's account
	// Line returns the connection by which a gateway's stream is read, an error if there is none
	// yet. It may be the same one for all.
	Line     func(gateway string) (*nats.Conn, error)
	Roster   *roster.Roster
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   *tracing.Tracer // nil: packs are not followed
	// Serves reports whether this bridge is the one that sends the packs of a gateway.
	Serves func(gateway string) bool
}

type liveMetrics struct {
	sent, tooLarge prometheus.Counter
	scouts         prometheus.Gauge
}

// NewLive returns a Live.
func NewLive(o LiveOptions) (*Live, error) {
	if o.NATS == nil || o.Line == nil || o.Roster == nil || o.Log == nil || o.Registry == nil || o.Serves == nil {
		return nil, errors.New("lane: LiveOptions.NATS, Line, Roster, Log, Registry and Serves are required")
	}
	packs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_live_packs_total",
		Help: "Packs for the live path by result: sent, or too_large for the max_payload of an external hub.",
	}, []string{"result"})
	m := &liveMetrics{
		sent: packs.WithLabelValues("sent"), tooLarge: packs.WithLabelValues("too_large"),
		scouts: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_live_scouts", Help: "Gateways whose newest packs are read for the live path apart from their lane.",
		}),
	}
	o.Registry.MustRegister(packs, m.scouts)
	return &Live{
		o: o, log: o.Log.With("component", "live"), metrics: m, gateways: make(map[string]*liveGateway), due: make(chan *liveGateway, maxDue),
		inboxes: make(map[*nats.Conn]*inboxes),
	}, nil
}

// Run starts scouts where they are needed, until ctx ends.
func (l *Live) Run(ctx context.Context) error {
	var scouts sync.WaitGroup
	defer scouts.Wait()
	tick := time.NewTicker(liveCheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := time.Now()
			for _, s := range l.o.Roster.Statuses() {
				l.scout(ctx, &scouts, l.gateway(s.Gateway), s.LastSeq, now)
			}
		case g := <-l.due:
			l.scout(ctx, &scouts, g, l.o.Roster.Latest(g.id).LastSeq, time.Now())
		}
	}
}

// scout starts a scout if a gateway needs one. heard is its newest sequence by its heartbeat.
func (l *Live) scout(ctx context.Context, scouts *sync.WaitGroup, g *liveGateway, heard uint64, now time.Time) {
	if g.wants(heard, now) && l.o.Serves(g.id) && l.o.Roster.Listed(g.id, freshBeat) && g.claim() {
		scouts.Go(func() { defer g.release(); newScout(l, g).run(ctx) })
	}
}

// check makes Run check now whether a gateway needs a scout. With many at once, some wait for
// the next round.
func (l *Live) check(g *liveGateway) {
	select {
	case l.due <- g:
	default:
	}
}

// gateway returns the state of a gateway.
func (l *Live) gateway(id string) *liveGateway {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gateways[id]
	if g == nil {
		g = &liveGateway{id: id, subject: wire.FreshSubject(id)}
		l.gateways[id] = g
	}
	return g
}

// source returns the source of a gateway's packs. Sources on one connection share its inboxes.
func (l *Live) source(gateway string) (source, error) {
	nc, err := l.o.Line(gateway)
	if err != nil {
		return source{}, fmt.Errorf("no line to the gateway: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.inboxes[nc]
	if in == nil {
		in = newInboxes(nc)
		l.inboxes[nc] = in
	}
	return source{nc: nc, inboxes: in, gateway: gateway}, nil
}

// send sends a pack unless it was sent already. It fails only when the connection is closed.
func (l *Live) send(g *liveGateway, seq, epoch uint64, msg *nats.Msg) error {
	if !g.note(seq, epoch) {
		return nil
	}
	span := l.o.Tracer.Continue("forward pack", msg.Header)
	defer span.End()
	if span != nil {
		span.Set(attribute.String("iot.gateway", g.id), attribute.Int64("iot.seq", int64(seq)))
	}
	switch err := l.publish(g.subject, msg.Data, span); {
	case errors.Is(err, nats.ErrMaxPayload): // the limit of an external hub
		l.metrics.tooLarge.Inc()
	case err != nil:
		return fmt.Errorf("sending a pack to screens: %w", err)
	default:
		l.metrics.sent.Inc()
	}
	return nil
}

// publish publishes a pack. Only that of a traced pack has headers.
func (l *Live) publish(subject string, data []byte, span *tracing.Span) error {
	if span == nil {
		return l.o.NATS.Publish(subject, data)
	}
	return l.o.NATS.PublishMsg(&nats.Msg{Subject: subject, Data: data, Header: span.Header()})
}

// liveGateway is what Live knows of a gateway.
type liveGateway struct {
	id, subject string

	mu     sync.Mutex
	sent   spans
	epochs []uint64 // of the packs sent, the newest last
	// The lane's puller.
	reading bool
	last    uint64    // the stream's newest sequence when it began
	reached uint64    // sequence of the last pack received
	held    time.Time // since when the lane holds it up, zero: it does not

	mark     uint64    // the newest pack at since, not sent then
	since    time.Time // zero: nothing waits
	scouting bool
}

// keptEpochs is how many epochs of a gateway are recognised.
const keptEpochs = 8

// note records that a pack is sent and reports whether that is the first time. A new epoch
// that uses sequences again belongs to a stream that lost its end.
func (g *liveGateway) note(seq, epoch uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isNew(epoch) && seq <= g.sent.newest() {
		g.sent = nil
	}
	return g.sent.add(seq)
}

// isNew reports whether an epoch was not seen before, and remembers it.
func (g *liveGateway) isNew(epoch uint64) bool {
	if slices.Contains(g.epochs, epoch) {
		return false
	}
	g.epochs = append(g.epochs, epoch)
	g.epochs = g.epochs[max(0, len(g.epochs)-keptEpochs):]
	return true
}

// read records that the lane's puller starts or ends reading after a sequence of a stream that
// ends with last.
func (g *liveGateway) read(reading bool, after, last uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading, g.reached, g.last, g.held = reading, after, last, time.Time{}
}

// hold records that the lane holds its puller up, or does no longer.
func (g *liveGateway) hold(held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = time.Time{}
	if held {
		g.held = time.Now()
	}
}

// received records the puller's position.
func (g *liveGateway) received(seq uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reached = seq
}

// wants reports whether the gateway's newest pack waits for want of a reader, or its next one
// will. heard is the newest sequence by the gateway's heartbeat.
func (g *liveGateway) wants(heard uint64, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, flows := max(heard, g.last), g.flows(now)
	waits := last > g.sent.newest() && (last > g.reached || !flows)
	held := g.reading && !flows // the next packs will wait
	switch {
	case g.scouting || !waits && !held:
		g.since = time.Time{}
		return false
	case !flows || last > g.reached+behindPacks:
		return true
	}
	if g.since.IsZero() || g.mark <= g.reached {
		g.mark, g.since = last, now
	}
	return now.Sub(g.since) > behindFor
}

// flows reports whether the lane reads the gateway. g.mu is held.
func (g *liveGateway) flows(now time.Time) bool {
	return g.reading && (g.held.IsZero() || now.Sub(g.held) < heldFor)
}

// caughtUp reports whether the lane reads the gateway's newest packs again. heard is the newest
// sequence by the gateway's heartbeat.
func (g *liveGateway) caughtUp(heard uint64, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flows(now) && g.reached >= max(heard, g.sent.newest())
}

// resumes returns the last pack sent and whether a scout can start after it: few packs follow,
// and the stream has not lost its end, as far as the heartbeat and the lane's puller know.
func (g *liveGateway) resumes(heard uint64) (done uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	done = g.sent.newest()
	same := heard >= done || g.reading && g.reached >= done
	return done, done > 0 && same && heard <= done+scoutPacks
}

func (g *liveGateway) newest() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sent.newest()
}

// claim makes the caller the gateway's only scout, until release.
func (g *liveGateway) claim() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.scouting {
		return false
	}
	g.scouting = true
	return true
}

func (g *liveGateway) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scouting = false
}
