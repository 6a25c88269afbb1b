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

// linkEvery is how often the connection to the hub is checked.
const linkEvery = 250 * time.Millisecond

// Watchdog is a Judge fed from the hub. It is safe for concurrent use.
type Watchdog struct {
	log *slog.Logger

	mu    sync.Mutex
	judge *Judge
}

// NewWatchdog returns a Watchdog. It receives nothing until Run.
func NewWatchdog(log *slog.Logger, o Options) (*Watchdog, error) {
	switch {
	case log == nil:
		return nil, errors.New("gateways: a logger is required")
	case o.Silence <= 0:
		return nil, errors.New("gateways: Silence is required")
	}
	return &Watchdog{log: log.With("component", "gateways"), judge: New(o, time.Now().UnixMilli())}, nil
}

// Run receives heartbeats and ledgers until ctx ends. It waits for an unreachable hub.
func (w *Watchdog) Run(ctx context.Context, nc *nats.Conn) error {
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
	ticker := time.NewTicker(linkEvery)
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

func (w *Watchdog) heartbeat(m *nats.Msg) {
	s, err := wire.DecodeGatewayStatus(m.Data)
	if err != nil || wire.StatusSubject(s.Gateway) != m.Subject {
		w.log.Debug("heartbeat unreadable, skipped", "subject", m.Subject, "err", err)
		return
	}
	w.with(func(j *Judge, now int64) { j.Heartbeat(s, now) })
}

func (w *Watchdog) ledger(m *nats.Msg) {
	l, err := wire.DecodeGatewayLedger(m.Data)
	if err != nil || wire.LedgerSubject(l.Gateway) != m.Subject {
		w.log.Debug("ledger unreadable, skipped", "subject", m.Subject, "err", err)
		return
	}
	w.with(func(j *Judge, now int64) { j.Ledger(l, now) })
}

// Link sets whether the hub is reachable.
func (w *Watchdog) Link(up bool) { w.with(func(j *Judge, now int64) { j.Link(up, now) }) }

// Expect adds gateways whose silence is a fault.
func (w *Watchdog) Expect(names ...string) {
	w.with(func(j *Judge, _ int64) {
		for _, name := range names {
			j.Expect(name)
		}
	})
}

// Names returns the names of all gateways.
func (w *Watchdog) Names() (names []string) {
	w.with(func(j *Judge, _ int64) { names = j.Names() })
	return names
}

// Alive records a live reading of a gateway that arrived at a time.
func (w *Watchdog) Alive(name string, at int64) {
	w.with(func(j *Judge, _ int64) { j.Alive(name, at) })
}

// Live returns when a live reading of each gateway last arrived.
func (w *Watchdog) Live() (live map[string]int64) {
	w.with(func(j *Judge, _ int64) { live = j.Live() })
	return live
}

// Check returns the verdict about a gateway at now, in ms, and whether it is expected.
func (w *Watchdog) Check(name string, now int64) (v Verdict, ok bool) {
	w.with(func(j *Judge, _ int64) { v, ok = j.Check(name, now) })
	return v, ok
}

func (w *Watchdog) with(f func(j *Judge, now int64)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.judge, time.Now().UnixMilli())
}
