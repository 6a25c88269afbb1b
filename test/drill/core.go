package main

import (
	"context"
	"errors"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

// coreFaults break core while alarms come and go.
func coreFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "core-kill", Breaks: "one of two cores is killed (kill -9) or stopped, and restarted",
		Expects: "each transition of an alarm is in alerts exactly once; those of the detector are what one run of it gives", Times: 20, Quick: 2,
		Site: straying(), Run: killCores,
	}}
}

// alarming is a site where alarms come and go all the time.
func alarming() rig.Site { return rig.Site{Cores: 2, Load: rig.Load{Excursions: 400}} }

// straying is one where alarms of the detector do, too.
func straying() rig.Site {
	s := alarming()
	s.Strays, s.Env = 12, "DETECT_MODE=on;ANOMALY_BUDGET=4"
	return s
}

func killCores(ctx context.Context, r *rig.Round) error {
	journal := newJournal(r)
	detection := newDetection(r)
	remove, forget := r.Observe(journal.observe), r.Observe(detection.observe)
	defer remove()
	defer forget()
	if err := detection.launch(ctx); err != nil {
		return err
	}
	for i := range r.Times {
		if err := r.Moment(ctx, 2*time.Second, 4*time.Second); err != nil {
			return err
		}
		if i%2 == 0 {
			if err := errors.Join(detection.settle(ctx), detection.tell(ctx, i)); err != nil {
				return err
			}
		}
		name := cluster.Numbered(cluster.Core, r.Rand.IntN(r.Site.Cores))
		end := r.Kill
		if i%3 == 2 {
			end = r.Stop // leaves the group: a rebalance without a crash
		}
		if err := end(name); err != nil {
			return err
		}
		r.Happened()
		if err := r.Moment(ctx, 0, 3*time.Second); err != nil {
			return err
		}
		// No limit: the promise is exactness, not time.
		if err := restart(ctx, r, name, "ready again", 0); err != nil {
			return err
		}
	}
	if err := rig.Sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	if err := detection.settle(ctx); err != nil {
		return err
	}
	r.AtEnd(detection.check)
	r.AtEnd(func(ctx context.Context) error { return journal.check(ctx, r) })
	return nil
}
