package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

const takeoverLimit = 10 * time.Second

// takeoverFaults need two bridges and a hub of its own.
func takeoverFaults() []rig.Fault {
	site := rig.Site{OwnHub: true, Bridges: 2, Gateways: 4}
	return []rig.Fault{
		{
			Name: "two-bridges", Breaks: "one of two bridges is stopped (SIGSTOP) for 30 s and then goes on (SIGCONT)",
			Holds: "the other has its lanes within 10 s, the old one is fenced", Times: 6, Quick: 1, Site: site, Run: stopOneBridge,
		},
		{
			Name: "own-hub-kill", Breaks: "a hub of its own is killed (kill -9) and started again",
			Holds: "every gateway is heard again within 5 s", Times: 20, Site: site, Run: killOwnHub,
		},
	}
}

func stopOneBridge(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := awaitShared(ctx, r); err != nil {
			return err
		}
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		name := cluster.Numbered(cluster.Bridge, r.Rand.IntN(r.Site.Bridges))
		if err := r.Signal(name, syscall.SIGSTOP); err != nil {
			return err
		}
		r.Happened()
		begin := time.Now()
		err := afterStop(ctx, r, name, begin)
		if err == nil {
			err = rig.Sleep(ctx, r.Short(12*time.Second, 30*time.Second)-time.Since(begin))
		}
		if contErr := r.Signal(name, syscall.SIGCONT); err == nil {
			err = contErr
		}
		if err != nil {
			return err
		}
		if err := rig.Sleep(ctx, 3*time.Second); err != nil { // what it still has in hand comes out now
			return err
		}
	}
	return nil
}

// afterStop waits until the readings of every gateway arrive though a bridge stands still.
func afterStop(ctx context.Context, r *rig.Round, name string, begin time.Time) error {
	if err := rig.Sleep(ctx, 500*time.Millisecond); err != nil { // what it had sent is through by then
		return err
	}
	if _, err := r.AwaitNew(ctx); err != nil {
		return fmt.Errorf("while %s stands still: %w", name, err)
	}
	r.Recovered("readings of every gateway while "+name+" stands still", time.Since(begin), takeoverLimit)
	return nil
}

// awaitShared waits until every bridge has lanes.
func awaitShared(ctx context.Context, r *rig.Round) error {
	_, err := rig.Await(ctx, "every bridge having lanes", func() error {
		for i := range r.Site.Bridges {
			name := cluster.Numbered(cluster.Bridge, i)
			n, err := r.Metric(ctx, name, "bridge_lanes_owned")
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("%s has none", name)
			}
		}
		return nil
	})
	return err
}

func killOwnHub(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, 2*time.Second); err != nil {
			return err
		}
		if err := r.Kill(cluster.Hub); err != nil {
			return err
		}
		r.Happened()
		if err := r.Moment(ctx, 0, 3*time.Second); err != nil {
			return err
		}
		begin := time.Now()
		if err := r.Start(ctx, cluster.Hub); err != nil {
			return err
		}
		took, err := awaitHeard(ctx, r, begin)
		if err != nil {
			return err
		}
		r.Recovered("hearing every gateway at the new hub", took, reconnectLimit)
		if _, err := r.AwaitNew(ctx); err != nil {
			return fmt.Errorf("after the hub was started again: %w", err)
		}
		r.Recovered("readings of every gateway at the new hub", time.Since(begin), 0)
	}
	return nil
}
