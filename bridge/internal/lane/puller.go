package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/wire"
)

const (
	// A failed session is retried after a pause between these.
	minRetry = 100 * time.Millisecond
	maxRetry = 250 * time.Millisecond
	// settleFor is the wait before a stream is accepted that is not the recorded one.
	settleFor = 2 * time.Second
)

var (
	// errRestarted ends a session after the position was moved.
	errRestarted = errors.New("position moved")
	// errJump ends a session in which packs went missing or arrived twice.
	errJump = errors.New("packs arrived out of sequence")
)

// puller reads the stream of one gateway from g.pos on and passes the packs to the
// collector.
type puller struct {
	r    *run
	g    *gateway
	live *liveGateway
	log  *slog.Logger
	src  source // of the newest session
	// failures counts the failed sessions since the stream was last readable.
	failures int
	pace     pace
	last     uint64 // the stream's newest sequence when the session began
}

func newPuller(r *run, g *gateway) *puller {
	return &puller{
		r: r, g: g, live: r.o.Live.gateway(g.id), log: r.log.With("gateway", g.id),
	}
}

// run reads until ctx ends, and retries failed sessions after a pause.
func (p *puller) run(ctx context.Context) {
	p.r.o.Progress.pullers.Add(1)
	defer p.r.o.Progress.pullers.Add(-1)
	for {
		err := p.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRestarted) {
			continue
		}
		p.failed(err)
		pause := min(minRetry<<min(p.failures-1, 10), maxRetry)
		if !lifecycle.Pause(ctx, pause/2+rand.N(pause/2)) {
			return
		}
	}
}

// failed logs a failure, as a warning only once until the stream is readable again.
func (p *puller) failed(err error) {
	p.r.o.Metrics.pullFailures.WithLabelValues(p.g.id).Inc()
	p.failures++
	level := slog.LevelDebug
	if p.failures == 1 {
		level = slog.LevelWarn
	}
	p.log.Log(context.Background(), level, "gateway unreadable, retrying", "err", err)
}

// session creates a consumer, compares the position with the stream, then reads packs until
// something fails. The consumer comes first and lives in the memory of the gateway's server:
// packs of a stream that was replaced in the meantime never arrive through it.
func (p *puller) session(ctx context.Context) (err error) {
	if p.src, err = p.r.o.Live.source(p.g.id); err != nil {
		return err
	}
	cons, err := p.src.consume(ctx, p.g.pos.Seq+1)
	if err != nil {
		return err
	}
	defer p.src.drop(ctx, cons)
	if err := p.compare(ctx); err != nil {
		return err
	}
	if p.failures > 0 {
		p.log.Info("gateway readable again", "after_failures", p.failures, "seq", p.g.pos.Seq)
	}
	p.failures = 0

	trimCtx, cancel := context.WithCancel(ctx)
	var trimmer sync.WaitGroup
	trimmer.Go(func() { p.trim(trimCtx, cons) })
	defer trimmer.Wait()
	defer cancel()
	return p.pull(ctx, cons)
}

// compare checks that the stream is the one that the position was recorded from, else moves
// the position and reports the losses.
func (p *puller) compare(ctx context.Context) error {
	v, err := p.src.view(ctx, p.g.pos.Seq)
	if err != nil {
		return err
	}
	pos := p.g.pos
	if pos.Compare(v) != checkpoint.Same {
		// It may be another installation with the gateway's id. Then the roster finds a
		// duplicate soon, which ends this puller.
		if !lifecycle.Pause(ctx, settleFor) {
			return ctx.Err()
		}
		if v, err = p.src.view(ctx, pos.Seq); err != nil {
			return err
		}
	}
	p.last = v.Last
	if pos.Compare(v) == checkpoint.Changed {
		p.log.Error("stream lost its end or was recreated, reading it from its start",
			"checkpoint_seq", pos.Seq, "first_seq", v.First, "last_seq", v.Last)
		next := pos.Restart(v.First)
		// The losses are known once the next epoch starts.
		l := p.loss("the gateway's stream lost its end or was recreated", checkpoint.Step{}, pos.Seq)
		if err := p.enqueue(ctx, item{next: next, loss: l}); err != nil {
			return err
		}
		return errRestarted
	}
	if step := pos.Trim(v.First); step.Lost > 0 {
		l := p.loss("packs were removed from the gateway's stream before they were bridged", step, step.Next.Seq)
		return p.enqueue(ctx, item{next: step.Next, loss: l})
	}
	return nil
}

func (p *puller) loss(reason string, step checkpoint.Step, seq uint64) *loss {
	return &loss{gateway: p.g.id, reason: reason, packs: step.Lost, readings: step.LostReadings, seq: seq}
}

// recountEvery is the number of packs between two counts of the bridge's gateways.
const recountEvery = 64

// pull passes on packs until something fails.
func (p *puller) pull(ctx context.Context, cons jetstream.Consumer) error {
	packs, err := p.src.prefetch(cons)
	if err != nil {
		return err
	}
	defer packs.stop()
	p.live.read(true, p.g.pos.Seq, p.last)
	p.r.o.Live.check(p.live)
	defer func() { p.live.read(false, p.g.pos.Seq, 0) }()
	taken, gateways := 0, 1
	defer func() { p.pace.finish(taken, err) }()
	for ; ; taken++ {
		if taken%recountEvery == 0 {
			gateways = p.r.o.Progress.reading()
		}
		var msg *nats.Msg
		if msg, err = packs.next(ctx, p.pace.window(gateways, taken)); err != nil {
			return fmt.Errorf("waiting for packs: %w", err)
		}
		md, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("reading a pack's sequence: %w", err)
		}
		seq := md.Sequence.Stream
		p.pace.observe(len(msg.Data))
		if err := p.inSequence(ctx, seq); err != nil {
			return err
		}
		if err := p.receive(ctx, seq, msg); err != nil {
			return err
		}
	}
}

// inSequence checks that no pack went missing on its way: a jump in the sequence is
// accepted only if the stream itself has a hole there.
func (p *puller) inSequence(ctx context.Context, seq uint64) error {
	want := p.g.pos.Seq + 1
	if seq == want {
		return nil
	}
	if seq > want {
		next, err := p.src.firstFrom(ctx, want)
		if err != nil {
			return err
		}
		if next == seq {
			return nil
		}
	}
	return fmt.Errorf("%w: want %d, got %d", errJump, want, seq)
}

// receive passes on the pack at seq.
func (p *puller) receive(ctx context.Context, seq uint64, msg *nats.Msg) error {
	data := msg.Data
	pack, err := wire.OpenPack(data)
	if errors.Is(err, wire.ErrNewerPack) {
		return fmt.Errorf("pack %d stays at the gateway: %w", seq, err) // to skip it would lose its readings
	}
	if err != nil {
		p.log.Error("pack unreadable", "seq", seq, "err", err)
		step := p.g.pos.ReadDamaged(seq)
		l := p.loss("a pack is damaged", step, seq)
		return p.enqueueData(ctx, item{next: step.Next, damaged: data, loss: l}, len(data))
	}
	content := contentOf(seq, pack, time.Now())
	p.show(seq, content, msg)
	step := p.g.pos.Read(content, p.claims)
	if step.Known {
		return p.enqueue(ctx, item{next: step.Next})
	}
	it := item{next: step.Next, pack: pack, late: content.Late, hurry: content.Late && p.draining(seq)}
	if it.span = p.r.o.Tracer.Continue("deliver pack", msg.Header); it.span != nil {
		it.span.Set(attribute.String("iot.gateway", p.g.id), attribute.Int64("iot.seq", int64(seq)), attribute.Int("iot.messages", pack.Header.Count), attribute.Bool("iot.backfill", content.Late))
	}
	switch {
	case content.Broken > 0:
		it.loss = p.loss("a pack has unreadable entries", step, seq)
	case step.Lost > 0:
		it.loss = p.loss("packs are missing from the gateway's stream", step, seq)
	}
	return p.enqueueData(ctx, it, len(data))
}

// show sends a pack to screens, unless it waited in the gateway: screens get those through
// Kafka, at its pace.
func (p *puller) show(seq uint64, content checkpoint.Pack, msg *nats.Msg) {
	if !content.Late {
		if err := p.r.o.Live.send(p.live, seq, content.Epoch, msg); err != nil {
			p.log.Debug("pack not sent to screens", "seq", seq, "err", err)
		}
	}
	p.live.received(seq)
}

// draining reports whether the gateway has a backlog behind a sequence.
func (p *puller) draining(seq uint64) bool {
	return p.r.o.Roster.Latest(p.g.id).LastSeq > seq+behindPacks
}

// contentOf describes a pack by walking its entries, and rewinds it.
func contentOf(seq uint64, pack *wire.Pack, now time.Time) checkpoint.Pack {
	h := &pack.Header
	c := checkpoint.Pack{
		Seq: seq, Epoch: h.Epoch, Counter: h.Counter, At: h.Base, Before: h.Before,
		Late: now.UnixMilli()-h.Base > wire.BackfillAge.Milliseconds(),
	}
	for e, ok := pack.Next(); ok; e, ok = pack.Next() {
		if e.Refusal == nil {
			c.Holds.Readings++
		} else {
			c.Holds.Refused++
		}
	}
	c.Broken = uint64(h.Count) - c.Holds.Readings - c.Holds.Refused
	pack.Rewind()
	return c
}

// claims returns the claims in the gateway's heartbeats.
func (p *puller) claims() []checkpoint.Claim { return Claims(p.r.o.Roster.Heard(p.g.id)) }

// Claims returns the claims in heartbeats. Those without an epoch are skipped.
func Claims(heard []wire.GatewayStatus) []checkpoint.Claim {
	out := make([]checkpoint.Claim, 0, len(heard))
	for i := range heard {
		s := &heard[i]
		if epoch, err := checkpoint.ParseHex(s.Epoch); err == nil {
			out = append(out, checkpoint.Claim{Epoch: epoch, Counter: s.Counter, Holds: s.Packed, Started: s.Started})
		}
	}
	return out
}
