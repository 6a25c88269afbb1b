package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/wire"
)

const (
	// A puller whose connection failed tries again after a pause between these.
	minRetry = 100 * time.Millisecond
	maxRetry = 500 * time.Millisecond
)

var (
	// errRestarted says that the position was moved: connect again, from there.
	errRestarted = errors.New("position moved")
	// errJump says that the stream went on at another sequence than expected.
	errJump = errors.New("packs arrived out of sequence")
)

// puller reads the stream of one gateway from g.pos on and hands the packs to the
// collector.
type puller struct {
	r   *run
	g   *gateway
	log *slog.Logger
	src source
	// failures counts the failed attempts since the stream was last read.
	failures int
}

func newPuller(r *run, g *gateway) *puller {
	return &puller{
		r: r, g: g, log: r.log.With("gateway", g.id),
		src: source{nc: r.o.NATS, gateway: g.id},
	}
}

// run reads until ctx ends. Whatever goes wrong is tried again after a pause.
func (p *puller) run(ctx context.Context) {
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
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// failed makes a failure known, once until the stream can be read again.
func (p *puller) failed(err error) {
	p.r.o.Metrics.pullFailures.WithLabelValues(p.g.id).Inc()
	p.failures++
	level := slog.LevelDebug
	if p.failures == 1 {
		level = slog.LevelWarn
	}
	p.log.Log(context.Background(), level, "gateway cannot be read, trying again", "err", err)
}

// session is one connection to the stream: a fresh consumer, made first, so that it
// sees whatever is stored from now on; then the comparison of the position with the
// stream; then packs until something fails. A consumer lives in the memory of the
// gateway's server, so packs of a stream that was replaced meanwhile never come
// through it.
func (p *puller) session(ctx context.Context) error {
	cons, err := p.src.consume(ctx, p.g.pos.Seq+1)
	if err != nil {
		return err
	}
	defer p.src.drop(ctx, cons)
	if err := p.compare(ctx); err != nil {
		return err
	}
	if p.failures > 0 {
		p.log.Info("gateway is read again", "after_failures", p.failures, "seq", p.g.pos.Seq)
	}
	p.failures = 0

	trimCtx, cancel := context.WithCancel(ctx)
	var trimmer sync.WaitGroup
	trimmer.Go(func() { p.trim(trimCtx, cons) })
	defer trimmer.Wait()
	defer cancel()
	return p.pull(ctx, cons)
}

// compare checks that the stream is the one that the position was recorded from, and
// moves the position where it has to: every loss that shows is reported.
func (p *puller) compare(ctx context.Context) error {
	v, err := p.src.view(ctx, p.g.pos.Seq)
	if err != nil {
		return err
	}
	pos := p.g.pos
	if verdict := pos.Compare(v); verdict == checkpoint.Changed {
		p.log.Error("stream is not the recorded one any more, reading it from its beginning",
			"checkpoint_seq", pos.Seq, "first_seq", v.First, "last_seq", v.Last)
		next := pos.Restart(v.First)
		l := p.loss("the gateway's stream lost its end or was made anew", knownLost(p.r.o.Roster, pos, v), pos.Seq)
		if err := p.hand(ctx, item{next: next, loss: l}); err != nil {
			return err
		}
		p.g.again = true
		return errRestarted
	}
	if step := pos.Trim(v.First); step.Lost > 0 {
		l := p.loss("packs were removed from the gateway's stream before they were bridged", step.Lost, step.Next.Seq)
		return p.hand(ctx, item{next: step.Next, loss: l})
	}
	return nil
}

func (p *puller) loss(what string, packs, seq uint64) *loss {
	return &loss{gateway: p.g.id, what: what, packs: packs, seq: seq}
}

// pull hands over packs as they come until something fails.
func (p *puller) pull(ctx context.Context, cons jetstream.Consumer) error {
	packs, err := p.src.packs(cons)
	if err != nil {
		return err
	}
	defer packs.Stop()
	for {
		msg, err := packs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("waiting for packs: %w", err)
		}
		md, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("reading a pack's sequence: %w", err)
		}
		seq := md.Sequence.Stream
		if err := p.inSequence(ctx, seq); err != nil {
			return err
		}
		if err := p.take(ctx, seq, msg.Data()); err != nil {
			return err
		}
	}
}

// inSequence makes sure that no pack went missing on the way here: a jump in the
// sequence is taken only when the stream itself has a hole there.
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

// take hands over the pack at seq.
func (p *puller) take(ctx context.Context, seq uint64, data []byte) error {
	pack, err := wire.OpenPack(data)
	if err != nil {
		p.log.Error("pack cannot be read", "seq", seq, "err", err)
		step := p.g.pos.ReadDamaged(seq)
		l := p.loss("a pack is damaged", step.Lost, seq)
		return p.handData(ctx, item{next: step.Next, damaged: data, loss: l}, len(data))
	}
	h := &pack.Header
	step := p.g.pos.Read(checkpoint.Pack{Seq: seq, Epoch: h.Epoch, Counter: h.Counter, At: h.Base})
	if step.Known {
		return p.hand(ctx, item{next: step.Next})
	}
	it := item{next: step.Next, pack: pack}
	if h.Counter == 1 && !p.g.again {
		step.Lost = max(step.Lost, overwritten(p.r.o.Roster, p.g.id, h, seq))
	}
	p.g.again = false
	if step.Lost > 0 {
		it.loss = p.loss("packs are missing from the gateway's stream", step.Lost, seq)
	}
	return p.handData(ctx, it, len(data))
}
