package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/prometheus/client_golang/prometheus"
)

// Expiry returns the metric name for settings of Server: the Unix time in seconds at which the first certificate of the
// chain in force ends. It looks at renewed files as a handshake does.
func Expiry(name string, settings *tls.Config) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: "Time at which the first certificate of the chain in use expires, Unix time.",
	}, func() float64 { return float64(firstEnd(settings)) })
}

// firstEnd returns 0 when there is no certificate that can be read, which is long past.
func firstEnd(settings *tls.Config) (first int64) {
	pair, err := settings.GetCertificate(nil)
	if err != nil || pair == nil {
		return 0
	}
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return 0
		}
		if end := c.NotAfter.Unix(); first == 0 || end < first {
			first = end
		}
	}
	return first
}
