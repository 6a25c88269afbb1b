package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/wire"
)

const (
	// requestTimeout bounds a short request to a gateway; one whose line is down is usually
	// reported at once ("no responders").
	requestTimeout = 1500 * time.Millisecond
	// packTimeout bounds fetching one pack over a slow line.
	packTimeout = 10 * time.Second
	// heartbeat is the interval of status messages from an idle gateway's server; two missed
	// ones end the session.
	heartbeat   = 750 * time.Millisecond
	pullExpiry  = 10 * time.Second
	inactiveFor = 30 * time.Second // an abandoned consumer is removed after this
)

// source sends requests to the JetStream of one gateway, through the hub. It is stateless,
// and every call has a timeout.
type source struct {
	nc      *nats.Conn
	inboxes *inboxes // for packs; only prefetch needs it
	gateway string
}

func (s source) jetstream() (jetstream.JetStream, error) {
	js, err := jetstream.NewWithDomain(s.nc, wire.Domain(s.gateway))
	if err != nil {
		return nil, fmt.Errorf("opening jetstream of %s: %w", s.gateway, err)
	}
	return js, nil
}

// consume creates a consumer that delivers the packs from a sequence on. It is configured
// like jetstream's ordered consumer (ephemeral, in memory, without acks), but gaps are
// handled here: the library's would go on in a stream that lost its end, and skip the packs
// stored there since.
func (s source) consume(ctx context.Context, from uint64) (jetstream.Consumer, error) {
	return s.consumer(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from})
}

// consumeNewest creates a consumer that starts at the newest pack.
func (s source) consumeNewest(ctx context.Context) (jetstream.Consumer, error) {
	return s.consumer(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPolicy})
}

func (s source) consumer(ctx context.Context, c jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	js, err := s.jetstream()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c.AckPolicy, c.ReplayPolicy = jetstream.AckNonePolicy, jetstream.ReplayInstantPolicy
	c.MemoryStorage, c.Replicas, c.InactiveThreshold = true, 1, inactiveFor
	cons, err := js.CreateConsumer(ctx, wire.PackStream(s.gateway), c)
	if err != nil {
		return nil, fmt.Errorf("creating a consumer: %w", err)
	}
	return cons, nil
}

// drop removes a consumer if the gateway is reachable. Otherwise the server removes it after
// inactiveFor.
func (s source) drop(ctx context.Context, cons jetstream.Consumer) {
	js, err := s.jetstream()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout/3)
	defer cancel()
	_ = js.DeleteConsumer(ctx, wire.PackStream(s.gateway), cons.CachedInfo().Name)
}

// view returns the present state of the stream, with the pack at seq.
func (s source) view(ctx context.Context, seq uint64) (checkpoint.View, error) {
	stream, err := s.stream(ctx)
	if err != nil {
		return checkpoint.View{}, err
	}
	state := stream.CachedInfo().State
	v := checkpoint.View{First: state.FirstSeq, Last: state.LastSeq}
	if seq == 0 || seq < v.First || seq > v.Last {
		return v, nil
	}
	ctx, cancel := context.WithTimeout(ctx, packTimeout)
	defer cancel()
	msg, err := stream.GetMsg(ctx, seq)
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), errors.As(err, &api):
		return v, nil // the stream has no such message, or cannot read it
	case err != nil:
		return v, fmt.Errorf("reading the pack at the checkpoint: %w", err)
	}
	pack, err := wire.OpenPack(msg.Data)
	switch {
	case err == nil:
		v.Anchor = checkpoint.Anchor{Readable: true, Epoch: pack.Header.Epoch, Counter: pack.Header.Counter}
	case errors.Is(err, wire.ErrNewerPack): // a newer bridge took it
		return v, fmt.Errorf("reading the pack at the checkpoint: %w", err)
	}
	return v, nil
}

// firstFrom returns the first sequence from seq on at which the stream has a pack.
func (s source) firstFrom(ctx context.Context, seq uint64) (uint64, error) {
	stream, err := s.stream(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, packTimeout)
	defer cancel()
	msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(wire.PackSubject(s.gateway)))
	if err != nil {
		return 0, fmt.Errorf("finding the pack after a hole: %w", err)
	}
	return msg.Sequence, nil
}

// trim removes the packs before seq, if cons still exists: a restart of the gateway's server
// removes it, and then the sequences may be those of other packs.
func (s source) trim(ctx context.Context, cons jetstream.Consumer, seq uint64) error {
	js, err := s.jetstream()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, packTimeout) // the lane does not wait for it
	defer cancel()
	stream, err := s.stream(ctx)
	if err != nil {
		return err
	}
	// Two requests in sequence on one connection: a server that restarts in between does
	// not receive the second.
	if _, err := js.Consumer(ctx, wire.PackStream(s.gateway), cons.CachedInfo().Name); err != nil {
		return fmt.Errorf("checking the consumer: %w", err)
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(seq)); err != nil {
		return fmt.Errorf("removing packs: %w", err)
	}
	return nil
}

// stream returns the stream with its current state.
func (s source) stream(ctx context.Context) (jetstream.Stream, error) {
	js, err := s.jetstream()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, wire.PackStream(s.gateway))
	if err != nil {
		return nil, fmt.Errorf("reading the stream's state: %w", err)
	}
	return stream, nil
}
