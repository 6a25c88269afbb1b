// Package simulator is the program sim: configuration from environment and flags, a fleet,
// a publisher, progress lines and a ledger of acknowledged readings. It is not for devices
// inside another program; those use packages fleet and publisher. Run blocks until its
// context ends or the configured duration is over.
package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/sim/publisher"
)

// Options of a simulator. All are required.
type Options struct {
	Config Config // as Load returns it
	Log    *slog.Logger
	Out    io.Writer // for the progress lines and the totals
}

// Simulator runs a fleet and its publisher. Create it with New.
type Simulator struct {
	cfg    Config
	out    io.Writer
	fleet  *fleet.Fleet
	pub    *publisher.Publisher
	log    *slog.Logger
	http   *ops.Server        // nil without SIM_HTTP_ADDR
	ledger *ledgerFile        // nil for none
	acks   *publisher.Latency // of the whole run
}

// New creates the fleet, opens the ledger and binds the operations server. It does not
// connect yet.
func New(o Options) (*Simulator, error) {
	c := o.Config
	f, err := newFleet(&c)
	if err != nil {
		return nil, err
	}
	s := &Simulator{acks: publisher.NewLatency(), fleet: f, cfg: c, out: o.Out, log: o.Log}
	po := publisher.Options{
		Fleet: f, Gateways: c.gateways(), Protocol: c.Protocol, PerDevice: c.PerDevice,
		Batch: c.Batch, Repeat: c.Repeat, Interval: c.Interval, AckTimeout: c.AckTimeout, Backlog: c.Backlog, Log: o.Log,
	}
	if c.Ledger != "" {
		if s.ledger, err = openLedger(c.Ledger); err != nil {
			return nil, err
		}
		po.Ledger = s.ledger
	}
	if s.pub, err = publisher.New(po); err != nil {
		return nil, errors.Join(err, s.closeLedger())
	}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, s.closeLedger())
	}
	return s, nil
}

func newFleet(c *Config) (*fleet.Fleet, error) {
	kinds := make([]telemetry.AnomalyKind, len(c.Kinds))
	for i, k := range c.Kinds {
		kinds[i] = telemetry.AnomalyKind(k)
	}
	return fleet.New(fleet.Options{
		Devices: c.Devices, First: c.First, Seed: c.Seed, Variance: c.Variance,
		Interval: c.Interval, Buildings: c.Buildings, Faults: c.Faults, Mixed: c.Fleet == fleetMixed, Clocks: c.Clocks,
		Rhythm: c.Rhythm, Anomalies: c.Anomalies, Kinds: kinds,
	})
}

// listen binds the operations server.
func (s *Simulator) listen() (err error) {
	if s.cfg.HTTPAddr == "" {
		return nil
	}
	reg := ops.NewRegistry()
	reg.MustRegister(newCollector(s.pub.Stats))
	s.http, err = ops.NewServer(ops.ServerOptions{
		Addr: s.cfg.HTTPAddr, AddrVar: "SIM_HTTP_ADDR", Gatherer: reg, Ready: s.Ready, Log: s.log, Pprof: s.cfg.PprofConfig,
	})
	return err
}

// Run sends until ctx ends or the duration is over, then prints the totals.
func (s *Simulator) Run(ctx context.Context) error {
	if s.cfg.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.cfg.Duration)
		defer cancel()
	}
	fmt.Fprintf(s.out, "%d devices, one reading each per %s, %s to %s\n",
		s.cfg.Devices, s.cfg.Interval, s.cfg.Protocol, natsconn.Redact(strings.Join(s.cfg.gateways(), ",")))
	aux, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, aux := errgroup.WithContext(aux)
	g.Go(func() error { return s.report(aux) })
	if s.http != nil {
		g.Go(func() error { return s.http.Run(aux) })
	}
	start := time.Now()
	err := s.pub.Run(ctx)
	stop()
	err = errors.Join(err, g.Wait(), s.closeLedger())
	s.acks.Merge(s.pub.DrainLatency())
	total := s.pub.Stats()
	fmt.Fprint(s.out, totals(&total, s.acks, time.Since(start)))
	if s.cfg.Summary != "" {
		err = errors.Join(err, writeSummary(s.cfg.Summary, &total, s.acks))
	}
	if s.cfg.Labels != "" {
		err = errors.Join(err, writeLabels(s.cfg.Labels, s.fleet, start.UnixMilli(), time.Now().UnixMilli()))
	}
	return err
}

func (s *Simulator) closeLedger() error {
	if s.ledger == nil {
		return nil
	}
	return s.ledger.close()
}

// report prints progress lines and flushes the ledger, until ctx ends.
func (s *Simulator) report(ctx context.Context) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	last, lastAt := publisher.Stats{}, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		if s.ledger != nil {
			if err := s.ledger.flush(); err != nil {
				return err
			}
		}
		if passed := time.Since(lastAt); s.cfg.Progress > 0 && passed >= s.cfg.Progress-time.Second/2 {
			now, acks := s.pub.Stats(), s.pub.DrainLatency()
			fmt.Fprintln(s.out, progress(&last, &now, passed, acks))
			s.acks.Merge(acks)
			last, lastAt = now, time.Now()
		}
	}
}
