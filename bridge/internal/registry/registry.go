// Package registry knows who may connect to the embedded hub: it holds the records of gateways and
// programs (package access) as they stand in Kafka, and decides about each connection. It does no
// I/O itself; Gateway blocks while the use of a claim is written down.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/ops"
)

// Mode is how strict the hub is.
type Mode string

// Modes. Observe is for plants that exist: who has no key yet is let in and counted, until a key
// was enrolled for it.
const (
	Off      Mode = "off"
	Observe  Mode = "observe"
	Required Mode = "required"
)

// Modes lists all modes.
func Modes() []Mode { return []Mode{Off, Observe, Required} }

// keepTimeout bounds writing the use of a claim down; the gateway waits for it.
const keepTimeout = 3 * time.Second

// maxUnproved bounds the ids that are remembered of gateways without a key.
const maxUnproved = 10_000

// ErrClient is returned for a program without a key that holds.
var ErrClient = errors.New("the program proves no key that holds")

// Options of a Registry. All are required.
type Options struct {
	Mode Mode
	// Keep writes a record down and returns when it can no longer be lost.
	Keep func(ctx context.Context, key string, value []byte) error
	// Changed is called after each change. It must not block.
	Changed  func()
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Registry is safe for concurrent use.
type Registry struct {
	o       Options
	log     *slog.Logger
	refused *prometheus.CounterVec

	mu       sync.Mutex
	read     bool // all records that there were at the start
	gateways map[string]*access.Gateway
	clients  map[string]*access.Client // by public key
	unproved map[string]bool           // gateways that were let in without a key
	bad      ops.LogLimit
}

// New returns an empty registry, which refuses every connection before Complete.
func New(o Options) (*Registry, error) {
	if o.Keep == nil || o.Changed == nil || o.Log == nil || o.Registry == nil {
		return nil, errors.New("registry: Options.Keep, Changed, Log and Registry are required")
	}
	r := &Registry{
		o: o, log: o.Log.With("component", "registry"),
		gateways: map[string]*access.Gateway{}, clients: map[string]*access.Client{}, unproved: map[string]bool{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_hub_refused_total", Help: "Connections to the embedded hub that were refused, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range reasons() {
		r.refused.WithLabelValues(reason)
	}
	o.Registry.MustRegister(r.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_hub_unproved_gateways", Help: "Gateways that were let in without a key since the start, with BRIDGE_HUB_AUTH=observe.",
	}, func() float64 { return float64(len(r.Unproved())) }))
	return r, nil
}

// Apply takes a record of the topic; a nil value removes it.
func (r *Registry) Apply(key string, value []byte) {
	if _, _, ok := access.OfDeviceRecordKey(key); ok {
		return // package handover has those
	}
	if err := r.apply(key, value); err != nil {
		if skipped, ok := r.bad.Allow(); ok {
			r.log.Error("record of who may connect is unusable, the one before it stays in force", "key", fmt.Sprintf("%.80s", key), "err", err, "skipped", skipped)
		}
		return
	}
	r.o.Changed()
}

func (r *Registry) apply(key string, value []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := access.OfGatewayRecordKey(key); ok {
		if value == nil {
			delete(r.gateways, id)
			return nil
		}
		g, err := access.DecodeGateway(value)
		if err == nil && g.ID != id {
			err = access.ErrNoRecord
		}
		if err == nil {
			r.gateways[id] = g
		}
		return err
	}
	name, ok := access.OfClientRecordKey(key)
	if !ok {
		return nil // of a newer version
	}
	c := &access.Client{Name: name}
	if value != nil {
		var err error
		if c, err = access.DecodeClient(value); err == nil && c.Name != name {
			err = access.ErrNoRecord
		}
		if err != nil {
			return err
		}
	}
	for public, old := range r.clients {
		if old.Name == name {
			delete(r.clients, public)
		}
	}
	if value != nil {
		r.clients[c.Public] = c
	}
	return nil
}

// Complete notes that all records there were at the start have been applied.
func (r *Registry) Complete() {
	r.mu.Lock()
	r.read = true
	r.mu.Unlock()
	r.o.Changed()
}

// Gateway decides about a gateway that has proved to own a key, empty if none, and shows the
// secret of a claim, empty if none. known reports whether the key is the gateway's, enrolled whether
// the claim was used for that now.
func (r *Registry) Gateway(id, key, secret string) (known, enrolled bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, enrolled, err = r.gateway(id, key, secret); err != nil {
		r.refused.WithLabelValues(reasonOf(err)).Inc()
	}
	return known, enrolled, err
}

func (r *Registry) gateway(id, key, secret string) (known, enrolled bool, err error) {
	if !r.read {
		return false, false, access.ErrUnread
	}
	g := r.gateways[id]
	if r.o.Mode == Observe && (g == nil || len(g.Keys) == 0 && g.Revoked == 0) && secret == "" {
		if len(r.unproved) < maxUnproved {
			r.unproved[id] = true
		}
		return false, false, nil
	}
	next, err := g.Admit(key, secret, time.Now().UnixMilli())
	if err != nil || next == nil {
		return err == nil, false, err
	}
	// The registry is held meanwhile: a claim that is used by two at once is used by one.
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	if err := r.o.Keep(ctx, access.GatewayRecordKey(id), next.Encode()); err != nil {
		return false, false, fmt.Errorf("writing down that the claim was used: %w", err)
	}
	r.gateways[id] = next
	delete(r.unproved, id)
	r.log.Info("gateway enrolled", "gateway", id, "building", next.Building, "key", key)
	return true, true, nil
}

// Holds reports whether a gateway that was let in with a key, empty for none that is known, may stay.
func (r *Registry) Holds(id, key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _, err := r.gateway(id, key, "")
	return err == nil
}

// Ready returns access.ErrUnread until the records were read once.
func (r *Registry) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read {
		return access.ErrUnread
	}
	return nil
}

// Client decides about a program that has proved to own a key, empty if none. With Observe one
// without a key gets no role and no error. With an error, too, it is what is known of the program.
func (r *Registry) Client(key string) (access.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.client(key)
	if err != nil {
		r.refused.WithLabelValues(reasonOf(err)).Inc()
	}
	return c, err
}

func (r *Registry) client(key string) (access.Client, error) {
	c := r.clients[key]
	switch {
	case key == "" && r.o.Mode == Observe:
		return access.Client{}, nil
	case !r.read:
		return access.Client{}, access.ErrUnread
	case c == nil:
		return access.Client{}, ErrClient
	case c.Revoked != 0:
		return access.Client{Name: c.Name}, fmt.Errorf("%w: %s was revoked", ErrClient, c.Name)
	}
	return *c, nil
}

// Unproved returns the gateways that were let in without a key and have none.
func (r *Registry) Unproved() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for id := range r.unproved {
		if g := r.gateways[id]; g == nil || len(g.Keys) == 0 {
			out = append(out, id)
		}
	}
	return out
}

// why gives the label of each reason.
var why = []struct {
	err   error
	label string
}{
	{access.ErrUnread, "unread"},
	{ErrClient, "client"},
	{access.ErrUnknown, "unknown"},
	{access.ErrRevoked, "revoked"},
	{access.ErrNoKey, "no_key"},
	{access.ErrKey, "wrong_key"},
	{access.ErrSpent, "wrong_claim"},
	{access.ErrExpired, "expired_claim"},
}

const otherReason = "not_written"

func reasonOf(err error) string {
	for _, w := range why {
		if errors.Is(err, w.err) {
			return w.label
		}
	}
	return otherReason
}

func reasons() []string {
	out := []string{otherReason}
	for _, w := range why {
		out = append(out, w.label)
	}
	return out
}
