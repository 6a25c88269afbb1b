// Package roster knows which gateways exist: those whose heartbeats arrive. It holds
// the latest heartbeat of each and forgets a gateway that went silent. It is not for
// reading their streams. Nothing but Run blocks, and Run until its context ends.
package roster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// maxGateways bounds the roster, so that nonsense on the status subjects costs little.
const maxGateways = 10_000

// ErrInvalid says that a heartbeat cannot be a gateway's.
var ErrInvalid = errors.New("invalid heartbeat")

// Options of a Roster.
type Options struct {
	Log *slog.Logger // required
	// Expire is how long a silent gateway stays known. 0 means 30 s.
	Expire time.Duration
}

// Roster is the list of known gateways. It is safe for concurrent use.
type Roster struct {
	log    *slog.Logger
	expire time.Duration

	mu       sync.Mutex
	gateways map[string]*entry
	watchers map[chan struct{}]struct{}
}

type entry struct {
	status wire.GatewayStatus
	heard  time.Time
	// former is the last heartbeat of the epoch before this one, if it was heard.
	former wire.GatewayStatus
}

// New returns an empty roster.
func New(o Options) (*Roster, error) {
	if o.Log == nil {
		return nil, errors.New("roster: Options.Log is required")
	}
	if o.Expire == 0 {
		o.Expire = 30 * time.Second
	}
	return &Roster{
		log: o.Log.With("component", "roster"), expire: o.Expire,
		gateways: map[string]*entry{}, watchers: map[chan struct{}]struct{}{},
	}, nil
}

// Observe takes a heartbeat received on subject. The error is ErrInvalid, wrapped with
// what was wrong.
func (r *Roster) Observe(subject string, data []byte) error {
	s, err := wire.DecodeGatewayStatus(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// A gateway's id is a NATS subject token, a JetStream domain and part of a
	// stream's name: the rule of device ids suits all three.
	if !telemetry.ValidDeviceID(s.Gateway) {
		return fmt.Errorf("%w: gateway id %.80q", ErrInvalid, s.Gateway)
	}
	if subject != wire.StatusSubject(s.Gateway) {
		return fmt.Errorf("%w: gateway %s on subject %.200s", ErrInvalid, s.Gateway, subject)
	}
	return r.take(s)
}

func (r *Roster) take(s wire.GatewayStatus) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, known := r.gateways[s.Gateway]
	if !known {
		if len(r.gateways) >= maxGateways {
			return fmt.Errorf("%w: more than %d gateways", ErrInvalid, maxGateways)
		}
		e = &entry{}
		r.gateways[strings.Clone(s.Gateway)] = e
		r.log.Info("gateway appeared", "gateway", s.Gateway, "building", s.Building)
		r.changed()
	}
	if known && e.status.Epoch != s.Epoch {
		e.former = e.status
		r.log.Info("gateway restarted", "gateway", s.Gateway, "epoch", s.Epoch)
	}
	e.status, e.heard = s, time.Now()
	return nil
}

// changed tells the watchers; r.mu is held.
func (r *Roster) changed() {
	for w := range r.watchers {
		select {
		case w <- struct{}{}:
		default: // it has one to look at already
		}
	}
}

// Run forgets silent gateways until ctx ends.
func (r *Roster) Run(ctx context.Context) error {
	tick := time.NewTicker(r.expire / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.forget()
		}
	}
}

func (r *Roster) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.gateways)
	maps.DeleteFunc(r.gateways, func(gateway string, e *entry) bool {
		silent := time.Since(e.heard)
		if silent < r.expire {
			return false
		}
		r.log.Warn("gateway vanished", "gateway", gateway, "silent", silent.Round(time.Second))
		return true
	})
	if len(r.gateways) != before {
		r.changed()
	}
}

// Gateways returns the ids of the known gateways, sorted.
func (r *Roster) Gateways() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.gateways))
}

// Statuses returns the latest heartbeat of every known gateway, sorted by gateway.
func (r *Roster) Statuses() []wire.GatewayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]wire.GatewayStatus, 0, len(r.gateways))
	for _, e := range r.gateways {
		out = append(out, e.status)
	}
	slices.SortFunc(out, func(a, b wire.GatewayStatus) int { return strings.Compare(a.Gateway, b.Gateway) })
	return out
}

// Heard returns the latest heartbeat of a gateway and the last one of the epoch before
// it. One that was not heard is the zero value.
func (r *Roster) Heard(gateway string) (now, before wire.GatewayStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.gateways[gateway]; ok {
		return e.status, e.former
	}
	return now, before
}

// Watch returns a channel that gets a signal when a gateway has appeared or vanished,
// and a function that ends the watch. Signals that nobody took yet count as one.
func (r *Roster) Watch() (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[w] = struct{}{}
	return w, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, w)
	}
}
