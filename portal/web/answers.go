package web

import (
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// uncounted are the paths of probes and scrapes: their failures are by design and are no failures of the portal's users.
var uncounted = []string{"/livez", "/readyz", "/metrics"}

// countAnswers registers the counters.
func (p *Portal) countAnswers(reg prometheus.Registerer) error {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_http_requests_total", Help: "Answers to HTTP requests by class of their status, 1xx to 5xx; 1xx are WebSockets. Probes and scrapes do not count.",
	}, []string{"class"})
	for class := range p.answered {
		p.answered[class] = v.WithLabelValues(strconv.Itoa(class+1) + "xx")
	}
	return reg.Register(v)
}

// countAnswer counts the answer to a request. Errors become answers here, since their status is known only then.
func (p *Portal) countAnswer(c *fiber.Ctx) error {
	err := c.Next()
	if err != nil {
		err = p.answerError(c, err)
	}
	if class := c.Response().StatusCode()/100 - 1; class >= 0 && class < len(p.answered) && !slices.Contains(uncounted, c.Path()) {
		p.answered[class].Inc()
	}
	return err
}
