package web

import (
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/connlimit"
)

// limitConnections bounds the connections of both listeners together, before anything of them is read.
func (p *Portal) limitConnections(reg prometheus.Registerer) error {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_connections_refused_total", Help: "Connections closed at once because there were too many, in total or from their address.",
	}, []string{"reason"})
	for _, reason := range connlimit.Reasons() {
		refused.WithLabelValues(reason)
	}
	if err := reg.Register(refused); err != nil {
		return err
	}
	limits := connlimit.New(connlimit.Options{
		Total: p.cfg.MaxTCP, PerAddress: p.cfg.MaxTCPPerIP, Proxy: p.proxies.has,
		OnRefused: func(reason string) { refused.WithLabelValues(reason).Inc() },
	})
	for _, ln := range []*net.Listener{&p.ln, &p.wsLn} {
		if *ln != nil {
			*ln = limits.Listen(*ln)
		}
	}
	return nil
}
