// Package publisher sends the readings of a fleet to gateways as devices or concentrators
// would: each sender at its own point of the interval, one message at a time, repeated
// until it is acknowledged or refused for good. It parses no flags and prints nothing. Run blocks
// until its context ends; the other methods do not block.
package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/wire"
)

// Protocol of the devices.
type Protocol string

// Protocols.
const (
	NATS Protocol = "nats" // requests, answered by the gateway
	MQTT Protocol = "mqtt" // MQTT 3.1.1 publishes of QoS 1
)

// Ledger records every acknowledged reading, at the time of its acknowledgement. attempts
// is how often it was sent; after more than one, the gateway may have stored it more than
// once. Acked is called from several goroutines and should not block.
type Ledger interface {
	Acked(deviceID string, timestamp int64, attempts int)
}

// Options of a publisher. Fleet, Gateways and Log are required.
type Options struct {
	Fleet    *fleet.Fleet
	Gateways []string // host:port of the gateway of each building of the fleet
	Protocol Protocol // empty means NATS
	// PerDevice opens a connection for each device; otherwise the devices of a building
	// share a few. A connection costs a file descriptor here and at the gateway, and about
	// 20 KB of memory here with MQTT, 50 KB with NATS.
	PerDevice bool
	// Batch is how many devices share a concentrator, which sends one reading of each in
	// one message; 0 means that each device sends for itself.
	Batch int
	// Repeat is the share of acknowledged messages that are sent again, as by devices that
	// missed the answer.
	Repeat   float64
	Interval time.Duration // between two readings of a device; 0 means 5 s
	// AckTimeout is how long to wait for an answer before a resend; 0 means 5 s.
	AckTimeout time.Duration
	// Backlog is how many readings a device keeps behind its current one; 0 means 600.
	// When it is full, new readings are dropped.
	Backlog int
	// Drain is how long Run waits for the last acknowledgements; 0 means 4 s.
	Drain  time.Duration
	Ledger Ledger // may be nil
	Log    *slog.Logger
}

func (o *Options) defaults() error {
	switch {
	case o.Fleet == nil:
		return errors.New("publisher: Options.Fleet is required")
	case o.Log == nil:
		return errors.New("publisher: Options.Log is required")
	case len(o.Gateways) != len(o.Fleet.Buildings()):
		return fmt.Errorf("publisher: %d gateways for %d buildings", len(o.Gateways), len(o.Fleet.Buildings()))
	}
	if o.Protocol = cmp.Or(o.Protocol, NATS); o.Protocol != NATS && o.Protocol != MQTT {
		return fmt.Errorf("publisher: protocol %q is neither nats nor mqtt", o.Protocol)
	}
	o.Interval = cmp.Or(o.Interval, 5*time.Second)
	o.AckTimeout = cmp.Or(o.AckTimeout, 5*time.Second)
	o.Drain = cmp.Or(o.Drain, 4*time.Second)
	o.Backlog = cmp.Or(o.Backlog, 600)
	o.Batch = max(o.Batch, 1)
	switch {
	case o.Batch > wire.MaxBatchReadings:
		return fmt.Errorf("publisher: batch of %d, want at most %d", o.Batch, wire.MaxBatchReadings)
	case !(o.Repeat >= 0 && o.Repeat <= 1):
		return fmt.Errorf("publisher: repeat %v is not in 0..1", o.Repeat)
	}
	if o.Interval < fleet.MinInterval {
		return fmt.Errorf("publisher: interval %s is shorter than %s", o.Interval, fleet.MinInterval)
	}
	return nil
}

// Publisher sends the readings of a fleet. Create it with New.
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

// Run sends until ctx ends, then waits for outstanding acknowledgements, at most Drain, and
// closes the connections. It retries unreachable gateways; it fails only if a connection
// cannot be set up at all.
func (p *Publisher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(p.workers))
	start := time.Now()
	for i, w := range p.workers {
		wg.Go(func() { errs[i] = w.run(ctx, start) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Stats returns the totals since New.
func (p *Publisher) Stats() Stats {
	var s Stats
	for _, w := range p.workers {
		w.mu.Lock()
		s.add(&w.stats)
		w.mu.Unlock()
	}
	return s
}

// DrainLatency returns the times from the first sending of a reading to its acknowledgement
// since the last call.
func (p *Publisher) DrainLatency() *Latency {
	l := NewLatency()
	for _, w := range p.workers {
		w.mu.Lock()
		l.Merge(w.latency)
		w.latency.Reset()
		w.mu.Unlock()
	}
	return l
}
