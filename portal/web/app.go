package web

import (
	"errors"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
)

// newApp returns an app with the limits and the middleware that both ports share.
func (p *Portal) newApp() *fiber.App {
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ReadTimeout:           10 * time.Second,
		WriteTimeout:          30 * time.Second,
		IdleTimeout:           60 * time.Second,
		BodyLimit:             64 << 10,
		ReadBufferSize:        8 << 10, // longest head of a request; a browser sends the cookies of every program on its host
		ErrorHandler:          p.answerError,
		Network:               "tcp",
	})
	app.Use(p.recover, p.harden, p.identify)
	return app
}

// routes of the main port.
func (p *Portal) routes(app *fiber.App) {
	operations := adaptor.HTTPHandler(p.ops)
	app.Get("/metrics", operations)
	app.Get("/livez", operations)
	app.Get("/readyz", operations)

	api := app.Group("/api/v1", p.allow(viewPlant), noStore)
	api.Get("/devices", p.listDevices)
	api.Get("/devices/:id", p.getDevice)
	api.Get("/alerts", p.listAlerts)
	api.Get("/gateways", p.listGateways)
	api.Get("/stats", p.getStats)

	app.Get(p.cfg.WebSocketPath, p.allow(viewPlant), p.upgrade)
	app.Get("/*", p.page.serve)
}

// socketRoutes of the second port: the WebSocket, and whether we live.
func (p *Portal) socketRoutes(app *fiber.App) {
	app.Get("/livez", adaptor.HTTPHandler(p.ops))
	app.Get(p.cfg.WebSocketPath, p.allow(viewPlant), p.upgrade)
}

// apiError is an error whose words are meant for the client.
type apiError struct {
	status  int
	code    string
	message string
}

// Error implements error.
func (e *apiError) Error() string { return e.code + ": " + e.message }

// answerError writes the one form that errors have: {"error":{"code","message"}}. Words
// come from us alone; what went wrong inside goes to the log.
func (p *Portal) answerError(c *fiber.Ctx, err error) error {
	ours, ok := errors.AsType[*apiError](err)
	if !ok {
		ours = p.translate(c, err)
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	return c.Status(ours.status).JSON(struct {
		Error body `json:"error"`
	}{body{ours.code, ours.message}})
}

// translate finds safe words for an error of Fiber or of a handler.
func (p *Portal) translate(c *fiber.Ctx, err error) *apiError {
	status := fiber.StatusInternalServerError
	if f, ok := errors.AsType[*fiber.Error](err); ok {
		status = f.Code
	}
	switch status {
	case fiber.StatusNotFound:
		return &apiError{status, "not_found", "there is nothing at this address"}
	case fiber.StatusMethodNotAllowed:
		return &apiError{status, "method_not_allowed", "this address does not take this method"}
	case fiber.StatusRequestEntityTooLarge, fiber.StatusRequestHeaderFieldsTooLarge:
		return &apiError{status, "too_large", "the request is too large"}
	case fiber.StatusRequestTimeout:
		return &apiError{status, "timeout", "the request took too long to arrive"}
	}
	if status >= fiber.StatusBadRequest && status < fiber.StatusInternalServerError {
		return &apiError{status, "bad_request", "the request could not be understood"}
	}
	p.log.Error("request failed", "method", c.Method(), "path", c.Path(), "err", err)
	return &apiError{fiber.StatusInternalServerError, "internal", "something went wrong here; the log of the portal says what"}
}

var errPanic = errors.New("panic in a handler")

// recover turns a panic into an internal error.
func (p *Portal) recover(c *fiber.Ctx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p.log.Error("panic in a handler", "panic", v, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return c.Next()
}
