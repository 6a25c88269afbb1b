package main

import (
	"context"
	"fmt"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

const reconnectLimit = 5 * time.Second

// hubFaults break the hub that the bridge embeds.
func hubFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "hub-kill", Breaks: "the hub is killed (kill -9) together with its bridge, and restarted",
		Expects: "heartbeats of every gateway arrive again within 5 s", Times: 20, Quick: 1, Site: common(), Run: killHub,
	}}
}

func killHub(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, 2*time.Second); err != nil {
			return err
		}
		if err := r.Kill(cluster.Bridge); err != nil {
			return err
		}
		r.Happened()
		if err := r.Moment(ctx, 0, 3*time.Second); err != nil {
			return err
		}
		if err := bringBack(ctx, r, cluster.Bridge, true); err != nil {
			return err
		}
	}
	return nil
}

// bringBack starts a bridge that was ended and waits until readings arrive. With the hub
// embedded in it, heartbeats have to arrive in time.
func bringBack(ctx context.Context, r *rig.Round, bridge string, hub bool) error {
	start := time.Now()
	if err := r.Launch(bridge); err != nil {
		return err
	}
	if hub {
		took, err := awaitHeartbeats(ctx, r, start)
		if err != nil {
			return err
		}
		r.Recovered("heartbeats of every gateway at the new hub", took, reconnectLimit)
	}
	if _, err := r.AwaitNew(ctx); err != nil {
		return fmt.Errorf("after %s was restarted: %w", bridge, err)
	}
	r.Recovered("readings of every gateway after "+bridge+" was restarted", time.Since(start), 0)
	return nil
}

// awaitHeartbeats waits for a heartbeat of every gateway that arrived after since.
func awaitHeartbeats(ctx context.Context, r *rig.Round, since time.Time) (time.Duration, error) {
	_, err := rig.Await(ctx, "heartbeats at the hub", func() error {
		for _, g := range r.GatewayNames() {
			if s := r.Status(g); !s.At.After(since) {
				return fmt.Errorf("none of %s for %s", g, time.Since(s.At).Round(time.Millisecond))
			}
		}
		return nil
	})
	return time.Since(since), err
}
