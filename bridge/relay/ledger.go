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
	// checkEvery is how often ledgers are checked for an urgent change.
	checkEvery = 200 * time.Millisecond
	// publishEvery is how often a ledger is published without one.
	publishEvery = time.Second
)

// ledgerPublisher publishes the ledger of every gateway whose lane runs here.
type ledgerPublisher struct {
	roster   *roster.Roster
	progress *lane.Progress
	publish  func(subject string, data []byte) error
	log      *slog.Logger

	readings   *prometheus.GaugeVec
	packs      *prometheus.GaugeVec
	difference *prometheus.GaugeVec

	last map[string]*published // by gateway
}

// published is the last publication of a gateway's ledger.
type published struct {
	at     time.Time
	urgent urgent
}

// urgent is the part of a ledger that is published as soon as it changes.
type urgent struct {
	difference   int64
	duplicate    string
	damagedPacks uint64
	epochs       int
}

func newLedgerPublisher(r *roster.Roster, p *lane.Progress, nc *nats.Conn, log *slog.Logger, reg prometheus.Registerer) *ledgerPublisher {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	l := &ledgerPublisher{
		roster: r, progress: p, publish: nc.Publish, log: log, last: map[string]*published{},
		readings: gauge("bridge_ledger_readings", "Readings of a gateway since its first checkpoint, by state; "+
			"accepted and packed as the gateway reports them, refused counts messages.", "gateway", "state"),
		packs: gauge("bridge_ledger_packs", "Packs of a gateway that were damaged or missing, or received again and dropped.", "gateway", "state"),
		difference: gauge("bridge_ledger_difference", "Readings stored at a gateway up to its checkpoint that are neither committed nor counted as damaged. "+
			"Anything but 0 is an error.", "gateway"),
	}
	reg.MustRegister(l.readings, l.packs, l.difference)
	return l
}

// run publishes until ctx ends.
func (p *ledgerPublisher) run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			p.publishDue(now)
		}
	}
}

// publishDue publishes the ledgers that are due.
func (p *ledgerPublisher) publishDue(now time.Time) {
	ours := map[string]bool{}
	for _, gateway := range p.progress.Gateways() {
		pos, ok := p.progress.Position(gateway)
		if !ok {
			continue
		}
		ours[gateway] = true
		l := lane.Ledger(pos, p.roster.Heard(gateway), now)
		l.Duplicate, l.Oldest = p.roster.Duplicate(gateway), pos.Oldest
		p.publishIfDue(&l, now)
	}
	for gateway := range p.last {
		if !ours[gateway] {
			delete(p.last, gateway)
			p.readings.DeletePartialMatch(prometheus.Labels{"gateway": gateway})
			p.packs.DeletePartialMatch(prometheus.Labels{"gateway": gateway})
			p.difference.DeleteLabelValues(gateway)
		}
	}
}

// publishIfDue publishes a ledger if it is due or has an urgent change.
func (p *ledgerPublisher) publishIfDue(l *wire.GatewayLedger, now time.Time) {
	last := p.last[l.Gateway]
	if last == nil {
		last = &published{}
		p.last[l.Gateway] = last
	}
	u := urgent{l.Difference, l.Duplicate, l.Total.DamagedPacks, len(l.Epochs)}
	if now.Sub(last.at) < publishEvery && u == last.urgent {
		return
	}
	if u.difference != 0 && u.difference != last.urgent.difference {
		p.log.Error("ledger of a gateway does not add up: readings up to its checkpoint are neither committed nor counted as damaged",
			"gateway", l.Gateway, "difference", u.difference)
	}
	last.at, last.urgent = now, u
	p.setGauges(l)
	data, err := l.Encode()
	if err == nil {
		err = p.publish(wire.LedgerSubject(l.Gateway), data)
	}
	if err != nil {
		p.log.Debug("publishing a ledger failed", "gateway", l.Gateway, "err", err)
	}
}

func (p *ledgerPublisher) setGauges(l *wire.GatewayLedger) {
	t := &l.Total
	for state, n := range map[string]uint64{
		"accepted": t.Accepted, "packed": t.Packed, "bridged": t.Bridged, "committed": t.Committed,
		"refused": t.Refused, "damaged": t.Damaged, "late": t.Late,
	} {
		p.readings.WithLabelValues(l.Gateway, state).Set(float64(n))
	}
	p.packs.WithLabelValues(l.Gateway, "damaged").Set(float64(t.DamagedPacks))
	p.packs.WithLabelValues(l.Gateway, "duplicate").Set(float64(t.Duplicates))
	p.difference.WithLabelValues(l.Gateway).Set(float64(l.Difference))
}
