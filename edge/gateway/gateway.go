// Package gateway is the program edge, to which the devices of one building deliver their
// readings. It writes them to its own disk before it acknowledges them, and keeps them
// until the bridge has pulled them over the leaf link, which may be down for as long as
// the disk has room. It checks that readings are well formed, never what they say.
//
// New binds every listener and recovers the store; Run blocks until its context ends.
package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/enrolment"
	"industrial-iot-monitor/edge/internal/ingest"
	"industrial-iot-monitor/edge/internal/mapping"
	"industrial-iot-monitor/edge/internal/quota"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/tlsfiles"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/vitals"
)

// stopTimeout bounds the stop of each part. A busy intake takes half a second, the
// collector two and a half if the disk does not respond, the others next to nothing: the
// whole stop stays within five seconds.
const stopTimeout = 3 * time.Second

// Options of a Gateway. Config.ID and Log are required.
type Options struct {
	Config   Config
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: a new one; several gateways may share one
	// StallAfter is how long a pack write may take before devices get "retry later";
	// 0 means 1.25 s.
	StallAfter time.Duration
	// Notify tells the supervisor of the process how the gateway is, in the words of sd_notify(3); nil: none.
	Notify func(state string) error
}

// Gateway is one building's gateway.
type Gateway struct {
	cfg        Config
	log        *slog.Logger
	epoch      uint64
	started    time.Time
	supervisor func(state string) error // may be nil

	reg       *registrations
	metrics   *metrics
	devices   *devices.Store // nil with EDGE_DEVICE_AUTH=off
	quota     *quota.Table
	tls       *tls.Config // of devices; nil: none
	broker    *broker.Broker
	collector *ingest.Collector
	mapper    *mapping.Mapper
	mqtt      *ingest.MQTTIntake
	http      *ops.Server               // nil without EDGE_HTTP_ADDR
	alive     atomic.Pointer[time.Time] // of the newest successful probe of the stream
	listening atomic.Bool               // devices can publish
	vitals    *vitals.Reporter
	tracer    *tracing.Tracer // nil without traces
	restarts  atomic.Uint64   // of storage
	diskBad   atomic.Bool     // the disk accepts no writes
	untaken   ops.LogLimit    // of records of the centre

	// Used by monitor alone.
	held    broker.State // the stream at its newest successful probe
	rate    rate
	refused time.Time     // when the hub's refusal was last logged
	stepped time.Duration // sum of the clock's steps since the start
}

// openBroker starts the embedded server, with the key that the gateway proves to the hub if it has one.
func (g *Gateway) openBroker() error {
	seed, err := enrolment.Seed(g.cfg.DataDir, g.cfg.ID)
	if err != nil {
		return err
	}
	if g.cfg.TLSCertFile != "" {
		if g.tls, err = tlsfiles.Server(g.cfg.TLSCertFile, g.cfg.TLSKeyFile, tls.VersionTLS12, g.log); err != nil {
			return fmt.Errorf("EDGE_TLS_CERT_FILE: %w", err)
		}
		g.reg.MustRegister(tlsfiles.Expiry("edge_certificate_expiry_timestamp_seconds", g.tls))
		if g.cfg.TLSClientCAFile != "" {
			if err := tlsfiles.AskClients(g.tls, g.cfg.TLSClientCAFile, g.log); err != nil {
				return fmt.Errorf("EDGE_TLS_CLIENT_CA_FILE: %w", err)
			}
		}
	}
	var gate broker.Gate
	if g.cfg.DeviceAuth != devices.Off {
		file := devices.File(g.cfg.DataDir, g.cfg.ID)
		if g.devices, err = devices.Open(devices.Options{File: file, Gateway: g.cfg.ID, Mode: g.cfg.DeviceAuth, Log: g.log, Registry: g.reg}); err != nil {
			return err
		}
		gate = g.devices
	}
	g.broker, err = broker.New(broker.Options{
		Gateway: g.cfg.ID, Addr: g.cfg.NATSAddr, HubURL: g.cfg.HubURL, HubSeed: seed, HubCAFile: cmp.Or(g.cfg.HubCAFile, enrolment.CAFile(g.cfg.DataDir, g.cfg.ID)),
		Dir: filepath.Join(g.cfg.DataDir, g.cfg.ID), BufferBytes: g.cfg.BufferBytes, MaxConnections: g.cfg.MaxConnections,
		TLS: g.tls, PlainToo: g.cfg.TLSMode == tlsOptional, Gate: gate, Log: g.log, OnReconnect: g.metrics.reconnects.Inc,
	})
	if err != nil {
		return err
	}
	g.metrics.bufferLimit.Set(float64(g.broker.BufferLimit()))
	return nil
}

// New starts the embedded server, which recovers the store, and binds MQTT and HTTP. The
// caller must call Run or Close.
func New(o Options) (_ *Gateway, err error) {
	if o.Log == nil {
		return nil, errors.New("gateway: Options.Log is required")
	}
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if o.Registry == nil {
		o.Registry = ops.NewRegistry()
	}
	g := &Gateway{
		cfg: o.Config, log: o.Log.With("gateway", o.Config.ID), epoch: newEpoch(), started: time.Now(), supervisor: o.Notify,
		reg: &registrations{Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"gateway": o.Config.ID}, o.Registry)},
	}
	g.metrics = newMetrics(g.reg)
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if err := g.openBroker(); err != nil {
		return nil, err
	}
	g.noteDamage()
	if err := g.openQuota(); err != nil {
		return nil, err
	}
	if g.tracer, err = tracing.New(tracing.Options{Config: g.cfg.Tracing, Program: "edge", Instance: g.cfg.ID, Log: g.log, Registry: g.reg}); err != nil {
		return nil, err
	}
	g.collector = ingest.New(ingest.Options{
		Tracer: g.tracer,
		Store:  g.broker.Stream(), Epoch: g.epoch, Log: g.log, Registerer: g.reg,
		Quota: g.quota, Linger: g.cfg.Linger, StallAfter: o.StallAfter, StuckAfter: stuckAfter, KeepWaiting: g.diskBad.Load, Resends: g.recall(),
		Mark: func(m ingest.Mark) { g.broker.Mark(g.epoch, m.Counter, m.Seq, m.Totals) },
	})
	g.mapper, err = mapping.New(mapping.Options{File: g.cfg.MappingsFile, Building: g.cfg.Building, Log: g.log, Registerer: g.reg})
	if err != nil {
		return nil, err
	}
	g.mqtt, err = ingest.ListenMQTT(ingest.MQTTOptions{
		Addr: g.cfg.MQTTAddr, WebSocketAddr: g.cfg.MQTTWSAddr, Origins: g.cfg.MQTTWSOrigins,
		MaxConnections: g.cfg.MaxConnections, MaxPerAddress: g.cfg.MaxPerIP,
		TLS: g.tls, PlainToo: g.cfg.TLSMode == tlsOptional,
		Collector: g.collector, Mapper: g.mapper, Devices: g.devices, Log: g.log, Registerer: g.reg,
	})
	if err != nil {
		return nil, err
	}
	if g.vitals, err = g.newVitals(o.Registry); err != nil {
		return nil, err
	}
	if g.cfg.HTTPAddr != "" {
		g.http, err = ops.NewServer(ops.ServerOptions{
			Addr: g.cfg.HTTPAddr, AddrVar: "EDGE_HTTP_ADDR", Gatherer: o.Registry, Ready: g.Ready, Log: g.log, Pprof: g.cfg.PprofConfig,
		})
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

// newEpoch draws the random number that identifies this start of the gateway.
func newEpoch() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the process instead
	return binary.BigEndian.Uint64(b[:])
}

// NATSAddr returns the address on which devices connect by NATS.
func (g *Gateway) NATSAddr() string { return g.broker.Addr() }

// MQTTAddr returns the address on which devices connect by MQTT.
func (g *Gateway) MQTTAddr() string { return g.mqtt.Addr().String() }

// MQTTWebSocketAddr returns the address on which devices connect by MQTT over WebSocket, or
// "" when there is none.
func (g *Gateway) MQTTWebSocketAddr() string {
	if addr := g.mqtt.WebSocketAddr(); addr != nil {
		return addr.String()
	}
	return ""
}

// Addr returns the address of the operations server, or "" when there is none.
func (g *Gateway) Addr() string {
	if g.http == nil {
		return ""
	}
	return g.http.Addr()
}

// HubConnected reports whether the leaf link to the hub is up.
func (g *Gateway) HubConnected() bool { return g.broker.HubConnected() }

// Epoch returns the epoch as in heartbeats: 16 hex digits.
func (g *Gateway) Epoch() string { return fmt.Sprintf("%016x", g.epoch) }

// Run accepts readings until ctx ends. Then it stops the intake, stores and acknowledges
// the accepted readings and releases everything, within five seconds. It returns an error
// if a part fails, ingest.ErrStuck if storage fails for good.
func (g *Gateway) Run(ctx context.Context) error {
	parts := lifecycle.New(g.log, stopTimeout)
	if g.tracer != nil {
		parts.Go("traces", g.tracer.Run)
	}
	parts.OnStop("broker", g.stopBroker)
	if g.http != nil {
		parts.Go("operations server", g.http.Run)
	}
	parts.OnStop("mqtt", g.mqtt.Close)
	parts.Go("monitor", g.monitor)
	parts.Go("vitals", g.vitals.Run)
	parts.Go("requests for traces", g.hearTraces)
	parts.Go("healer", g.heal)
	parts.OnStop("resends", func(context.Context) error { g.collector.SaveResends(); return nil })
	parts.Go("collector", g.collector.Run)
	parts.Go("mappings", g.mapper.Run)
	if g.devices != nil {
		parts.Go("devices", g.devices.Run)
		parts.Go("device rights", g.followDevices)
		if err := g.hearCentre(parts); err != nil {
			return errors.Join(err, parts.Stop())
		}
	}
	parts.Go("resends", g.collector.KeepResends)
	parts.Go("known devices", g.keepKnown)
	nats, err := ingest.ListenNATS(ingest.NATSOptions{
		Conn: g.broker.Devices(), Collector: g.collector, Mapper: g.mapper, Devices: g.devices, Stream: g.broker.Stream().Name(),
		Log: g.log, Registerer: g.reg,
	})
	if err != nil {
		return errors.Join(err, parts.Stop())
	}
	parts.OnStop("nats intake", nats.Stop)
	g.mqtt.Serve()
	g.listening.Store(true)
	parts.OnStop("mqtt intake", func(context.Context) error { g.mqtt.StopIntake(); return nil })
	g.log.Info("gateway started", "building", g.cfg.Building, "nats", g.NATSAddr(), "mqtt", g.MQTTAddr(), "mqtt_ws", g.MQTTWebSocketAddr(), "tls", g.tls != nil,
		"http", g.Addr(), "hub", natsconn.Redact(g.cfg.HubURL), "buffer_bytes", g.broker.BufferLimit(), "epoch", g.Epoch()) // not the instance id: it is the password at the hub
	unfollow := g.supervised(ctx)
	defer unfollow()
	return parts.Wait(ctx)
}

// followDevices ends the connections of devices that are revoked, until ctx ends.
func (g *Gateway) followDevices(ctx context.Context) error {
	for {
		changed := g.devices.Changed()
		g.broker.Recheck()
		g.mqtt.Recheck()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// stopBroker flushes the last replies and stops the server.
func (g *Gateway) stopBroker(ctx context.Context) error {
	err := g.broker.Flush(ctx)
	g.broker.Shutdown()
	g.reg.release()
	return err
}

// Close releases a gateway on which Run was not called.
func (g *Gateway) Close() error {
	var errs []error
	if g.http != nil {
		errs = append(errs, g.http.Close())
	}
	if g.mqtt != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		errs = append(errs, g.mqtt.Close(ctx))
	}
	if g.broker != nil {
		g.broker.Shutdown()
	}
	g.reg.release()
	return errors.Join(errs...)
}
