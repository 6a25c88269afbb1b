package historian

import (
	"fmt"
	"net/http"
	"net/url"

	"industrial-iot-monitor/core/internal/prom"
	"industrial-iot-monitor/core/internal/remote"
)

// promql returns the handler of Prometheus' API.
func (h *Historian) promql() http.Handler {
	source, ok := h.keeper.(prom.Source)
	if !ok {
		return prom.Elsewhere(elsewhere(&h.o.Config))
	}
	api := prom.New(prom.Options{Source: source, Log: h.log, Registry: h.o.Registry})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := h.refused.Load(); why != nil {
			prom.Unavailable(w, *why)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// elsewhere says where a history that is in an engine is asked.
func elsewhere(c *Config) string {
	address := c.URL
	if c.ReadURL != "" {
		address = c.ReadURL
	}
	if u, err := url.Parse(address); err == nil {
		u.User = nil // a name or a password
		address = u.String()
	}
	if c.Mode == remote.VictoriaMetrics {
		return fmt.Sprintf("the history is in VictoriaMetrics at %s, which answers PromQL itself: use that address, where a sensor such as temperature is the metric readings_temperature", address)
	}
	return fmt.Sprintf("the history is in InfluxDB at %s, which answers no PromQL: ask it in InfluxQL, or set HISTORY=%s", address, Embedded)
}
