package main

import (
	"context"
	"fmt"
	"time"

	"industrial-iot-monitor/test/drill/rig"
)

// Limits of draining a backlog.
const (
	drainFactor = 5 // times the rate at which readings come in
	memoryLimit = 512 << 20
)

// offlineFaults let backlogs build up in gateways.
func offlineFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "offline", Breaks: "20 gateways (quick: 8) are offline for 10 min (quick: 15 s) and drain together",
		Expects: "drained at 5 times the live rate or faster, every program uses at most 512 MB", Times: 1, Quick: 1,
		Site: rig.Site{Lines: true, Gateways: 20}, QuickSite: &rig.Site{Lines: true, Gateways: 8}, Run: drainTogether,
	}}
}

func drainTogether(ctx context.Context, r *rig.Round) error {
	if err := r.Moment(ctx, time.Second, 2*time.Second); err != nil {
		return err
	}
	base, err := takeBaseline(ctx, r)
	if err != nil {
		return err
	}
	if err := cutAll(r); err != nil {
		return err
	}
	r.Happened()
	if err := rig.Sleep(ctx, r.Short(15*time.Second, 10*time.Minute)); err != nil {
		return err
	}
	if err := restoreAll(r); err != nil {
		return err
	}
	took, err := r.AwaitNew(ctx)
	if err != nil {
		return err
	}
	r.Note("readings of every gateway arrived %s after the lines were restored", took.Round(10*time.Millisecond))
	b, err := base.backlog(ctx, r)
	if err != nil {
		return err
	}
	took, n, err := b.drain(ctx, r)
	if err != nil {
		return err
	}
	rate := float64(n) / took.Seconds()
	live := float64(r.Site.Load.Rate)
	r.Recovered(fmt.Sprintf("draining %d readings", b.waiting), took, 0)
	least := drainFactor / float64(r.Slack()) * live
	r.Check(rate >= least, "drained at %.0f readings/s, expected %.0f at a live rate of %.0f", rate, least, live)
	r.Note("drained at %.0f readings/s, %.1f times the live rate", rate, rate/live)
	r.CheckMemory(memoryLimit)
	return notePacks(ctx, r)
}

// notePacks reports the readings per pack, which determine the cost of draining.
func notePacks(ctx context.Context, r *rig.Round) error {
	readings, packs := 0.0, 0.0
	for _, g := range r.GatewayNames() {
		m, err := r.Metrics(ctx, g)
		if err != nil {
			return err
		}
		readings += m.Sum("edge_readings_accepted_total")
		packs += m.Sum("edge_packs_total")
	}
	r.Note("%.1f readings in a pack on average", readings/max(1, packs))
	return nil
}

// backlog is the readings that gateways have accepted and Kafka does not have.
type backlog struct {
	accepted map[string]int // readings by gateway that are to be in Kafka, since the cluster's start
	waiting  int
}

// baseline is, by gateway, how many readings were in Kafka before those that the gateway
// has counted since its own start.
type baseline map[string]int

// takeBaseline is called while the lines are up: the few readings in flight do not matter.
func takeBaseline(ctx context.Context, r *rig.Round) (baseline, error) {
	s := baseline{}
	for _, g := range r.GatewayNames() {
		n, err := r.Metric(ctx, g, "edge_readings_accepted_total")
		if err != nil {
			return nil, err
		}
		s[g] = r.Arrived(g) - int(n)
	}
	return s, nil
}

// backlog returns the readings that every gateway has accepted by now.
func (s baseline) backlog(ctx context.Context, r *rig.Round) (backlog, error) {
	b := backlog{accepted: map[string]int{}}
	for g, before := range s {
		n, err := r.Metric(ctx, g, "edge_readings_accepted_total")
		if err != nil {
			return b, err
		}
		b.accepted[g] = before + int(n)
		b.waiting += max(0, b.accepted[g]-r.Arrived(g))
	}
	return b, nil
}

// drained returns nil when the whole backlog is in Kafka.
func (b backlog) drained(r *rig.Round) error {
	for g, n := range b.accepted {
		if at := r.Arrived(g); at < n {
			return fmt.Errorf("%s: %d of %d", g, at, n)
		}
	}
	return nil
}

// drain waits until the whole backlog is in Kafka and returns how long that took and how
// many readings arrived in that time, including fresh ones.
func (b backlog) drain(ctx context.Context, r *rig.Round) (time.Duration, int, error) {
	total := func() (n int) {
		for g := range b.accepted {
			n += r.Arrived(g)
		}
		return n
	}
	before := total()
	took, err := rig.AwaitFor(ctx, "the backlog in Kafka", r.Short(rig.WaitTimeout, 10*time.Minute), func() error { return b.drained(r) })
	return took, total() - before, err
}
