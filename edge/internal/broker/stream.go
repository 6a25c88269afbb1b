package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/internal/wire"
)

// ErrFull says that a pack is certainly not stored because the buffer or the disk
// has no room for it.
var ErrFull = errors.New("buffer full")

// codesNoRoom are those with which the server refuses a message for want of room,
// without having stored it: resource limits of the account, insufficient resources,
// storage resources exceeded, and store failed.
var codesNoRoom = []jetstream.ErrorCode{10002, 10023, 10047, 10077}

// never is a last sequence that no stream has.
const never = math.MaxInt64

// Stream holds the packs of this gateway, oldest first, until the bridge trims them.
//
// Every pack is stored on condition that the last sequence is the one this process
// knows of, so a pack cannot be stored twice, and what became of an unanswered one
// can be found out by looking at a single sequence (Settle). Put and Settle are for
// one goroutine; the other methods may be called by any.
type Stream struct {
	b       *Broker
	js      jetstream.JetStream
	str     jetstream.Stream
	subject string
	last    uint64 // sequence of the newest stored message
}

// PackOverhead is about what the store adds to a pack, in bytes: its record, subject and header.
const PackOverhead = 100

// State is what the stream holds now.
type State struct {
	FirstSeq, LastSeq uint64
	Messages          uint64
	Bytes             uint64
	Oldest            time.Time // when the oldest message was stored; zero when there is none
}

func openStream(ctx context.Context, b *Broker) (*Stream, error) {
	js, err := jetstream.New(b.uplink)
	if err != nil {
		return nil, fmt.Errorf("opening jetstream: %w", err)
	}
	s := &Stream{b: b, js: js, subject: wire.PackSubject(b.gateway)}
	if s.str, err = s.open(ctx); err != nil {
		return nil, err
	}
	s.last = s.str.CachedInfo().State.LastSeq
	return s, s.endEpoch(ctx)
}

// reopen makes the stream answer again after a restart of the server.
func (s *Stream) reopen(ctx context.Context) error {
	_, err := s.open(ctx)
	return err
}

func (s *Stream) open(ctx context.Context) (jetstream.Stream, error) {
	b := s.b
	str, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        wire.PackStream(b.gateway),
		Description: "packs of readings, kept until they are in Kafka",
		Subjects:    []string{s.subject},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew, // nothing undelivered is ever overwritten
		MaxBytes:    b.limit,
		Replicas:    1,
		AllowDirect: true, // a message read by its sequence comes as it is, not as JSON a third larger
	})
	if err != nil {
		return nil, fmt.Errorf("opening stream %s: %w", wire.PackStream(b.gateway), err)
	}
	return str, nil
}

// endEpoch stores an empty pack behind the last one of the run before, with the totals
// of its epoch. Without it the readings in that last pack could not be counted if it
// were damaged later: the totals of a pack are in the one behind it. A full buffer goes
// without.
func (s *Stream) endEpoch(ctx context.Context) error {
	msg, err := s.str.GetMsg(ctx, s.last)
	if s.last == 0 || errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the newest pack: %w", err)
	}
	end := endOf(msg.Data)
	if end == nil {
		return nil
	}
	if _, err := s.Put(ctx, end); err != nil && !errors.Is(err, ErrFull) {
		return fmt.Errorf("ending the epoch before: %w", err)
	}
	return nil
}

// endOf returns the empty pack that ends an epoch behind its newest pack, nil when that
// is an end itself, or no pack.
func endOf(pack []byte) []byte {
	totals, h, err := wire.TotalsAfter(pack)
	if err != nil || h.Count == 0 {
		return nil
	}
	var b wire.PackBuilder
	b.Reset(h.Epoch, h.Counter+1)
	b.Follow(totals)
	return b.Finish()
}

// Name returns the name of the stream.
func (s *Stream) Name() string { return wire.PackStream(s.b.gateway) }

// Put stores a pack and returns its sequence when it is on disk. ErrFull means that
// it is certainly not stored. After any other error its fate is unknown and Settle
// must be called before the next Put.
func (s *Stream) Put(ctx context.Context, pack []byte) (uint64, error) {
	if s.b.diskLow.Load() {
		return 0, fmt.Errorf("%w: the disk has less than %d MB left", ErrFull, diskReserve/2>>20)
	}
	ack, err := s.publish(ctx, pack, s.last)
	if err != nil {
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(codesNoRoom, api.ErrorCode) && s.isFull(ctx, len(pack)) {
			return 0, fmt.Errorf("%w: %w", ErrFull, err)
		}
		return 0, fmt.Errorf("storing a pack: %w", err)
	}
	s.last = ack.Sequence
	return ack.Sequence, nil
}

// Settle finds out what became of the pack of a failed Put, named by its epoch and
// counter: stored at seq, or not stored and never going to be. An error means that
// the stream does not answer yet.
func (s *Stream) Settle(ctx context.Context, epoch, counter uint64) (seq uint64, stored bool, err error) {
	// The stream handles messages in the order of their arrival, so an answer to the
	// probe says that everything sent before it was stored or dropped.
	if err := s.Probe(ctx); err != nil {
		return 0, false, err
	}
	state, err := s.Info(ctx)
	if err != nil {
		return 0, false, err
	}
	seq = s.last + 1
	if state.LastSeq < seq {
		if state.LastSeq < s.last {
			s.b.log.Error("the stream lost packs that were stored", "stream", s.Name(), "last_seq", state.LastSeq, "was", s.last)
			s.last = state.LastSeq
		}
		return 0, false, nil
	}
	msg, err := s.str.GetMsg(ctx, seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		// It was stored by the only writer there is and trimmed since.
		s.last = state.LastSeq
		return seq, true, nil
	case err != nil:
		return 0, false, fmt.Errorf("reading back sequence %d: %w", seq, err)
	}
	s.last = state.LastSeq
	if !isPack(msg.Data, epoch, counter) {
		s.b.log.Error("stream holds a message that this gateway did not write", "stream", s.Name(), "seq", seq)
		return 0, false, nil
	}
	return seq, true, nil
}

func isPack(data []byte, epoch, counter uint64) bool {
	p, err := wire.OpenPack(data)
	return err == nil && p.Header.Epoch == epoch && p.Header.Counter == counter
}

// Probe asks the stream for a sign of life: a message on a condition that cannot
// hold, which takes the way of a pack up to the disk and is turned down there.
func (s *Stream) Probe(ctx context.Context) error {
	_, err := s.publish(ctx, nil, never)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return nil
	}
	if err == nil {
		err = errors.New("the server stored a message it had to turn down")
	}
	return fmt.Errorf("probing the stream: %w", err)
}

// isFull tells a refusal for want of room from one of a store that met a write error:
// the server has the same code for both, and after such an error refuses for ever.
func (s *Stream) isFull(ctx context.Context, n int) bool {
	state, err := s.Info(ctx)
	return err == nil && int64(state.Bytes)+int64(n)+2*PackOverhead > s.b.limit
}

func (s *Stream) publish(ctx context.Context, data []byte, last uint64) (*jetstream.PubAck, error) {
	return s.js.PublishMsg(ctx, &nats.Msg{Subject: s.subject, Data: data},
		jetstream.WithExpectLastSequence(last), jetstream.WithRetryAttempts(0))
}

// Info returns what the stream holds.
func (s *Stream) Info(ctx context.Context) (State, error) {
	// Not s.str.Info: it keeps its answer in s.str, and this is called from several goroutines.
	str, err := s.js.Stream(ctx, s.Name())
	if err != nil {
		return State{}, fmt.Errorf("reading the state of stream %s: %w", s.Name(), err)
	}
	st := str.CachedInfo().State
	out := State{FirstSeq: st.FirstSeq, LastSeq: st.LastSeq, Messages: st.Msgs, Bytes: st.Bytes}
	if st.Msgs > 0 {
		out.Oldest = st.FirstTime
	}
	return out, nil
}

// HasRoom reports whether the buffer takes packs again: a little below its limit, so
// that it does not open and close with every pack.
func (s *Stream) HasRoom(ctx context.Context) (bool, error) {
	if s.b.diskLow.Load() {
		return false, nil
	}
	state, err := s.Info(ctx)
	if err != nil {
		return false, err
	}
	gap := min(s.b.limit/16, 8<<20)
	return int64(state.Bytes) <= s.b.limit-gap, nil
}
