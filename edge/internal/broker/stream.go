package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

// ErrFull is returned when a pack is certainly not stored because the buffer or the disk
// is full.
var ErrFull = errors.New("buffer full")

// codesNoRoom are the server's errors for a message refused for lack of room: account
// resources exceeded, insufficient resources, storage resources exceeded, store failed.
var codesNoRoom = []jetstream.ErrorCode{10002, 10023, 10047, 10077}

// never is a last sequence that no stream reaches.
const never = math.MaxInt64

// Stream holds the packs of this gateway, oldest first, until the bridge trims them.
//
// Every write is conditional on the last sequence known here, so a pack cannot be stored
// twice and a single sequence shows whether an unanswered one was stored (Settle). Put
// and Settle are for one goroutine; the other methods may be called by any.
type Stream struct {
	b       *Broker
	js      jetstream.JetStream
	str     jetstream.Stream
	subject string

	// Used by Put and Settle alone.
	last  uint64         // sequence of the newest stored message
	inbox string         // prefix of the reply subjects
	acks  chan *nats.Msg // replies
	puts  uint64         // number of the newest one
}

// PackOverhead is about how many bytes the store adds to a pack: record, subject, header.
const PackOverhead = 100

// State is the stream's state.
type State struct {
	FirstSeq, LastSeq uint64
	Messages          uint64
	Bytes             uint64
	Oldest            time.Time // when the oldest message was stored; zero when there is none
}

func openStream(ctx context.Context, b *Broker) (*Stream, error) {
	js, err := jetstream.New(b.uplink)
	if err != nil {
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	s := &Stream{b: b, js: js, subject: wire.PackSubject(b.gateway), inbox: nats.NewInbox() + ".", acks: make(chan *nats.Msg, maxLateAcks)}
	if _, err := b.uplink.ChanSubscribe(s.inbox+"*", s.acks); err != nil {
		return nil, fmt.Errorf("subscribing to replies: %w", err)
	}
	if s.str, err = s.open(ctx); err != nil {
		return nil, err
	}
	s.last = s.str.CachedInfo().State.LastSeq
	return s, s.endEpoch(ctx)
}

// reopen opens the stream after a restart of the server. It repeats requests without a
// reply: one sent before the uplink notices that its connection was lost gets none, which
// happens on a busy machine.
func (s *Stream) reopen(ctx context.Context) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, openTimeout/10)
		_, err := s.open(attempt)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
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
		AllowDirect: true, // reads by sequence return raw bytes, not JSON a third larger
	})
	if err != nil {
		return nil, fmt.Errorf("opening stream %s: %w", wire.PackStream(b.gateway), err)
	}
	return str, nil
}

// endEpoch stores an empty pack with the previous epoch's totals after its last pack. The
// header of a pack holds the totals before it, so without this one the readings of the
// last pack could not be counted if it were damaged. A full buffer goes without.
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
		return fmt.Errorf("ending the previous epoch: %w", err)
	}
	return nil
}

// endOf returns the empty pack that ends an epoch after its newest pack, nil if that is
// empty itself or no pack.
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

// Put stores a pack and returns its sequence when it is on disk. After ErrFull it is
// certainly not stored. After any other error the outcome is unknown and Settle must be
// called before the next Put.
func (s *Stream) Put(ctx context.Context, pack []byte) (uint64, error) {
	if s.b.diskLow.Load() {
		return 0, fmt.Errorf("%w: the disk has less than %d MB left", ErrFull, diskReserve/2>>20)
	}
	seq, err := s.store(ctx, pack)
	if err != nil {
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(codesNoRoom, api.ErrorCode) && s.isFull(ctx, len(pack)) {
			return 0, fmt.Errorf("%w: %w", ErrFull, err)
		}
		return 0, fmt.Errorf("storing a pack: %w", err)
	}
	s.last = seq
	return seq, nil
}

// maxLateAcks bounds the replies that may arrive after their pack was given up.
const maxLateAcks = 16

// store publishes a pack and waits for the server's reply. It comes on a subscription of its
// own: by jetstream.Publish another goroutine has to be woken for each reply, and a pack's CPU
// time is spent waking.
func (s *Stream) store(ctx context.Context, pack []byte) (seq uint64, err error) {
	s.puts++
	reply := s.inbox + strconv.FormatUint(s.puts, 10)
	msg := &nats.Msg{Subject: s.subject, Reply: reply, Data: pack, Header: nats.Header{
		nats.ExpectedLastSeqHdr: {strconv.FormatUint(s.last, 10)},
	}}
	tracing.Inject(ctx, msg.Header)
	if err := s.b.uplink.PublishMsg(msg); err != nil {
		return 0, err
	}
	for {
		select {
		case m := <-s.acks:
			if m.Subject == reply {
				return decodeAck(m.Data)
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// decodeAck returns the sequence in a reply, or its error as a *jetstream.APIError. A reply
// without content says that no stream responds.
func decodeAck(data []byte) (seq uint64, err error) {
	if len(data) == 0 {
		return 0, jetstream.ErrNoStreamResponse
	}
	var ack struct {
		jetstream.PubAck

		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(data, &ack); {
	case err != nil:
		return 0, fmt.Errorf("decoding the reply: %w", err)
	case ack.Error != nil:
		return 0, ack.Error
	case ack.Sequence == 0:
		return 0, jetstream.ErrInvalidJSAck
	}
	return ack.Sequence, nil
}

// Settle returns the outcome of a failed Put of the pack with this epoch and counter:
// stored at seq, or not stored now or later. It fails while the stream does not respond.
func (s *Stream) Settle(ctx context.Context, epoch, counter uint64) (seq uint64, stored bool, err error) {
	// The stream processes messages in order of arrival, so a reply to the probe proves
	// that everything sent before it was stored or dropped.
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
			s.b.log.Error("stream lost stored packs", "stream", s.Name(), "last_seq", state.LastSeq, "was", s.last)
			s.last = state.LastSeq
		}
		return 0, false, nil
	}
	msg, err := s.str.GetMsg(ctx, seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		// Stored, since there is no other writer, and trimmed already.
		s.last = state.LastSeq
		return seq, true, nil
	case err != nil:
		return 0, false, fmt.Errorf("reading back sequence %d: %w", seq, err)
	}
	s.last = state.LastSeq
	if !isPack(msg.Data, epoch, counter) {
		s.b.log.Error("foreign message in the stream", "stream", s.Name(), "seq", seq)
		return 0, false, nil
	}
	return seq, true, nil
}

func isPack(data []byte, epoch, counter uint64) bool {
	p, err := wire.OpenPack(data)
	return err == nil && p.Header.Epoch == epoch && p.Header.Counter == counter
}

// Probe checks that the stream responds with a canary: a write on a condition that cannot
// hold, which takes the path of a pack up to the disk and is rejected there.
func (s *Stream) Probe(ctx context.Context) error {
	_, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.subject}, jetstream.WithExpectLastSequence(never), jetstream.WithRetryAttempts(0))
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return nil
	}
	if err == nil {
		err = errors.New("the server stored the canary")
	}
	return fmt.Errorf("probing the stream: %w", err)
}

// isFull reports whether a pack of n bytes exceeds the limit. The server uses the same
// error code for a write error, after which it refuses for ever.
func (s *Stream) isFull(ctx context.Context, n int) bool {
	state, err := s.Info(ctx)
	return err == nil && int64(state.Bytes)+int64(n)+2*PackOverhead > s.b.limit
}

// Info returns the stream's state.
func (s *Stream) Info(ctx context.Context) (State, error) {
	// Not s.str.Info, which caches its result in s.str and is not safe for concurrent use.
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

// HasRoom reports whether the buffer accepts packs again. The threshold is below the
// limit, so that the state does not flip with every pack.
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
