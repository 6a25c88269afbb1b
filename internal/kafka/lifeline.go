package kafka

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// NewClient returns a client made from settings, on which consumers can be built. When
// ctx ends its connections are cut, its retries end at once and it is closed, so that
// closing what was built on it does not wait for brokers that cannot be reached. The
// settings must not be shared with another client. Closing it twice does nothing.
func NewClient(ctx context.Context, brokers []string, settings *sarama.Config) (sarama.Client, error) {
	Bind(ctx, settings)
	c, err := sarama.NewClient(brokers, settings)
	if err != nil {
		return nil, fmt.Errorf("connecting to kafka: %w", err)
	}
	m := &mortal{Client: c, end: sync.OnceValue(c.Close)}
	// Cut connections are not enough: sarama nests retries (a group asking for its
	// offsets tries as often, each time, to find the coordinator), and a million tries
	// take long even without a pause. A closed client refuses at once.
	m.stop = context.AfterFunc(ctx, func() { _ = m.end() })
	return m, nil
}

// mortal is a client that ends with a context.
type mortal struct {
	sarama.Client
	stop func() bool
	end  func() error
}

func (m *mortal) Close() error {
	m.stop()
	return m.end()
}

// Bind makes ctx the life of every client built from c: when ctx ends, connections are
// cut, no new ones are made and retries follow without a pause, so whatever waits inside
// sarama, which knows no contexts, returns soon. Let ctx outlive an orderly close
// (leaving a group needs a connection).
func Bind(ctx context.Context, c *sarama.Config) {
	c.Net.Proxy.Enable = true // sarama's only hook for a dialer
	c.Net.Proxy.Dialer = &lifeline{ctx: ctx, dialer: net.Dialer{Timeout: c.Net.DialTimeout}}
	while := func(pause time.Duration) func(int, int) time.Duration {
		return func(int, int) time.Duration {
			if ctx.Err() != nil {
				return 0
			}
			return pause
		}
	}
	c.Metadata.Retry.BackoffFunc = while(c.Metadata.Retry.Backoff)
	// An idempotent producer's start is of this kind, and tries 50 times by default.
	c.Producer.Transaction.Retry.BackoffFunc = while(c.Producer.Transaction.Retry.Backoff)
}

// bindOnce is Bind for a client whose user does the retrying.
func bindOnce(ctx context.Context, c *sarama.Config) {
	c.Metadata.Retry.Max = 0
	c.Admin.Retry.Max = 0
	Bind(ctx, c)
}

// lifeline dials connections that end with a context.
type lifeline struct {
	ctx    context.Context //nolint:containedctx // the client's life is what it is for
	dialer net.Dialer
}

// Dial implements the dialer that sarama asks for.
func (l *lifeline) Dial(network, addr string) (net.Conn, error) {
	conn, err := l.dialer.DialContext(l.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &lifelineConn{Conn: conn, stop: context.AfterFunc(l.ctx, func() { _ = conn.Close() })}, nil
}

type lifelineConn struct {
	net.Conn
	stop func() bool
}

func (c *lifelineConn) Close() error {
	c.stop()
	return c.Conn.Close()
}
