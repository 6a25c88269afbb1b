// Package roster tracks which gateways exist: those whose heartbeats arrive. It keeps the
// latest heartbeat of each epoch, removes a gateway that fell silent, and detects two
// installations under one gateway id. It does not read their streams. Only Run blocks,
// until its context ends.
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

const (
	// maxGateways bounds the roster, so that junk on the status subjects costs little.
	maxGateways = 10_000
	// maxEpochs is how many epochs of a gateway keep their last heartbeat.
	maxEpochs = 8
)

// ErrInvalid is returned for a heartbeat that no gateway sends.
var ErrInvalid = errors.New("invalid heartbeat")

// Options of a Roster.
type Options struct {
	Log *slog.Logger // required
	// Expire is how long a silent gateway stays on the list, and its stream is retried. 0
	// means 10 minutes: packs flow as soon as its line is back, before its first heartbeat.
	Expire time.Duration
}

// Roster is the list of gateways. It is safe for concurrent use.
type Roster struct {
	log    *slog.Logger
	expire time.Duration

	mu        sync.Mutex
	gateways  map[string]*entry
	listeners map[chan struct{}]struct{} // see Subscribe
}

// entry is one gateway. It stays when the gateway falls silent: its claims are needed when
// it comes back with fewer packs.
type entry struct {
	silent    bool
	heard     time.Time
	beats     []wire.GatewayStatus // the last one of each epoch, the current epoch's last
	duplicate duplicate
}

// status returns the latest heartbeat.
func (e *entry) status() wire.GatewayStatus { return e.beats[len(e.beats)-1] }

// listed reports whether the gateway's stream is to be read.
func (e *entry) listed() bool { return !e.silent && !e.duplicate.beats }

// New returns an empty roster.
func New(o Options) (*Roster, error) {
	if o.Log == nil {
		return nil, errors.New("roster: Options.Log is required")
	}
	if o.Expire == 0 {
		o.Expire = 10 * time.Minute
	}
	return &Roster{
		log: o.Log.With("component", "roster"), expire: o.Expire,
		gateways: map[string]*entry{}, listeners: map[chan struct{}]struct{}{},
	}, nil
}

// Observe records a heartbeat received on subject, and returns it. Its error wraps ErrInvalid and gives
// the reason.
func (r *Roster) Observe(subject string, data []byte) (wire.GatewayStatus, error) {
	s, err := wire.DecodeGatewayStatus(data)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// A gateway's id is a NATS subject token, a JetStream domain and part of a
	// stream's name: the rule of device ids suits all three.
	if !telemetry.ValidDeviceID(s.Gateway) {
		return s, fmt.Errorf("%w: gateway id %.80q", ErrInvalid, s.Gateway)
	}
	if subject != wire.StatusSubject(s.Gateway) {
		return s, fmt.Errorf("%w: gateway %s on subject %.200s", ErrInvalid, s.Gateway, subject)
	}
	return s, r.record(s)
}

func (r *Roster) record(s wire.GatewayStatus) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.gateways[s.Gateway]
	if e == nil {
		if len(r.gateways) >= maxGateways && !r.makeRoom() {
			return fmt.Errorf("%w: more than %d gateways", ErrInvalid, maxGateways)
		}
		e = &entry{silent: true}
		r.gateways[strings.Clone(s.Gateway)] = e
	}
	if r.checkDuplicate(e, s) {
		return nil
	}
	if e.silent {
		r.log.Info("gateway appeared", "gateway", s.Gateway, "building", s.Building)
		e.silent = false
		r.notify()
	}
	e.heard = time.Now()
	e.note(s)
	return nil
}

// note keeps a heartbeat as the last one of its epoch.
func (e *entry) note(s wire.GatewayStatus) {
	if n := len(e.beats); n > 0 && e.beats[n-1].Epoch == s.Epoch {
		e.beats[n-1] = s
		return
	}
	e.beats = slices.DeleteFunc(e.beats, func(b wire.GatewayStatus) bool { return b.Epoch == s.Epoch })
	e.beats = append(e.beats, s)
	e.beats = e.beats[max(0, len(e.beats)-maxEpochs):]
}

// makeRoom removes the gateway that has been silent for longest. r.mu is held.
func (r *Roster) makeRoom() bool {
	var oldest string
	for id, e := range r.gateways {
		if e.silent && (oldest == "" || e.heard.Before(r.gateways[oldest].heard)) {
			oldest = id
		}
	}
	delete(r.gateways, oldest)
	return oldest != ""
}

// notify signals the listeners. r.mu is held.
func (r *Roster) notify() {
	for w := range r.listeners {
		select {
		case w <- struct{}{}:
		default: // one is pending already
		}
	}
}

// Run expires silent gateways until ctx ends.
func (r *Roster) Run(ctx context.Context) error {
	tick := time.NewTicker(min(r.expire/10, successionAfter/4))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.expireSilent()
		}
	}
}

// expireSilent takes silent gateways off the list and ends duplicates that are over.
func (r *Roster) expireSilent() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for gateway, e := range r.gateways {
		r.settleDuplicate(gateway, e)
		if silent := time.Since(e.heard); !e.silent && silent >= r.expire {
			r.log.Warn("gateway disappeared", "gateway", gateway, "silent", silent.Round(time.Second))
			e.silent = true
			r.notify()
		}
	}
}

// Gateways returns the ids of the gateways to read, sorted: all but the silent ones and
// those with a duplicate.
func (r *Roster) Gateways() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.gateways))
	for id, e := range r.gateways {
		if e.listed() {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// Listed reports whether a gateway is to be read and sent a heartbeat within a time.
func (r *Roster) Listed(gateway string, within time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.gateways[gateway]
	return e != nil && e.listed() && time.Since(e.heard) <= within
}

// Statuses returns the latest heartbeat of every gateway that is not silent, sorted by
// gateway.
func (r *Roster) Statuses() []wire.GatewayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]wire.GatewayStatus, 0, len(r.gateways))
	for _, id := range slices.Sorted(maps.Keys(r.gateways)) {
		if e := r.gateways[id]; !e.silent {
			out = append(out, e.status())
		}
	}
	return out
}

// Latest returns a gateway's newest heartbeat, the zero value before the first one. It includes
// gateways that fell silent.
func (r *Roster) Latest(gateway string) wire.GatewayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.gateways[gateway]; e != nil && len(e.beats) > 0 {
		return e.status()
	}
	return wire.GatewayStatus{}
}

// Heard returns the last heartbeat of each of a gateway's newest epochs, the current one
// last. It includes gateways that fell silent.
func (r *Roster) Heard(gateway string) []wire.GatewayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.gateways[gateway]; e != nil {
		return slices.Clone(e.beats)
	}
	return nil
}

// Subscribe returns a channel that receives a signal when a gateway appeared or disappeared,
// and a function that ends the subscription. Pending signals merge into one.
func (r *Roster) Subscribe() (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners[w] = struct{}{}
	return w, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.listeners, w)
	}
}
