// Package roster knows which gateways exist: those whose heartbeats arrive. It holds
// the latest heartbeat of each epoch that was heard, forgets a gateway that went silent,
// and notices when two installations send heartbeats under one id. It is not for reading
// their streams. Nothing but Run blocks, and Run until its context ends.
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
	// maxGateways bounds the roster, so that nonsense on the status subjects costs little.
	maxGateways = 10_000
	// maxEpochs bounds how many epochs of a gateway keep their last heartbeat.
	maxEpochs = 8
)

// ErrInvalid says that a heartbeat cannot be a gateway's.
var ErrInvalid = errors.New("invalid heartbeat")

// Options of a Roster.
type Options struct {
	Log *slog.Logger // required
	// Expire is how long a silent gateway stays known, and is tried to be read. 0 means
	// 10 minutes: one whose line comes back is then read again at once, before its first
	// heartbeat.
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

// entry is what is known of one gateway. It stays when the gateway goes silent: what it
// claimed to hold is needed when it comes back with less.
type entry struct {
	silent bool
	heard  time.Time
	beats  []wire.GatewayStatus // the last one of each epoch, the present epoch's last
	rival  rival
}

// status returns the latest heartbeat.
func (e *entry) status() wire.GatewayStatus { return e.beats[len(e.beats)-1] }

// listed says whether the gateway is to be read.
func (e *entry) listed() bool { return !e.silent && !e.rival.heard() }

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
	e := r.gateways[s.Gateway]
	if e == nil {
		if len(r.gateways) >= maxGateways && !r.makeRoom() {
			return fmt.Errorf("%w: more than %d gateways", ErrInvalid, maxGateways)
		}
		e = &entry{silent: true}
		r.gateways[strings.Clone(s.Gateway)] = e
	}
	if r.doubled(e, s) {
		return nil
	}
	if e.silent {
		r.log.Info("gateway appeared", "gateway", s.Gateway, "building", s.Building)
		e.silent = false
		r.changed()
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

// makeRoom removes a gateway that is silent. r.mu is held.
func (r *Roster) makeRoom() bool {
	for id, e := range r.gateways {
		if e.silent {
			delete(r.gateways, id)
			return true
		}
	}
	return false
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
	tick := time.NewTicker(min(r.expire/10, rivalSilence/4))
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

// forget takes silent gateways off the list and ends quarrels that are over.
func (r *Roster) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for gateway, e := range r.gateways {
		r.reconcile(gateway, e)
		if silent := time.Since(e.heard); !e.silent && silent >= r.expire {
			r.log.Warn("gateway vanished", "gateway", gateway, "silent", silent.Round(time.Second))
			e.silent = true
			r.changed()
		}
	}
}

// Gateways returns the ids of the gateways that are to be read, sorted: the known ones,
// but for those under whose id two installations are alive.
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

// Listed reports whether a gateway is to be read and was heard within a time.
func (r *Roster) Listed(gateway string, within time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.gateways[gateway]
	return e != nil && e.listed() && time.Since(e.heard) <= within
}

// Statuses returns the latest heartbeat of every known gateway, sorted by gateway.
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

// Heard returns the last heartbeat of each of a gateway's newest epochs, the present one
// last. It remembers gateways that went silent.
func (r *Roster) Heard(gateway string) []wire.GatewayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.gateways[gateway]; e != nil {
		return slices.Clone(e.beats)
	}
	return nil
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
