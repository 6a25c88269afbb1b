package historian

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/sensors/sensorfile"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/vitals"
)

// ProgramConfig is the environment of "core historian", which keeps the history and does nothing
// else.
type ProgramConfig struct {
	ops.LogConfig
	ops.PprofConfig
	kafka.Config
	topology.Topics
	Sensors sensorfile.Config // SENSORS_FILE

	GroupID    string `env:"KAFKA_GROUP_ID" envDefault:"iot-consumer-group" help:"consumer group of the core instances; the historian's has the suffix -history"`
	HubURL     string `env:"HUB_URL" help:"NATS hub to which the historian reports itself; empty: it does not"`
	HubKeyFile string `env:"HUB_KEY_FILE" help:"file with the key that this program proves to the hub, from bridge client add; empty: none"`
	HubCAFile  string `env:"HUB_CA_FILE" help:"PEM file of the certificates that the hub's is signed by, for a HUB_URL of tls://; empty: those of the system"`
	HTTPAddr   string `env:"CORE_HTTP_ADDR" envDefault:"127.0.0.1:9103" help:"address of /metrics, /livez and /readyz; empty for none"`
	History    Config // the HISTORY variables
}

var errOff = errors.New("HISTORY=off: want embedded, or no core historian")

// Check returns the invalid settings, each named by its variable.
func (c *ProgramConfig) Check() error {
	var err error
	if !c.History.Enabled() {
		err = errOff
	}
	ports := append(c.History.Ports(), c.OpsPort("CORE_HTTP_ADDR", c.HTTPAddr))
	return errors.Join(err, c.Config.Check(), c.Topics.Check(), c.History.Check(), c.CheckPorts(ports...))
}

// Program is a historian alone.
type Program struct {
	log       *slog.Logger
	sensors   *sensorfile.File
	historian *Historian
	server    *ops.Server // nil without an address
	cluster   kafka.Cluster
	hub       *nats.Conn // nil without HUB_URL
	reporter  *vitals.Reporter
}

// NewProgram binds the listeners; Run starts the work.
func NewProgram(cfg *ProgramConfig, log *slog.Logger) (_ *Program, err error) {
	reg := ops.NewRegistry()
	p := &Program{log: log.With("component", "historian"), cluster: cfg.Open()}
	if err := p.cluster.Register(reg, "historian"); err != nil {
		return nil, err
	}
	p.sensors, err = sensorfile.Open(sensorfile.Options{
		Config: cfg.Sensors, Log: p.log, Registry: reg, Program: "core", Changed: func(*sensors.Catalogue) {},
	})
	if err != nil {
		return nil, err
	}
	p.historian, err = New(Options{
		Config: cfg.History, Cluster: p.cluster, Topic: cfg.Specs().DeviceData, Letters: cfg.Specs().DeadLetters, GroupID: cfg.GroupID, Log: log, Registry: reg, Catalogue: p.sensors.Catalogue,
	})
	if err != nil {
		return nil, err
	}
	if cfg.HTTPAddr != "" {
		p.server, err = ops.NewServer(ops.ServerOptions{
			Addr: cfg.HTTPAddr, AddrVar: "CORE_HTTP_ADDR", Gatherer: reg, Ready: p.historian.Ready, Log: log, Pprof: cfg.PprofConfig,
		})
	}
	if err == nil && cfg.HubURL != "" {
		err = p.join(cfg, reg, log)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// join starts connecting to the hub and makes the reporter.
func (p *Program) join(cfg *ProgramConfig, reg *prometheus.Registry, log *slog.Logger) (err error) {
	p.hub, err = natsconn.Connect(natsconn.Options{URL: cfg.HubURL, KeyFile: cfg.HubKeyFile, CAFile: cfg.HubCAFile, Name: "historian", Log: log, Extra: []nats.Option{nats.ReconnectBufSize(-1)}}) // drop while disconnected
	if err != nil {
		return fmt.Errorf("HUB_URL: %w", err)
	}
	p.reporter, err = vitals.New(vitals.Options{
		Program: "historian", Instance: vitals.Instance(p.Addr()), Gatherer: reg, Log: log, Publish: p.hub.Publish, Listen: vitals.Listen(p.hub),
	})
	return err
}

// Addr returns the bound address of the operations server, empty without one.
func (p *Program) Addr() string {
	if p.server == nil {
		return ""
	}
	return p.server.Addr()
}

// Close releases what NewProgram took, for a Program that was never run.
func (p *Program) Close() error {
	if p.hub != nil {
		p.hub.Close()
	}
	var err error
	if p.server != nil {
		err = p.server.Close()
	}
	return errors.Join(err, p.historian.Close())
}

// Run works until ctx ends.
func (p *Program) Run(ctx context.Context) error {
	g := lifecycle.New(p.log, lifecycle.DefaultStopTimeout)
	if p.server != nil {
		g.Go("operations server", p.server.Run)
	}
	if p.hub != nil {
		g.OnStop("hub connection", func(context.Context) error {
			p.hub.Close()
			return nil
		})
		g.Go("vitals", p.reporter.Run)
	}
	g.Go("sensors", p.sensors.Run)
	g.Go("settings of topics", func(ctx context.Context) error { return p.cluster.WatchTopics(ctx, p.log) })
	g.Go("historian", p.historian.Run)
	return g.Wait(ctx)
}
