package main

import (
	"context"
	"fmt"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

// gatewayFaults kill gateways.
func gatewayFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "gateway-kill", Breaks: "a gateway is killed (kill -9) and restarted",
		Expects: "ready within 2 s", Times: 50, Quick: 3, Site: common(), Run: killGateways,
	}}
}

// killGateways kills random gateways one after another.
func killGateways(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, 2*time.Second); err != nil {
			return err
		}
		name := cluster.Gateway(r.Rand.IntN(r.Site.Gateways))
		if err := r.Kill(name); err != nil {
			return err
		}
		r.Happened()
		if err := r.Moment(ctx, 0, 500*time.Millisecond); err != nil {
			return err
		}
		if err := restart(ctx, r, name, "ready again", 2*time.Second); err != nil {
			return err
		}
		if _, err := r.AwaitNew(ctx, name); err != nil {
			return fmt.Errorf("after %s was restarted: %w", name, err)
		}
	}
	return nil
}

// restart starts a process that was ended and checks that it is ready in time.
func restart(ctx context.Context, r *rig.Round, name, what string, limit time.Duration) error {
	if err := r.Launch(name); err != nil {
		return err
	}
	took, err := rig.Await(ctx, name+" "+what, func() error { return r.Ready(ctx, name) })
	if err != nil {
		return err
	}
	r.Recovered(name+" "+what, took, limit)
	return nil
}
