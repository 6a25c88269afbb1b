// Package publisher sends the readings of a fleet to gateways as devices would: each
// device at its own moment of the interval, acknowledged, one reading at a time, the
// next not before the one before was acknowledged or given up, and again after a while
// when the gateway says "later" or says nothing. It parses no flags and prints nothing.
// Run blocks until its context ends; the accessors do not block.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"industrial-iot-monitor/sim/fleet"
)

// Protocol is how devices talk to their gateway.
type Protocol string

// Protocols.
const (
	NATS Protocol = "nats" // requests, answered by the gateway
	MQTT Protocol = "mqtt" // MQTT 3.1.1 publishes of QoS 1
)

// Ledger is told of every reading that a gateway acknowledged, at the moment of the
// acknowledgement. attempts is how often the reading had been sent by then: after more
// than one, the gateway may hold it more than once. Calls come from several goroutines
// and should not block.
type Ledger interface {
	Acked(deviceID string, timestamp int64, attempts int)
}

// Options of a publisher. Fleet, Gateways and Log are required.
type Options struct {
	Fleet    *fleet.Fleet
	Gateways []string // host:port of the gateway of each building of the fleet
	Protocol Protocol // empty means NATS
	// PerDevice gives each device a connection of its own; without it the devices of a
	// building share a few. A connection costs a file descriptor here and at the
	// gateway, and memory: here about 20 KB with MQTT and 50 KB with NATS.
	PerDevice bool
	Interval  time.Duration // between two readings of a device; 0 means 5 s
	// AckTimeout is how long to wait for an answer before sending again; 0 means 5 s.
	AckTimeout time.Duration
	// Backlog is how many readings a device keeps while the gateway does not take them,
	// beyond the one it is sending; 0 means 600. The oldest are kept.
	Backlog int
	// Drain is how long Run waits for the last acknowledgements; 0 means 4 s.
	Drain  time.Duration
	Ledger Ledger // may be nil
	Log    *slog.Logger
}

func (o *Options) defaults() error {
	switch {
	case o.Fleet == nil:
		return errors.New("publisher: Fleet is missing")
	case o.Log == nil:
		return errors.New("publisher: Log is missing")
	case len(o.Gateways) != len(o.Fleet.Buildings()):
		return fmt.Errorf("publisher: %d gateways for %d buildings", len(o.Gateways), len(o.Fleet.Buildings()))
	}
	if o.Protocol == "" {
		o.Protocol = NATS
	}
	if o.Protocol != NATS && o.Protocol != MQTT {
		return fmt.Errorf("publisher: protocol %q is neither nats nor mqtt", o.Protocol)
	}
	setDefault(&o.Interval, 5*time.Second)
	setDefault(&o.AckTimeout, 5*time.Second)
	setDefault(&o.Drain, 4*time.Second)
	setDefault(&o.Backlog, 600)
	if o.Interval < fleet.MinInterval {
		return fmt.Errorf("publisher: interval %s is shorter than %s", o.Interval, fleet.MinInterval)
	}
	return nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Publisher sends for a fleet. Make it with New.
type Publisher struct {
	opts    Options
	workers []*worker // one for each gateway
}

// New returns a publisher. It does not connect yet.
func New(o Options) (*Publisher, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	p := &Publisher{opts: o}
	p.opts.Log = o.Log.With("component", "publisher")
	for b := range o.Gateways {
		p.workers = append(p.workers, newWorker(&p.opts, b))
	}
	return p, nil
}

// Run sends until ctx ends, then waits for the acknowledgements that are due, at most
// Drain long, and closes the connections. Gateways that cannot be reached are tried
// until they can be; Run fails only when a connection cannot even be set up.
func (p *Publisher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(p.workers))
	begin := time.Now()
	for i, w := range p.workers {
		wg.Go(func() { errs[i] = w.run(ctx, begin) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Stats returns the totals since the publisher was made.
func (p *Publisher) Stats() Stats {
	var s Stats
	for _, w := range p.workers {
		w.mu.Lock()
		s.add(&w.stats)
		w.mu.Unlock()
	}
	return s
}

// TakeLatency returns how long acknowledgements took since it was called last, from a
// reading's first sending on.
func (p *Publisher) TakeLatency() *Latency {
	l := NewLatency()
	for _, w := range p.workers {
		w.mu.Lock()
		l.Merge(w.latency)
		w.latency.Reset()
		w.mu.Unlock()
	}
	return l
}
