package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/freeport"
	"industrial-iot-monitor/test/oracle"
)

// twinFaults give one id to two gateways.
func twinFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "twin", Breaks: "a second gateway is started with the id of a running one",
		Expects: "it is refused with a reason in both logs, none of its readings reach Kafka", Times: 3, Quick: 1, Site: common(), Run: startTwin,
	}}
}

// twinDevices are the numbers of the devices at the second gateway.
const twinFirst, twinDevices = 90_000, 50

// refusal matches the reason in the logs, however it is worded.
var refusal = regexp.MustCompile(`(?i)(another|second|same|duplicate|two|already|twin|rival|other installation)`)

func startTwin(ctx context.Context, r *rig.Round) error {
	var crossed atomic.Int64
	strangers := map[string]bool{}
	for i := range twinDevices {
		strangers[fleet.DeviceID(twinFirst+i)] = true
	}
	remove := r.Observe(func(x oracle.Record) {
		if strangers[x.Device] {
			crossed.Add(1)
		}
	})
	r.AtEnd(func(context.Context) error {
		defer remove()
		r.Check(crossed.Load() == 0, "%d readings of the second gateway's devices are in device-data", crossed.Load())
		return nil
	})
	for k := range r.Times {
		i := r.Rand.IntN(r.Site.Gateways)
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		if err := oneTwin(ctx, r, i, k); err != nil {
			return err
		}
	}
	return nil
}

// oneTwin starts a twin of the i-th gateway with its own devices, and ends it again.
func oneTwin(ctx context.Context, r *rig.Round, i, k int) (err error) {
	id := cluster.Gateway(i)
	name, sim := fmt.Sprintf("%s-twin-%d", id, k), fmt.Sprintf("sim-twin-%d", k)
	before, err := r.Logs(cluster.Bridge)
	if err != nil {
		return err
	}
	addrs, err := freeport.Addresses(3)
	if err != nil {
		return err
	}
	env := map[string]string{
		"LOG_LEVEL": "info", "EDGE_GATEWAY_ID": id, "EDGE_BUILDING": cluster.Building(i), "EDGE_HUB_URL": r.Env(id, "EDGE_HUB_URL"),
		"EDGE_NATS_ADDR": addrs[0], "EDGE_MQTT_ADDR": addrs[1], "EDGE_HTTP_ADDR": addrs[2], "EDGE_DATA_DIR": filepath.Join(r.Dir, name),
	}
	r.Add(name, cluster.Program{Binary: "edge", HTTP: addrs[2], Env: env})
	r.Add(sim, cluster.Program{Binary: "sim", Args: []string{
		"-http=", "-nats=" + addrs[0], "-interval=100ms", fmt.Sprintf("-first=%d", twinFirst), fmt.Sprintf("-devices=%d", twinDevices),
	}})
	start := time.Now()
	defer func() { err = errors.Join(err, endIfRunning(r, sim), endIfRunning(r, name)) }()
	for _, n := range []string{name, sim} {
		if err := r.Launch(n); err != nil {
			return err
		}
	}
	r.Happened()
	took, err := rig.AwaitFor(ctx, "a reason in both logs", 15*time.Second, func() error { return reasons(r, id, name, len(before)) })
	r.Check(err == nil, "%v", err)
	if err == nil {
		r.Recovered("the refusal of a second "+id, took, 0)
	}
	if err := rig.Sleep(ctx, 5*time.Second-time.Since(start)); err != nil { // time enough to reach Kafka
		return err
	}
	if _, err := r.AwaitNew(ctx, id); err != nil {
		return fmt.Errorf("the first %s, while a second one tries: %w", id, err)
	}
	return nil
}

func endIfRunning(r *rig.Round, name string) error {
	if !r.Running(name) {
		return nil
	}
	return r.Kill(name)
}

// reasons returns nil when the logs of the second gateway and of the hub both give the reason
// of the refusal.
func reasons(r *rig.Round, id, twin string, seen int) error {
	own, err := r.Logs(twin)
	if err != nil {
		return err
	}
	hub, err := r.Logs(cluster.Bridge)
	if err != nil {
		return err
	}
	if !mentionsRefusal(own, id) {
		return fmt.Errorf("the log of the second %s has no reason", id)
	}
	if !mentionsRefusal(hub[min(seen, len(hub)):], id) {
		return fmt.Errorf("the hub's log does not report that a second %s was refused", id)
	}
	return nil
}

// mentionsRefusal reports whether a log has a warning or an error about a second gateway.
func mentionsRefusal(log, id string) bool {
	for line := range strings.Lines(log) {
		bad := strings.Contains(line, "WARN") || strings.Contains(line, "ERROR")
		if bad && strings.Contains(line, id) && refusal.MatchString(line) {
			return true
		}
	}
	return false
}
