package auditlog

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct{ written, lost prometheus.Counter }

func newMetrics(reg prometheus.Registerer, program string, j *Journal) (*metrics, error) {
	m := &metrics{
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: program + "_security_audit_written_total", Help: "Records of the security audit that this program wrote."}),
		lost:    prometheus.NewCounter(prometheus.CounterOpts{Name: program + "_security_audit_lost_total", Help: "Events that are not in the security audit: too many waited while Kafka was away."}),
	}
	if reg == nil {
		return m, nil
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: program + "_security_audit_waiting", Help: "Records of the security audit that wait for Kafka.",
	}, func() float64 { return float64(j.Waiting()) })
	return m, errors.Join(reg.Register(m.written), reg.Register(m.lost), reg.Register(waiting))
}
