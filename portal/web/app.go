package web

import (
	"bytes"
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/valyala/fasthttp"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/portal/internal/metadata"
)

// newApp returns an app with the limits and middleware of both ports.
func (p *Portal) newApp() *fiber.App {
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ReadTimeout:           headWithin,
		WriteTimeout:          30 * time.Second,
		IdleTimeout:           60 * time.Second,
		BodyLimit:             64 << 10,
		ReadBufferSize:        8 << 10, // for the request's head; browsers send the cookies of every program on the host
		ErrorHandler:          p.answerError,
		Network:               "tcp",
	})
	server := app.Server()
	server.HeaderReceived = bodyLimit
	server.Handler = knownMethods(server.Handler)
	app.Use(p.countAnswer, p.recover, p.harden, p.identify)
	return app
}

const (
	// headWithin is how long the head of a request may take, from the connection on or from its first byte.
	headWithin = 5 * time.Second
	// bodyWithin is how long its body may take after that.
	bodyWithin = 10 * time.Second
)

// largeBody is the limit for what may be larger than the commands and documents of text: an image in base64, with
// its JSON around, and the points of a plan.
const largeBody = metadata.MaxImage*4/3 + 16<<10

// bodyLimit gives the body its time, and raises its limit where it may be larger.
func bodyLimit(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	c := fasthttp.RequestConfig{ReadTimeout: bodyWithin}
	path, _, _ := bytes.Cut(h.RequestURI(), []byte("?"))
	if bytes.Equal(path, []byte(imagesPath)) || bytes.HasPrefix(path, []byte("/api/v1/buildings/")) && bytes.HasSuffix(path, []byte("/plan")) {
		c.MaxRequestBodySize = largeBody
	}
	return c
}

// knownMethods passes methods that Fiber does not know on as TRACE, which no path allows: Fiber itself answers them
// with 400 and without a header of ours.
func knownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		if !slices.Contains(fiber.DefaultMethods, string(c.Method())) {
			c.Request.Header.SetMethod(fiber.MethodTrace)
		}
		next(c)
	}
}

// route adds a route for callers with a permission, who pay its cost in tokens; there is no other way to add one.
// Those without the permission pay, too.
func (p *Portal) route(app *fiber.App, method, path string, need permission, cost float64, chain ...fiber.Handler) {
	chain = append([]fiber.Handler{p.limitRequests(cost), p.allow(need)}, chain...)
	if method == fiber.MethodGet {
		app.Get(path, chain...) // with HEAD
		return
	}
	app.Add(method, path, chain...)
}

// routes adds those of the main port.
func (p *Portal) routes(app *fiber.App) {
	app.Use("/api/v1", noStore, onlyMethods)
	p.register(app, endpoints()...)
	app.Use("/api/v1", p.limitRequests(atHand)) // paths that do not exist
	p.route(app, fiber.MethodGet, "/api/openapi.json", anyone, free, serveOpenAPI)
	p.route(app, fiber.MethodGet, "/api/asyncapi.yaml", anyone, free, serveAsyncAPI)
	p.route(app, fiber.MethodGet, p.cfg.WebSocketPath, viewPlant, free, p.checkHandshake, p.serveSocket)
	for _, method := range []string{fiber.MethodGet, fiber.MethodPut} { // they let in this machine alone
		p.route(app, method, "/debug/loglevel", anyone, free, p.operations)
	}
	if p.cfg.Pprof {
		p.route(app, fiber.MethodGet, "/debug/pprof/*", maintain, free, p.operations)
	}
	for _, method := range []string{fiber.MethodGet, fiber.MethodPost} {
		p.route(app, method, history.PromPath+"/*", viewPlant, sorting, noStore, p.askPrometheus)
	}
	p.route(app, fiber.MethodGet, oidcPath, anyone, atHand, noStore, p.beginOIDC)
	p.route(app, fiber.MethodGet, oidcPath+"/callback", anyone, sorting, noStore, p.finishOIDC)
	p.route(app, fiber.MethodGet, "/*", anyone, free, p.page.serve)
}

// socketRoutes adds those of the second port: the WebSocket and /livez.
func (p *Portal) socketRoutes(app *fiber.App) {
	p.route(app, fiber.MethodGet, "/livez", anyone, free, adaptor.HTTPHandler(p.ops))
	p.route(app, fiber.MethodGet, p.cfg.WebSocketPath, viewPlant, free, p.checkHandshake, p.serveSocket)
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
