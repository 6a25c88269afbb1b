package quota

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct{ allowed, refused prometheus.Counter }

func newMetrics(reg prometheus.Registerer, name string) (*metrics, error) {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_rate_limit_total", Help: "Requests that count against a rate limit, by limit and result: allowed or refused.",
	}, []string{"limit", "result"})
	if err := reg.Register(v); err != nil {
		already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err)
		if !ok {
			return nil, fmt.Errorf("registering the metrics of a rate limit: %w", err)
		}
		if v, ok = already.ExistingCollector.(*prometheus.CounterVec); !ok {
			return nil, fmt.Errorf("registering the metrics of a rate limit: %w", err)
		}
	}
	return &metrics{allowed: v.WithLabelValues(name, "allowed"), refused: v.WithLabelValues(name, "refused")}, nil
}
