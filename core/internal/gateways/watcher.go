package gateways

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/wire"
)

// lookEvery is how often the connection to the hub is looked at.
const lookEvery = 250 * time.Millisecond

// Watcher is a Judge that listens to the hub. Its methods may be called from any
// goroutine.
type Watcher struct {
	log *slog.Logger

	mu    sync.Mutex
	judge *Judge
}

// NewWatcher returns a Watcher. It hears nothing until Run.
func NewWatcher(log *slog.Logger, o Options) (*Watcher, error) {
	switch {
	case log == nil:
		return nil, errors.New("gateways: a logger is required")
	case o.Silence <= 0:
		return nil, errors.New("gateways: Silence is required")
	}
	return &Watcher{log: log.With("component", "gateways"), judge: New(o, time.Now().UnixMilli())}, nil
}

// Run listens until ctx ends. A hub that is away is waited for.
func (w *Watcher) Run(ctx context.Context, nc *nats.Conn) error {
	status, err := nc.Subscribe(wire.StatusSubjects, w.heartbeat)
	if err != nil {
		return fmt.Errorf("subscribing to heartbeats: %w", err)
	}
	defer func() { _ = status.Unsubscribe() }()
	ledgers, err := nc.Subscribe(wire.LedgerSubjects, w.ledger)
	if err != nil {
		return fmt.Errorf("subscribing to ledgers: %w", err)
	}
	defer func() { _ = ledgers.Unsubscribe() }()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		w.Link(nc.IsConnected())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (w *Watcher) heartbeat(m *nats.Msg) {
	s, err := wire.DecodeGatewayStatus(m.Data)
	if err != nil || wire.StatusSubject(s.Gateway) != m.Subject {
		w.log.Debug("heartbeat is unreadable", "subject", m.Subject, "err", err)
		return
	}
	w.with(func(j *Judge, now int64) { j.Heartbeat(s, now) })
}

func (w *Watcher) ledger(m *nats.Msg) {
	l, err := wire.DecodeGatewayLedger(m.Data)
	if err != nil || wire.LedgerSubject(l.Gateway) != m.Subject {
		w.log.Debug("ledger is unreadable", "subject", m.Subject, "err", err)
		return
	}
	w.with(func(j *Judge, now int64) { j.Ledger(l, now) })
}

// Link tells whether the hub can be heard.
func (w *Watcher) Link(up bool) { w.with(func(j *Judge, now int64) { j.Link(up, now) }) }

// Know makes gateways known that ought to be there.
func (w *Watcher) Know(names ...string) {
	w.with(func(j *Judge, _ int64) {
		for _, name := range names {
			j.Know(name)
		}
	})
}

// Known returns the names of all gateways.
func (w *Watcher) Known() (names []string) {
	w.with(func(j *Judge, _ int64) { names = j.Known() })
	return names
}

// Alive takes in a live reading of a gateway that came through at a time.
func (w *Watcher) Alive(name string, at int64) {
	w.with(func(j *Judge, _ int64) { j.Alive(name, at) })
}

// Live returns when a live reading of each gateway last came through.
func (w *Watcher) Live() (live map[string]int64) {
	w.with(func(j *Judge, _ int64) { live = j.Live() })
	return live
}

// Look returns what is known of a gateway at now, in ms.
func (w *Watcher) Look(name string, now int64) (v Verdict, ok bool) {
	w.with(func(j *Judge, _ int64) { v, ok = j.Look(name, now) })
	return v, ok
}

func (w *Watcher) with(f func(j *Judge, now int64)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.judge, time.Now().UnixMilli())
}
