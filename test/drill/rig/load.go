package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"industrial-iot-monitor/sim/simulator"
	"industrial-iot-monitor/test/cluster"
)

// load is the simulators of one fault, each with a ledger of its own.
type load struct {
	scene   *Scene
	names   []string
	ledgers []string
	totals  []string
	started time.Time
	sent    time.Duration // how long they sent, set when they are stopped
}

// protocols are those of the simulators; each has its own devices.
func protocols() []string { return []string{"nats", "mqtt"} }

// startLoad starts one simulator for NATS and one for MQTT.
func (s *Scene) startLoad(ctx context.Context, number int) (*load, error) {
	l := &load{scene: s}
	n := s.Site.Load.devices()
	for i, protocol := range protocols() {
		name := fmt.Sprintf("sim-%s-%d", protocol, number)
		l.names = append(l.names, name)
		l.ledgers = append(l.ledgers, filepath.Join(s.dir, name+".ledger"))
		l.totals = append(l.totals, filepath.Join(s.dir, name+".json"))
		s.Add(name, cluster.Program{Binary: "sim", Args: []string{
			"-http=", "-progress=1s", "-protocol=" + protocol,
			"-nats=" + strings.Join(s.NATS(), ","), "-mqtt=" + strings.Join(s.MQTT(), ","),
			fmt.Sprintf("-devices=%d", n), fmt.Sprintf("-first=%d", i*n), fmt.Sprintf("-interval=%s", s.Site.Load.Interval),
			fmt.Sprintf("-timeout=%s", s.Site.Load.Timeout), fmt.Sprintf("-backlog=%d", s.Site.Load.Backlog),
			fmt.Sprintf("-excursions=%d", s.Site.Load.Excursions),
			"-ledger=" + l.ledgers[i], "-summary=" + l.totals[i],
		}})
	}
	err := s.Start(ctx, l.names...)
	l.started = time.Now()
	return l, err
}

// stop ends the simulators, which wait for the last acknowledgements.
func (l *load) stop() error {
	if l.sent == 0 {
		l.sent = time.Since(l.started)
	}
	var errs []error
	for _, name := range l.names {
		if l.scene.Running(name) {
			errs = append(errs, l.scene.Stop(name))
		}
	}
	return errors.Join(errs...)
}

// acked returns how many readings were acknowledged, as the devices counted them.
func (l *load) acked() (n uint64, err error) {
	for _, name := range l.totals {
		raw, err := os.ReadFile(name)
		if err != nil {
			return 0, fmt.Errorf("reading the devices' totals: %w", err)
		}
		var s simulator.Summary
		if err := json.Unmarshal(raw, &s); err != nil {
			return 0, fmt.Errorf("reading the devices' totals: %w", err)
		}
		n += s.Acked
	}
	return n, nil
}
