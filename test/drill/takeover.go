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

// takeoverFaults need two bridges and a separate hub.
func takeoverFaults() []rig.Fault {
	site := rig.Site{OwnHub: true, Bridges: 2, Gateways: 4}
	return []rig.Fault{
		{
			Name: "two-bridges", Breaks: "one of two bridges is suspended (SIGSTOP) for 30 s and then resumed (SIGCONT)",
			Expects: "the other takes over its lanes within 10 s and the suspended one is fenced", Times: 6, Quick: 1, Site: site, Run: stopOneBridge,
		},
		{
			Name: "own-hub-kill", Breaks: "a separate hub is killed (kill -9) and restarted",
			Expects: "heartbeats of every gateway arrive again within 5 s", Times: 20, Site: site, Run: killOwnHub,
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
		if err := r.Suspend(name); err != nil {
			return err
		}
		r.Happened()
		start := time.Now()
		err := afterStop(ctx, r, name, start)
		if err == nil {
			err = rig.Sleep(ctx, r.Short(12*time.Second, 30*time.Second)-time.Since(start))
		}
		if contErr := r.Signal(name, syscall.SIGCONT); err == nil {
			err = contErr
		}
		if err != nil {
			return err
		}
		if err := rig.Sleep(ctx, 3*time.Second); err != nil { // it tries to write what it had in flight
			return err
		}
	}
	return nil
}

// afterStop waits until readings of every gateway arrive while a bridge is suspended.
func afterStop(ctx context.Context, r *rig.Round, name string, start time.Time) error {
	if err := rig.Sleep(ctx, 500*time.Millisecond); err != nil { // what it had sent has arrived by then
		return err
	}
	if _, err := r.AwaitNew(ctx); err != nil {
		return fmt.Errorf("while %s is suspended: %w", name, err)
	}
	r.Recovered("readings of every gateway while "+name+" is suspended", time.Since(start), takeoverLimit)
	return nil
}

// awaitShared waits until every bridge owns lanes.
func awaitShared(ctx context.Context, r *rig.Round) error {
	_, err := rig.Await(ctx, "every bridge owning lanes", func() error {
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
		start := time.Now()
		if err := r.Start(ctx, cluster.Hub); err != nil {
			return err
		}
		took, err := awaitHeartbeats(ctx, r, start)
		if err != nil {
			return err
		}
		r.Recovered("heartbeats of every gateway at the new hub", took, reconnectLimit)
		if _, err := r.AwaitNew(ctx); err != nil {
			return fmt.Errorf("after the hub was restarted: %w", err)
		}
		r.Recovered("readings of every gateway at the new hub", time.Since(start), 0)
	}
	return nil
}
