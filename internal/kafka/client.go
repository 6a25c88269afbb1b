package kafka

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// NewClient returns a client made from settings, on which consumers can be built. When
// ctx ends its connections are cut, its retries end at once and it is closed, so that
// closing its consumers does not wait for unreachable brokers. The settings must not be
// shared with another client. Closing it twice does nothing.
func NewClient(ctx context.Context, cluster Cluster, settings *sarama.Config) (sarama.Client, error) {
	Bind(ctx, settings)
	c, err := cluster.connect(settings)
	if err != nil {
		return nil, err
	}
	m := &ctxClient{Client: c, end: sync.OnceValue(c.Close)}
	// Cutting connections is not enough: sarama nests retries (a group that fetches its
	// offsets looks for the coordinator as often on each try), and a million tries
	// take long even without a pause. A closed client refuses at once.
	m.stop = context.AfterFunc(ctx, func() { _ = m.end() })
	return m, nil
}

// ctxClient is a client that ends with a context.
type ctxClient struct {
	sarama.Client
	stop func() bool
	end  func() error
}

func (m *ctxClient) Close() error {
	m.stop()
	return m.end()
}

// Bind ends every client built from c with ctx: connections are cut, no new ones are made
// and retries follow without a pause, so calls that wait inside sarama, which takes no
// contexts, return soon. ctx must outlive an orderly close: leaving a group needs a
// connection.
func Bind(ctx context.Context, c *sarama.Config) {
	bound := &ctxDialer{ctx: ctx, dialer: net.Dialer{Timeout: c.Net.DialTimeout}}
	if d, ok := c.Net.Proxy.Dialer.(*ctxDialer); ok {
		bound.tls = d.tls
	}
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, bound
	while := func(pause time.Duration) func(int, int) time.Duration {
		return func(int, int) time.Duration {
			if ctx.Err() != nil {
				return 0
			}
			return pause
		}
	}
	c.Metadata.Retry.BackoffFunc = while(c.Metadata.Retry.Backoff)
	// Initialising an idempotent producer uses these retries too, 50 by default.
	c.Producer.Transaction.Retry.BackoffFunc = while(c.Producer.Transaction.Retry.Backoff)
}

// bindOnce is Bind without retries, for a client whose user retries.
func bindOnce(ctx context.Context, c *sarama.Config) {
	c.Metadata.Retry.Max = 0
	c.Admin.Retry.Max = 0
	Bind(ctx, c)
}

// ctxDialer dials connections that end with a context.
type ctxDialer struct {
	ctx    context.Context //nolint:containedctx // it lives as long as the client
	dialer net.Dialer
	tls    *SSL // nil for none
}

// Dial implements sarama's proxy.Dialer.
func (d *ctxDialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := d.dial(network, addr)
	if err != nil {
		return nil, err
	}
	return &ctxConn{Conn: conn, stop: context.AfterFunc(d.ctx, func() { _ = conn.Close() })}, nil
}

func (d *ctxDialer) dial(network, addr string) (net.Conn, error) {
	if d.tls != nil {
		return d.tls.dialTLS(d.ctx, &d.dialer, network, addr)
	}
	return d.dialer.DialContext(d.ctx, network, addr)
}

// ctxConn is a connection that ends with a context.
type ctxConn struct {
	net.Conn
	stop func() bool
}

func (c *ctxConn) Close() error {
	c.stop()
	return c.Conn.Close()
}
