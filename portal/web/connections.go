package web

import (
	"crypto/tls"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/connlimit"
	"industrial-iot-monitor/internal/tlsfiles"
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

// encrypt puts TLS on both listeners if there is a certificate. It comes after the limits, so that connections beyond
// them cost no handshake.
func (p *Portal) encrypt(reg prometheus.Registerer) error {
	if p.cfg.TLSCertFile == "" {
		return nil
	}
	settings, err := tlsfiles.Server(p.cfg.TLSCertFile, p.cfg.TLSKeyFile, tls.VersionTLS12, p.log)
	if err != nil {
		return fmt.Errorf("PORTAL_TLS_CERT_FILE, PORTAL_TLS_KEY_FILE: %w", err)
	}
	if err := reg.Register(tlsfiles.Expiry("portal_certificate_expiry_timestamp_seconds", settings)); err != nil {
		return err
	}
	settings.NextProtos = []string{"http/1.1"} // fasthttp has no HTTP/2
	for _, ln := range []*net.Listener{&p.ln, &p.wsLn} {
		if *ln != nil {
			*ln = tlsfiles.Listen(*ln, settings, false)
		}
	}
	return nil
}

// URL returns the address of the page.
func (p *Portal) URL() string {
	if p.cfg.TLSCertFile != "" {
		return "https://" + p.Addr()
	}
	return "http://" + p.Addr()
}
