// Package share is what the portals of a plant share by a Redis: the newest reading of every device, so that
// a portal that starts need not wait for each device to send; who is at the screens; and rate limits.
// None of it has its truth there: without Redis, or while it is away, slow, or empty after a restart, a
// portal has what it has alone.
//
// One goroutine, Run, does all but Take. It owns the writing of readings: the model, locked, only marks a
// device as changed, and once a second what has changed is written, so that a device costs a byte however
// long Redis is away. Take blocks for quickWithin at most, Run as long as its context lives, nothing else.
package share

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/portal/internal/operators"
	"industrial-iot-monitor/portal/internal/state"
)

const (
	// dialWithin and commandWithin bound a connection attempt and a command of Run.
	dialWithin    = time.Second
	commandWithin = 500 * time.Millisecond
	// quickWithin bounds what a request waits for.
	quickWithin = 50 * time.Millisecond
	// every is the interval of writes.
	every = time.Second
	// loadSoon is when readings are loaded again after the first time: portals that connect later than this one
	// have written theirs by then. loadEvery brings those that this portal missed, while the hub was away for
	// example.
	loadSoon, loadEvery = 10 * time.Second, time.Minute
	// Pauses between attempts while Redis is away: the first one, and the longest.
	retryFirst, retryMost = time.Second, 8 * time.Second
)

// Options of a Share. All but Confirmed are required.
type Options struct {
	URL       string // redis://user:password@host:6379/0, or rediss://
	Prefix    string // of all keys: plants that share a Redis have different ones
	Model     *state.Model
	Operators *operators.Board
	// Confirmed reports whether core's states of all devices have been read; nil: they never are.
	Confirmed func() bool
	Log       *slog.Logger
	Registry  prometheus.Registerer
}

// Share is a portal's side of a Redis. All methods may be called concurrently.
type Share struct {
	opts    Options
	model   *state.Model
	log     *slog.Logger
	metrics *metrics
	id      string        // of this portal in keys
	bulk    *redis.Client // of Run
	quick   *redis.Client // of requests
	keys    keys
	gate    gate
	changed marks

	up      atomic.Bool
	written atomic.Int64

	removing removals

	// Of Run.
	said     bool // the log has that Redis is away
	confirm  confirmation
	patience time.Duration // in place of confirmWithin and of the times to load again, for tests
	encoder  encoder
	buf      []byte
}

// keys are in one slot of a Redis cluster: scripts have to reach several.
type keys struct{ newest, removed, operators, limits string }

func newKeys(prefix string) keys {
	at := func(name string) string { return "{" + prefix + "}:" + name }
	return keys{newest: at("newest:1"), removed: at("removed:1"), operators: at("operators:1"), limits: at("limit:")}
}

var (
	errOptions = errors.New("share: URL, Prefix, Model, Operators, Log and Registry are required")
	// ErrURL is returned for an address that is not one of a Redis.
	ErrURL = errors.New("want redis://user:password@host:6379/0, or rediss:// for TLS")
)

// CheckURL returns ErrURL if text is no address of a Redis, without its password in the error.
func CheckURL(text string) error {
	_, err := parse(text)
	return err
}

func parse(text string) (*redis.Options, error) {
	if u, err := url.Parse(text); err != nil || (u.Scheme != "redis" && u.Scheme != "rediss") || u.Hostname() == "" {
		return nil, ErrURL
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, ErrURL // its text may have the password
	}
	return o, nil
}

// New returns a Share that observes o.Model; Run connects it.
func New(o Options) (*Share, error) {
	if o.URL == "" || o.Prefix == "" || o.Model == nil || o.Operators == nil || o.Log == nil || o.Registry == nil {
		return nil, errOptions
	}
	s := &Share{opts: o, model: o.Model, log: o.Log.With("component", "redis"), id: rand.Text(), keys: newKeys(o.Prefix)}
	for client, within := range map[**redis.Client]time.Duration{&s.bulk: commandWithin, &s.quick: quickWithin} {
		ro, err := parse(o.URL)
		if err != nil {
			return nil, err
		}
		*client = redis.NewClient(settings(ro, within))
	}
	var err error
	if s.metrics, err = newMetrics(o.Registry, s); err != nil {
		return nil, errors.Join(err, s.close())
	}
	o.Model.Observe(s)
	return s, nil
}

// silence stops the library's own log, which is one for the process: what fails is returned, and logged once
// an outage.
var silence = sync.OnceFunc(logging.Disable)

// settings bounds everything, and leaves retries to us: one that the library makes unseen would double the
// time that a request waits.
func settings(o *redis.Options, within time.Duration) *redis.Options {
	silence()
	o.ClientName = "portal"
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = min(dialWithin, 2*within), within, within, within
	o.ContextTimeoutEnabled = true
	o.PoolSize = 16
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	dialer := &net.Dialer{Timeout: o.DialTimeout, KeepAlive: 10 * time.Second}
	if o.TLSConfig == nil {
		o.Dialer = dialer.DialContext
	}
	return o
}

// Where names the Redis, without a password.
func (s *Share) Where() string { return "redis://" + s.bulk.Options().Addr }

// Figures are those of the API.
type Figures struct {
	// Up: it answers.
	Up bool `json:"up"`
	// Loaded is how many readings came from there since the start: those that were the newest of their device.
	Loaded int64 `json:"loaded"`
	// Written is how many readings were written there since the start.
	Written int64 `json:"written"`
	// Pending is how many devices have a reading that was not written yet.
	Pending int `json:"pending"`
}

// Figures returns the current figures.
func (s *Share) Figures() Figures {
	return Figures{Up: s.up.Load(), Loaded: s.model.Totals().Restored, Written: s.written.Load(), Pending: s.changed.length()}
}

// Run shares until ctx ends. Whatever fails, it connects again, gets what it missed and writes what it has.
func (s *Share) Run(ctx context.Context) error {
	pause := retryFirst
	for ctx.Err() == nil {
		connected, err := s.session(ctx)
		if ctx.Err() != nil {
			break
		}
		s.note(err)
		if connected {
			pause = retryFirst
		}
		lifecycle.Pause(ctx, pause)
		pause = min(2*pause, retryMost)
	}
	s.leave()
	return s.close()
}

// session shares until something fails. connected says that something had succeeded before.
func (s *Share) session(ctx context.Context) (connected bool, err error) {
	if err := s.load(ctx); err != nil {
		return false, err
	}
	s.note(nil)
	s.markAll()
	again := time.Now().Add(s.or(loadSoon))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if time.Now().After(again) {
			if err := s.load(ctx); err != nil {
				return true, err
			}
			again = time.Now().Add(s.or(loadEvery))
		}
		if err := s.exchangeOperators(ctx); err != nil {
			return true, err
		}
		if err := s.sendRemovals(ctx); err != nil {
			return true, err
		}
		if err := s.flush(ctx); err != nil {
			return true, err
		}
		s.dropUnconfirmed()
		select {
		case <-ctx.Done():
			return true, s.flush(context.WithoutCancel(ctx)) // what came since the last tick
		case <-tick.C:
		}
	}
}

// note records whether Redis answers. It logs changes only.
func (s *Share) note(err error) {
	s.up.Store(err == nil)
	switch {
	case err == nil:
		s.log.Info("redis answers", "redis", s.Where(), "devices", s.model.Totals().Restored)
	case !s.said:
		s.log.Warn("redis failed, retrying; this portal has its own values, operators and limits until then", "redis", s.Where(), "err", err)
	}
	if s.said = err != nil; s.said {
		s.metrics.failures.Inc()
	}
}

// run runs a script within commandWithin.
func (s *Share) run(ctx context.Context, script *redis.Script, keys []string, args []any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	start := time.Now()
	out, err := script.Run(ctx, s.bulk, keys, args...).Result()
	s.metrics.took.Observe(time.Since(start).Seconds())
	return out, err
}

// leave tells the other portals that nobody is at this one any more.
func (s *Share) leave() {
	if !s.up.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandWithin)
	defer cancel()
	if err := s.bulk.HDel(ctx, s.keys.operators, s.id).Err(); err != nil {
		s.log.Debug("operators could not be removed; they expire", "err", err)
	}
}

func (s *Share) close() error {
	var err error
	for _, c := range []*redis.Client{s.bulk, s.quick} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("closing the connections to redis: %w", err)
	}
	return nil
}

// gate keeps requests from waiting for a Redis that does not answer: after a failure one request tries again
// after a pause, the others go without.
type gate struct {
	mu    sync.Mutex
	until time.Time
	pause time.Duration // 0: it answers
	trial bool          // a request tries again
}

// open reports whether a request may ask. After a failure it lets one through for each pause.
func (g *gate) open(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pause == 0 {
		return true
	}
	if now.Before(g.until) {
		return false
	}
	g.until, g.trial = now.Add(g.pause), true
	return true
}

// result notes the end of a request's question.
func (g *gate) result(now time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		g.pause, g.trial = 0, false
	case g.pause == 0 || g.trial: // the others had asked before it was known
		g.pause, g.trial = min(max(2*g.pause, retryFirst), retryMost), false
		g.until = now.Add(g.pause)
	}
}
