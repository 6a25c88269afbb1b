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
		Name: "hub-kill", Breaks: "the hub is killed (kill -9) with the bridge around it, and started again",
		Holds: "every gateway is heard again within 5 s", Times: 20, Quick: 1, Site: common(), Run: killHub,
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

// bringBack starts a bridge that was ended and waits until readings arrive. When it
// carries the hub the gateways have to be heard there in time.
func bringBack(ctx context.Context, r *rig.Round, bridge string, hub bool) error {
	begin := time.Now()
	if err := r.Launch(bridge); err != nil {
		return err
	}
	if hub {
		took, err := awaitHeard(ctx, r, begin)
		if err != nil {
			return err
		}
		r.Recovered("hearing every gateway at the new hub", took, reconnectLimit)
	}
	if _, err := r.AwaitNew(ctx); err != nil {
		return fmt.Errorf("after %s was started again: %w", bridge, err)
	}
	r.Recovered("readings of every gateway after "+bridge+" was started again", time.Since(begin), 0)
	return nil
}

// awaitHeard waits until every gateway was heard at the hub since a moment.
func awaitHeard(ctx context.Context, r *rig.Round, since time.Time) (time.Duration, error) {
	_, err := rig.Await(ctx, "heartbeats at the hub", func() error {
		for _, g := range r.GatewayNames() {
			if heard := r.Status(g); !heard.At.After(since) {
				return fmt.Errorf("none of %s for %s", g, time.Since(heard.At).Round(time.Millisecond))
			}
		}
		return nil
	})
	return time.Since(since), err
}
