package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/bridge/internal/records"
	"industrial-iot-monitor/bridge/internal/registry"
	"industrial-iot-monitor/internal/tlsfiles"
)

// admission follows the records of who may connect, and has the hub end the connections of those who may
// no longer.
type admission struct {
	registry *registry.Registry
	store    records.Store
	changed  chan struct{} // has room for one
	recheck  func()
}

func newAdmission(cfg *Config, log *slog.Logger, reg prometheus.Registerer) (g *admission, err error) {
	g = &admission{changed: make(chan struct{}, 1), store: records.Store{Cluster: cfg.Cluster, Topic: cfg.Specs().Access, Log: log}}
	g.registry, err = registry.New(registry.Options{
		Mode: registry.Mode(cfg.HubAuth), Keep: g.store.Keep, Log: log, Registry: reg,
		Changed: func() {
			select {
			case g.changed <- struct{}{}:
			default: // it is known already
			}
		},
	})
	return g, err
}

// run follows the records until ctx ends.
func (g *admission) run(ctx context.Context) error {
	var rechecks sync.WaitGroup
	defer rechecks.Wait()
	rechecks.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-g.changed:
				g.recheck()
			}
		}
	})
	return g.store.Follow(ctx, g.registry.Apply, g.registry.Complete)
}

// openHub starts the embedded hub.
func (r *Relay) openHub(o Options) (err error) {
	ho := hub.Options{
		Addr: r.cfg.HubAddr, LeafAddr: r.cfg.LeafAddr, PlainLinks: r.cfg.LeafCompression == compressOff, Log: o.Log,
		Audit: r.audit, Refused: r.roster.Refused,
	}
	if registry.Mode(r.cfg.HubAuth) != registry.Off {
		if r.admission, err = newAdmission(&r.cfg, o.Log, o.Registry); err != nil {
			return err
		}
		ho.Gate = r.admission.registry
	}
	if r.cfg.TLSCertFile != "" {
		if ho.TLS, err = tlsfiles.Server(r.cfg.TLSCertFile, r.cfg.TLSKeyFile, tls.VersionTLS13, o.Log); err != nil {
			return fmt.Errorf("BRIDGE_TLS_CERT_FILE: %w", err)
		}
		o.Registry.MustRegister(tlsfiles.Expiry("bridge_certificate_expiry_timestamp_seconds", ho.TLS))
	}
	if r.hub, err = hub.New(ho); err == nil && r.admission != nil {
		r.admission.recheck = r.hub.Recheck
	}
	return err
}
