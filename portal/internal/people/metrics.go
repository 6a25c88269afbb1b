package people

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct{ signIns *prometheus.CounterVec }

// Results of sign-ins.
const (
	resultOK      = "ok"
	resultWrong   = "wrong"
	resultDelayed = "delayed"
	resultFailed  = "failed"
)

func newMetrics(reg prometheus.Registerer, h *hasher) (*metrics, error) {
	m := &metrics{signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_sign_ins_total", Help: "Attempts to sign in with a password, by result: ok, wrong, delayed (too soon after wrong ones), or failed (the database is away, or too many at once).",
	}, []string{"result"})}
	hashes := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "portal_password_hashes_running", Help: "Password hashes that are being computed, 2 at most."}, func() float64 {
		return float64(h.running.Load())
	})
	for _, result := range []string{resultOK, resultWrong, resultDelayed, resultFailed} {
		m.signIns.WithLabelValues(result)
	}
	return m, errors.Join(reg.Register(m.signIns), reg.Register(hashes))
}

func (m *metrics) count(err error) {
	result := resultFailed
	switch _, delayed := errors.AsType[*DelayedError](err); {
	case err == nil:
		result = resultOK
	case errors.Is(err, ErrWrong):
		result = resultWrong
	case delayed:
		result = resultDelayed
	}
	m.signIns.WithLabelValues(result).Inc()
}
