package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/faults/tcpline"
)

// Limits of the line between a gateway and the hub.
const (
	detectLimit = 20 * time.Second
	resumeLimit = 2 * time.Second
)

// lineFaults break the line between gateways and the hub.
func lineFaults() []rig.Fault {
	site := common()
	return []rig.Fault{
		{
			Name: "line-cut", Breaks: "a gateway's line to the hub is cut while packs are in flight",
			Expects: "readings arrive within 2 s of the line's return", Times: 50, Quick: 3, Site: site, Run: cutLines,
		},
		{
			Name: "line-silent", Breaks: "one line drops everything for 60 s and closes nothing, another is half-open",
			Expects: "both are detected within 20 s, readings arrive within 2 s of their return", Times: 3, Quick: 1, Site: site, Run: silence,
		},
	}
}

// cutLines cuts random lines under load.
func cutLines(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		i := r.Rand.IntN(r.Site.Gateways)
		if err := r.Lines[i].Cut(); err != nil {
			return err
		}
		r.Happened()
		if err := r.Moment(ctx, 0, 2*time.Second); err != nil {
			return err
		}
		if err := resume(ctx, r, i); err != nil {
			return err
		}
	}
	return nil
}

// resume restores a line and checks that readings of its gateway arrive in time.
func resume(ctx context.Context, r *rig.Round, i int) error {
	name := cluster.Gateway(i)
	if err := r.Lines[i].Restore(); err != nil {
		return err
	}
	took, err := r.AwaitNew(ctx, name)
	if err != nil {
		return fmt.Errorf("after the line of %s was restored: %w", name, err)
	}
	r.Recovered("readings of "+name+" after its line was restored", took, resumeLimit)
	return nil
}

var errUnnoticed = errors.New("still considers itself connected")

// silence breaks two lines without closing the gateways' connections: one is a black hole,
// the other has lost the hub's end.
func silence(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		broken := r.Rand.Perm(r.Site.Gateways)[:2]
		r.Lines[broken[0]].Silence()
		r.Lines[broken[1]].HalfOpen()
		r.Happened()
		start := time.Now()
		if err := notice(ctx, r, broken); err != nil {
			return err
		}
		if err := rig.Sleep(ctx, r.Short(0, time.Minute)-time.Since(start)); err != nil {
			return err
		}
		for _, i := range broken {
			if err := resume(ctx, r, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// notice checks that gateways detect in time that their hub is gone.
func notice(ctx context.Context, r *rig.Round, gateways []int) error {
	noticed := map[int]bool{}
	start := time.Now()
	_, err := rig.Await(ctx, "detection of dead lines", func() error {
		var unaware error
		for _, i := range gateways {
			if noticed[i] {
				continue
			}
			name := cluster.Gateway(i)
			switch up, err := r.Metric(ctx, name, "edge_hub_connected"); {
			case err != nil:
				unaware = err
			case up != 0:
				unaware = fmt.Errorf("%s: %w", name, errUnnoticed)
			default:
				noticed[i] = true
				r.Recovered(name+" detecting its dead line", time.Since(start), detectLimit)
			}
		}
		return unaware
	})
	return err
}

// cutAll cuts every line, restoreAll restores them.
func cutAll(r *rig.Round) error     { return each(r, (*tcpline.Line).Cut) }
func restoreAll(r *rig.Round) error { return each(r, (*tcpline.Line).Restore) }

func each(r *rig.Round, do func(*tcpline.Line) error) error {
	for _, l := range r.Lines {
		if err := do(l); err != nil {
			return err
		}
	}
	return nil
}
