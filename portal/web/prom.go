package web

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/history"
)

// promWithin is when a request to Prometheus' API is given up. The historian gives up before.
const promWithin = 40 * time.Second

// promError is an error as clients of Prometheus understand it.
type promError struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
}

func refuseProm(c *fiber.Ctx, status int, kind, text string) error {
	return c.Status(status).JSON(promError{"error", kind, text})
}

// askPrometheus passes a request to Prometheus' API on to the historian, and its answer back. Both are as
// Prometheus documents them, so that Grafana takes the portal for a Prometheus.
func (p *Portal) askPrometheus(c *fiber.Ctx) error {
	if p.history == nil {
		return refuseProm(c, http.StatusServiceUnavailable, "unavailable", errNoHistory.body.Message)
	}
	path := string(c.Request().URI().Path()) // decoded, and without dots
	if !strings.HasPrefix(path, history.PromPath+"/") {
		return refuseProm(c, http.StatusNotFound, "not_found", "no such path")
	}
	var body []byte
	if c.Method() == fiber.MethodPost {
		if kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType)); err != nil || kind != fiber.MIMEApplicationForm {
			return refuseProm(c, http.StatusUnsupportedMediaType, "bad_data", "send a form, with Content-Type: "+fiber.MIMEApplicationForm)
		}
		body = bytes.Clone(c.Request().Body()) // it may be sent still when the answer begins
	}
	ctx, cancel := context.WithCancel(c.UserContext())
	idle := time.AfterFunc(promWithin, cancel)
	//nolint:bodyclose // what sends it closes it
	resp, err := p.history.Forward(ctx, c.Method(), path, string(c.Request().URI().QueryString()), strings.Clone(c.Get(fiber.HeaderContentType)), body)
	if err != nil {
		idle.Stop()
		cancel()
		p.noAnswer(err)
		return refuseProm(c, http.StatusServiceUnavailable, "unavailable", errHistoryAway.body.Message)
	}
	c.Status(resp.StatusCode)
	c.Set(fiber.HeaderContentType, resp.Header.Get("Content-Type"))
	return c.SendStream(&readings{ReadCloser: resp.Body, idle: idle, cancel: cancel, conn: c.Context().Conn()})
}
