package web

import (
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// statusClasses counts the answers to HTTP requests by the class of their status.
type statusClasses struct{ byClass []prometheus.Counter } // [0] is 1xx, [4] is 5xx

// uncounted are the paths of probes and scrapes: their failures are by design and are no failures of the portal's users.
var uncounted = []string{"/livez", "/readyz", "/metrics"}

func newStatusClasses(reg prometheus.Registerer) (*statusClasses, error) {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_http_requests_total", Help: "Answers to HTTP requests by class of their status, 1xx to 5xx; 1xx are WebSockets. Probes and scrapes do not count.",
	}, []string{"class"})
	a := &statusClasses{}
	for class := 1; class <= 5; class++ {
		a.byClass = append(a.byClass, v.WithLabelValues(strconv.Itoa(class)+"xx"))
	}
	return a, reg.Register(v)
}

// countAnswer counts the answer to a request. Errors become answers here, since their status is known only then.
func (p *Portal) countAnswer(c *fiber.Ctx) error {
	err := c.Next()
	if err != nil {
		err = p.answerError(c, err)
	}
	if class := c.Response().StatusCode() / 100; class >= 1 && class <= 5 && !slices.Contains(uncounted, c.Path()) {
		p.classes.byClass[class-1].Inc()
	}
	return err
}
