package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

// enrolFaults give keys to a plant that runs without.
func enrolFaults() []rig.Fault {
	site := common()
	site.Env = "BRIDGE_HUB_AUTH=off" // a cluster of its own: its programs have keys at the end
	return []rig.Fault{{
		Name: "enrol", Breaks: "a plant gets keys under load, gateway by gateway, until they are required; then a gateway is revoked and enrolled again",
		Expects: "its line is cut within 1 s, its readings arrive once it is back", Times: 1, Quick: 1, Site: site, Run: enrolPlant,
	}}
}

// revokedLimit is how soon a revoked gateway is cut.
const revokedLimit = time.Second

func enrolPlant(ctx context.Context, r *rig.Round) error {
	if err := hubAuth(ctx, r, "observe"); err != nil {
		return err
	}
	for _, name := range r.GatewayNames() {
		if err := enrol(ctx, r, name); err != nil {
			return err
		}
	}
	if err := giveKeys(ctx, r); err != nil {
		return err
	}
	if err := hubAuth(ctx, r, "required"); err != nil {
		return err
	}
	name := cluster.Gateway(r.Rand.IntN(r.Site.Gateways))
	if _, err := r.Tool(ctx, cluster.Bridge, nil, "gateway", "revoke", name); err != nil {
		return err
	}
	r.Happened()
	took, err := rig.Await(ctx, "the end of "+name+"'s line", func() error {
		switch up, err := r.Metric(ctx, name, "edge_hub_connected"); {
		case err != nil:
			return err
		case up != 0:
			return errors.New("it is connected")
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Recovered("cutting "+name+" after it was revoked", took, revokedLimit+time.Second) // its metric is a second old
	return enrol(ctx, r, name)
}

// hubAuth restarts the bridge with another BRIDGE_HUB_AUTH.
func hubAuth(ctx context.Context, r *rig.Round, mode string) error {
	if err := r.SetEnv(cluster.Bridge, map[string]string{"BRIDGE_HUB_AUTH": mode}); err != nil {
		return err
	}
	return again(ctx, r, cluster.Bridge)
}

// again stops a program, starts it and waits for new readings.
func again(ctx context.Context, r *rig.Round, name string, gateways ...string) error {
	if err := r.Stop(name); err != nil {
		return err
	}
	if err := r.Start(ctx, name); err != nil {
		return err
	}
	if _, err := r.AwaitNew(ctx, gateways...); err != nil {
		return fmt.Errorf("after %s was restarted: %w", name, err)
	}
	return nil
}

// enrol makes a gateway known to the hub and restarts it, so that it uses its key.
func enrol(ctx context.Context, r *rig.Round, name string) error {
	leaf := map[string]string{"BRIDGE_LEAF_URL": "nats-leaf://" + r.Env(cluster.Bridge, "BRIDGE_LEAF_ADDR")}
	line, err := r.Tool(ctx, cluster.Bridge, leaf, "gateway", "add", name, "-building", r.Env(name, "EDGE_BUILDING"))
	if err != nil {
		return err
	}
	words := strings.Fields(line)
	if len(words) != 3 {
		return fmt.Errorf("bridge gateway add printed %d words, want edge enroll iotc_…", len(words))
	}
	if _, err := r.Tool(ctx, name, nil, words[1:]...); err != nil {
		return err
	}
	if _, err := r.Tool(ctx, name, nil, words[1:]...); err == nil {
		return errors.New("a claim was used twice")
	}
	return again(ctx, r, name, name)
}

// giveKeys gives core, portal and the drill keys for the hub.
func giveKeys(ctx context.Context, r *rig.Round) error {
	for role, names := range map[string][]string{"core": {cluster.Core}, "portal": {cluster.Portal, "drill"}} {
		for _, name := range names {
			file := filepath.Join(r.Dir, name+".nk")
			if _, err := r.Tool(ctx, cluster.Bridge, nil, "client", "add", name, "-role", role, "-out", file); err != nil {
				return err
			}
			if name == "drill" {
				continue
			}
			if err := r.SetEnv(name, map[string]string{"HUB_KEY_FILE": file}); err != nil {
				return err
			}
			if err := again(ctx, r, name); err != nil {
				return err
			}
		}
	}
	return r.ListenWith(filepath.Join(r.Dir, "drill.nk"))
}
