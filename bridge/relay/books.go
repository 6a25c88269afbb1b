package relay

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

const (
	// booksEvery is how often the accounts are looked at for a change that cannot wait.
	booksEvery = 200 * time.Millisecond
	// ledgerEvery is how often a ledger is published at least.
	ledgerEvery = time.Second
)

// books publishes the ledger of every gateway whose lane is worked here.
type books struct {
	roster   *roster.Roster
	progress *lane.Progress
	publish  func(subject string, data []byte) error
	log      *slog.Logger

	readings   *prometheus.GaugeVec
	packs      *prometheus.GaugeVec
	difference *prometheus.GaugeVec

	told map[string]*told
}

// told is what was last published of a gateway.
type told struct {
	at     time.Time
	urgent urgent
}

// urgent is what of a ledger is published as soon as it changes.
type urgent struct {
	difference   int64
	duplicate    string
	damagedPacks uint64
	epochs       int
}

func newBooks(r *roster.Roster, p *lane.Progress, nc *nats.Conn, log *slog.Logger, reg prometheus.Registerer) *books {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	b := &books{
		roster: r, progress: p, publish: nc.Publish, log: log, told: map[string]*told{},
		readings: gauge("bridge_ledger_readings", "Readings of a gateway of our lanes since its first checkpoint, by what became of them; "+
			"accepted and packed as the gateway says, refused counts messages.", "gateway", "state"),
		packs: gauge("bridge_ledger_packs", "Packs of a gateway of our lanes that were damaged or missing, or came a second time and were dropped.", "gateway", "state"),
		difference: gauge("bridge_ledger_difference", "Readings that a gateway stored, the bridge came past, and that are neither committed nor known to be damaged. "+
			"Anything but 0 is an error.", "gateway"),
	}
	reg.MustRegister(b.readings, b.packs, b.difference)
	return b
}

// run publishes until ctx ends.
func (b *books) run(ctx context.Context) error {
	tick := time.NewTicker(booksEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			b.look(now)
		}
	}
}

// look publishes what is due.
func (b *books) look(now time.Time) {
	ours := map[string]bool{}
	for _, gateway := range b.progress.Gateways() {
		pos, ok := b.progress.Position(gateway)
		if !ok {
			continue
		}
		ours[gateway] = true
		l := lane.Ledger(pos, b.roster.Heard(gateway), now)
		l.Duplicate, l.Oldest = b.roster.Duplicate(gateway), pos.Oldest
		b.tell(&l, now)
	}
	for gateway := range b.told {
		if !ours[gateway] {
			delete(b.told, gateway)
			b.readings.DeletePartialMatch(prometheus.Labels{"gateway": gateway})
			b.packs.DeletePartialMatch(prometheus.Labels{"gateway": gateway})
			b.difference.DeleteLabelValues(gateway)
		}
	}
}

// tell publishes a ledger if it is due, or if something changed that cannot wait.
func (b *books) tell(l *wire.GatewayLedger, now time.Time) {
	last := b.told[l.Gateway]
	if last == nil {
		last = &told{}
		b.told[l.Gateway] = last
	}
	u := urgent{l.Difference, l.Duplicate, l.Total.DamagedPacks, len(l.Epochs)}
	if now.Sub(last.at) < ledgerEvery && u == last.urgent {
		return
	}
	if u.difference != 0 && u.difference != last.urgent.difference {
		b.log.Error("the ledger of a gateway does not add up: readings are stored at the gateway, passed by, and neither committed nor known to be damaged",
			"gateway", l.Gateway, "difference", u.difference)
	}
	last.at, last.urgent = now, u
	b.show(l)
	data, err := l.Encode()
	if err == nil {
		err = b.publish(wire.LedgerSubject(l.Gateway), data)
	}
	if err != nil {
		b.log.Debug("ledger could not be published", "gateway", l.Gateway, "err", err)
	}
}

func (b *books) show(l *wire.GatewayLedger) {
	t := &l.Total
	for state, n := range map[string]uint64{
		"accepted": t.Accepted, "packed": t.Packed, "bridged": t.Bridged, "committed": t.Committed,
		"refused": t.Refused, "damaged": t.Damaged, "late": t.Late,
	} {
		b.readings.WithLabelValues(l.Gateway, state).Set(float64(n))
	}
	b.packs.WithLabelValues(l.Gateway, "damaged").Set(float64(t.DamagedPacks))
	b.packs.WithLabelValues(l.Gateway, "duplicate").Set(float64(t.Duplicates))
	b.difference.WithLabelValues(l.Gateway).Set(float64(l.Difference))
}
