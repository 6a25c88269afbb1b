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

// load is the simulators, meters and strays of one fault, each with a ledger of its own.
type load struct {
	scene   *Scene
	meters  *meters
	strays  *strays
	names   []string
	ledgers []string
	totals  []string
	started time.Time
	sent    time.Duration // how long they sent, set when they are stopped
}

// startLoad starts the simulator of each part.
func (s *Scene) startLoad(ctx context.Context, number int) (*load, error) {
	l := &load{scene: s}
	fleets, err := s.Site.fleets()
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		name := fmt.Sprintf("sim-%s-%d", p.name, number)
		repeat := repeatShare
		if s.Site.Load.Unrepeated {
			repeat = 0
		}
		l.names = append(l.names, name)
		l.ledgers = append(l.ledgers, filepath.Join(s.dir, name+".ledger"))
		l.totals = append(l.totals, filepath.Join(s.dir, name+".json"))
		s.Add(name, cluster.Program{Binary: "sim", Args: []string{
			"-http=", "-progress=1s", "-protocol=" + p.protocol, fmt.Sprintf("-batch=%d", p.batch), fmt.Sprintf("-repeat=%v", repeat),
			"-nats=" + strings.Join(s.NATS(), ","), "-mqtt=" + strings.Join(s.MQTT(), ","),
			fmt.Sprintf("-devices=%d", fleets[i].Devices), fmt.Sprintf("-first=%d", fleets[i].First), fmt.Sprintf("-interval=%s", s.Site.Load.Interval),
			"-clocks=" + joinDurations(fleets[i].Clocks),
			fmt.Sprintf("-timeout=%s", s.Site.Load.Timeout), fmt.Sprintf("-backlog=%d", s.Site.Load.Backlog),
			fmt.Sprintf("-excursions=%d", s.Site.Load.Excursions),
			"-ledger=" + l.ledgers[i], "-summary=" + l.totals[i],
		}})
	}
	ledger := filepath.Join(s.dir, fmt.Sprintf("meters-%d.ledger", number))
	if l.meters, err = startMeters(ledger, s.MQTT(), number); err != nil {
		return nil, err
	}
	l.ledgers = append(l.ledgers, ledger)
	ledger = filepath.Join(s.dir, fmt.Sprintf("strays-%d.ledger", number))
	if l.strays, err = startStrays(ledger, s.MQTT(), number, s.Site.Strays); err != nil {
		l.meters.stop()
		return nil, err
	}
	l.ledgers = append(l.ledgers, ledger)
	if err := s.Start(ctx, l.names...); err != nil {
		return nil, errors.Join(err, l.stop())
	}
	l.started = time.Now()
	return l, nil
}

func joinDurations(list []time.Duration) string {
	texts := make([]string, len(list))
	for i, d := range list {
		texts[i] = d.String()
	}
	return strings.Join(texts, ",")
}

// stop ends the simulators, which wait for the last acknowledgements.
func (l *load) stop() error {
	if l.sent == 0 {
		l.sent = time.Since(l.started)
	}
	l.meters.stop()
	l.strays.stop()
	errs := []error{l.meters.err, l.strays.err}
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
	return n + l.meters.acked.Load() + l.strays.acked.Load(), nil
}
