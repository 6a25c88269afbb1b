// Package people knows who may use the portal and in which role: people with passwords, tokens of programs,
// and sessions. What they may do is decided by package web. Sign-ins block on the computation of a
// hash, other methods on the Store, except that credentials that were checked within the last second
// are remembered.
package people

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/lifecycle"
)

const (
	// longestSession is when a session ends at the latest.
	longestSession = 12 * time.Hour
	// longestIdle is when a session ends that nobody uses. An open page uses it.
	longestIdle = time.Hour

	// lookEvery is how often the version is looked at, from which follows how soon a change holds on other portals.
	lookEvery = 200 * time.Millisecond
	// lookWithin bounds a look, trustFor how old one may be.
	lookWithin = 3 * time.Second
	trustFor   = 800 * time.Millisecond
	// noteEvery is how often uses are written.
	noteEvery = 30 * time.Second
	// mostRemembered bounds the remembered credentials.
	mostRemembered = 10_000
)

// Options of a Directory. Store, Log and Registry are required.
type Options struct {
	Store    Store
	Log      *slog.Logger
	Registry prometheus.Registerer
	Now      func() time.Time // nil: time.Now
	// HashMemory is what the hash of a new password takes, in KiB; 0: 64 MiB. Less is for tests.
	HashMemory uint32
	// First is the administrator that Run adds if there is nobody. Without a password it adds none.
	First, FirstPassword string
	// FirstAdded is called after Run added it; may be nil.
	FirstAdded func(name string)
}

// Directory answers who a caller is. It is safe for concurrent use.
type Directory struct {
	store    Store
	log      *slog.Logger
	now      func() time.Time
	hasher   *hasher
	throttle *throttle
	metrics  *metrics
	first    User // to be added, see Options
	added    func(name string)

	mu         sync.Mutex
	version    int64
	lookedAt   time.Time // when the newest look began, by the clock of the machine
	generation int64     // changes when what is remembered is forgotten
	remembered map[string]Grant
	used       map[string]Use // by hash, what is not written yet
	watches    map[*Watch]struct{}
}

var errOptions = errors.New("people: Store, Log and Registry are required")

// New returns a Directory.
func New(o Options) (*Directory, error) {
	if o.Store == nil || o.Log == nil || o.Registry == nil {
		return nil, errOptions
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HashMemory == 0 {
		o.HashMemory = argonMemory
	}
	d := &Directory{
		first: User{Name: o.First, Password: o.FirstPassword}, added: o.FirstAdded, store: o.Store, log: o.Log.With("component", "people"), now: o.Now, hasher: newHasher(o.HashMemory), throttle: newThrottle(o.Now),
		remembered: make(map[string]Grant), used: make(map[string]Use), watches: make(map[*Watch]struct{}),
	}
	var err error
	d.metrics, err = newMetrics(o.Registry, d.hasher)
	return d, err
}

// Run looks for changes that other portals made, and writes what was used, until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	settled := false
	for noted := time.Now(); lifecycle.Pause(ctx, lookEvery); {
		settled = settled || d.settle(ctx)
		d.look(ctx)
		d.judge(ctx)
		if time.Since(noted) >= noteEvery {
			noted = time.Now()
			d.note(ctx)
		}
	}
	return nil
}

// settle makes the first administrator if there is none, and reports whether there is one, or said that nobody can sign in.
func (d *Directory) settle(ctx context.Context) bool {
	if d.first.Password == "" {
		all, err := d.store.Users(ctx)
		if err == nil && len(all) == 0 {
			d.log.Warn("nobody can sign in with a password yet; add an administrator with portal user add NAME -role admin, or PORTAL_ADMIN_PASSWORD_FILE")
		}
		return err == nil
	}
	added, err := d.AddFirst(ctx, d.first.Name, d.first.Password)
	if added {
		d.log.Info("first administrator added", "name", d.first.Name)
		if d.added != nil {
			d.added(d.first.Name)
		}
	}
	if errors.Is(err, ErrInvalid) {
		d.log.Error("first administrator not added", "err", err)
		return true
	}
	return err == nil
}

// look reads the version, and forgets what is remembered if it is another one.
func (d *Directory) look(ctx context.Context) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	version, err := d.store.Version(ctx)
	if err != nil {
		return // the store logs that; soon nothing that is remembered counts
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if version != d.version {
		d.version = version
		d.forget()
	}
	d.lookedAt = began
}

// forget is called with d.mu held.
func (d *Directory) forget() {
	d.generation++
	clear(d.remembered)
	for w := range d.watches {
		w.doubted = true
	}
}

// changed forgets what is remembered after a change made here.
func (d *Directory) changed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget()
}

// Check returns what a cookie or token proves, and notes that it was used. With fresh nothing remembered
// counts. It fails with ErrNotSignedIn, or the error of the store.
func (d *Directory) Check(ctx context.Context, credential string, fresh bool) (Grant, error) {
	if credential == "" || len(credential) > longestCredential {
		return Grant{}, ErrNotSignedIn
	}
	return d.check(ctx, KindOf(credential), hashOf(credential), fresh)
}

func (d *Directory) check(ctx context.Context, kind Kind, hash string, fresh bool) (Grant, error) {
	d.mu.Lock()
	g, known := d.remembered[hash]
	generation := d.generation
	now := d.now().UnixMilli()
	if !fresh && known && time.Since(d.lookedAt) < trustFor && g.holds(d.used[hash].At, now) {
		d.use(kind, hash, now)
		d.mu.Unlock()
		return g, nil
	}
	d.mu.Unlock()
	g, err := d.store.Grant(ctx, kind, hash)
	if errors.Is(err, ErrUnknown) {
		return Grant{}, ErrNotSignedIn
	}
	if err != nil {
		return Grant{}, err
	}
	g.ID = idOf(hash)
	if kind == KindSession {
		g.Idle = longestIdle.Milliseconds()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !g.holds(d.used[hash].At, now) {
		delete(d.remembered, hash)
		return Grant{}, ErrNotSignedIn
	}
	d.use(kind, hash, now)
	if generation == d.generation { // else it may be older than a change
		if len(d.remembered) >= mostRemembered {
			clear(d.remembered)
		}
		d.remembered[hash] = g
	}
	return g, nil
}

// use is called with d.mu held.
func (d *Directory) use(kind Kind, hash string, now int64) {
	if _, known := d.used[hash]; known || len(d.used) < mostRemembered {
		d.used[hash] = Use{kind, hash, now}
	}
}

// note writes what was used since it did so last.
func (d *Directory) note(ctx context.Context) {
	d.mu.Lock()
	uses := make([]Use, 0, len(d.used))
	for u := range maps.Values(d.used) {
		uses = append(uses, u)
	}
	d.mu.Unlock()
	if len(uses) == 0 || d.store.Touch(ctx, uses) != nil {
		return // the next time
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range uses {
		if d.used[u.Hash] == u {
			delete(d.used, u.Hash)
		}
		if g, known := d.remembered[u.Hash]; known {
			g.UsedAt = max(g.UsedAt, u.At)
			d.remembered[u.Hash] = g
		}
	}
}

// Watch is a connection that lasts as long as what its credential proves.
type Watch struct {
	d       *Directory
	kind    Kind
	hash    string
	doubted bool // it has to be checked; guarded by d.mu
	ended   bool // guarded by d.mu
}

// Watch watches a credential until Close.
func (d *Directory) Watch(credential string) *Watch {
	w := &Watch{d: d, kind: KindOf(credential), hash: hashOf(credential), doubted: true}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watches[w] = struct{}{}
	return w
}

// Ended reports whether the credential proves nothing any more. While the store is away it does not.
func (w *Watch) Ended() bool {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	return w.ended
}

// Close ends the watch.
func (w *Watch) Close() {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	delete(w.d.watches, w)
}

// judge checks the credentials of connections that may have ended. The others count as used.
func (d *Directory) judge(ctx context.Context) {
	var doubted []*Watch
	d.mu.Lock()
	now := d.now().UnixMilli()
	for w := range d.watches {
		g := d.remembered[w.hash]
		switch {
		case w.ended:
		case w.doubted || !g.holds(d.used[w.hash].At, now):
			doubted = append(doubted, w)
		default:
			d.use(w.kind, w.hash, now)
		}
	}
	d.mu.Unlock()
	for _, w := range doubted {
		d.mu.Lock()
		w.doubted = false // a change from now on makes it doubtful again
		d.mu.Unlock()
		_, err := d.check(ctx, w.kind, w.hash, false)
		d.mu.Lock()
		w.ended = errors.Is(err, ErrNotSignedIn)
		away := err != nil && !w.ended
		w.doubted = w.doubted || away
		d.mu.Unlock()
		if away {
			return // the others stay doubtful
		}
	}
}
