// Package kafkaproxy is a proxy between clients and one Kafka broker that stops single
// requests at a chosen point: before the broker has the request, before the client has the
// answer, or just after. So a program can be killed at an exact point of a transaction
// without test code in it. It works with the embedded broker and with Apache Kafka, because
// it replaces the broker's address by its own in answers. It does not support TLS, SASL or
// clusters of several brokers.
//
//	p, err := kafkaproxy.New(kafkaproxy.Options{Listen: "127.0.0.1:0", Upstream: broker.Addr(), Log: log})
//	defer p.Close()
//	// KAFKA_BROKERS=p.Addr() for the program under test
//	trap := p.Trap(kafkaproxy.BeforeResponse, kafkaproxy.EndTxn, nil)
//	x, err := trap.Wait(ctx)            // the broker has committed, the client has no answer
//	kill(bridge)
//	trap.Release(kafkaproxy.Cut)        // the answer is lost with the connection
//
// The six points of the bridge's transaction:
//
//	before produce           Trap(BeforeRequest, Produce, Mentions(device-data))
//	after produce            Trap(BeforeResponse, Produce, Mentions(device-data))
//	before the checkpoint    Trap(BeforeRequest, AddPartitionsToTxn, Mentions(bridge-checkpoints))
//	before EndTxn            Trap(BeforeRequest, EndTxn, nil)
//	EndTxn without answer    Trap(BeforeResponse, EndTxn, nil)
//	after commit             Trap(AfterResponse, EndTxn, nil)
//
// A trap holds the next match; NewProducer and Restore make small transactions too, so set it
// while readings flow. Only the trapped connection waits. On is for everything else (observe,
// drop every third answer, delay); Down simulates a dead broker.
//
// New blocks until the proxy listens, Close until every connection is gone.
package kafkaproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

const dialTimeout = 5 * time.Second

// Options of a Proxy. All are required.
type Options struct {
	Listen   string // host:port for clients, port 0 picks a free one
	Upstream string // host:port of the broker
	Log      *slog.Logger
}

// Proxy is a running proxy. It is safe for concurrent use.
type Proxy struct {
	upstream string
	log      *slog.Logger
	ln       net.Listener
	host     string
	port     int32
	life     context.Context //nolint:containedctx // ends with Close
	end      context.CancelFunc
	wg       sync.WaitGroup

	mu    sync.Mutex
	down  bool
	links map[*link]struct{}
	hooks []*hook
}

// New listens and serves until Close.
func New(o Options) (*Proxy, error) {
	if o.Log == nil || o.Upstream == "" || o.Listen == "" {
		return nil, errors.New("kafkaproxy: Options.Listen, Upstream and Log are required")
	}
	p := &Proxy{upstream: o.Upstream, log: o.Log.With("component", "kafkaproxy"), links: map[*link]struct{}{}}
	p.life, p.end = context.WithCancel(context.Background())
	var err error
	if p.ln, err = (&net.ListenConfig{}).Listen(p.life, "tcp", o.Listen); err != nil {
		p.end()
		return nil, fmt.Errorf("kafka proxy on %s: %w", o.Listen, err)
	}
	addr, ok := p.ln.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(fmt.Errorf("kafka proxy on %s: not a TCP address", o.Listen), p.Close())
	}
	p.host, p.port = addr.IP.String(), int32(addr.Port)
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns the host:port where clients find the broker.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Close closes every connection, releases trapped exchanges and frees the port. Closing twice
// does nothing.
func (p *Proxy) Close() error {
	p.end()
	err := p.ln.Close()
	p.CutAll()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Down makes the broker look dead (true) or alive again (false): every connection is cut
// and new ones are closed at once.
func (p *Proxy) Down(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.CutAll()
	}
}

// CutAll cuts every open connection.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// serve forwards one connection until either side closes it.
func (p *Proxy) serve(client net.Conn) {
	broker, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(p.life, "tcp", p.upstream)
	if err != nil {
		p.log.Debug("broker unreachable", "addr", p.upstream, "err", err)
		_ = client.Close()
		return
	}
	l := &link{proxy: p, client: client, broker: broker, pending: map[int32]Exchange{}}
	if !p.keep(l) {
		l.cut()
		return
	}
	defer p.forget(l)
	var both sync.WaitGroup
	both.Go(func() { l.requests(p.life) })
	both.Go(func() { l.responses(p.life) })
	both.Wait()
}

// keep registers a link, unless the proxy is down or closing.
func (p *Proxy) keep(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down || p.life.Err() != nil {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// matching returns the hooks for an exchange at a point.
func (p *Proxy) matching(at Point, key int16) []*hook {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*hook
	for _, h := range p.hooks {
		if h.at == at && (h.key == AnyKey || h.key == key) {
			out = append(out, h)
		}
	}
	return out
}

// On calls f for every exchange with that key (or AnyKey) at a point, until remove is
// called. Hooks run in the order they were added; the first verdict other than Pass decides.
// A hook that blocks delays only its connection.
func (p *Proxy) On(at Point, key int16, f Hook) (remove func()) {
	h := &hook{at: at, key: key, call: f}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks = append(p.hooks, h)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hooks = slices.DeleteFunc(p.hooks, func(other *hook) bool { return other == h })
	}
}
