package web

import (
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	fastws "github.com/fasthttp/websocket"
	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/fanout"
	"industrial-iot-monitor/portal/internal/screens"
)

// visitorKey is the Locals key under which checkHandshake passes a visitor on.
const visitorKey = "visitor"

// socketHandler returns the handler that upgrades a request checked by checkHandshake and
// runs serve for as long as the connection lives. A panic in serve ends the connection; it
// is logged and never sent to the client, as the library would by default.
func socketHandler(log *slog.Logger, serve func(*fastws.Conn, visitor)) fiber.Handler {
	return websocket.New(func(c *websocket.Conn) {
		if v, ok := c.Locals(visitorKey).(visitor); ok {
			serve(c.Conn, v)
		}
	}, websocket.Config{
		ReadBufferSize:  512, // clients send little
		WriteBufferPool: &sync.Pool{},
		Subprotocols:    []string{dashboard.Subprotocol},
		RecoverHandler: func(*websocket.Conn) {
			if v := recover(); v != nil {
				log.Error("panic while serving a WebSocket", "panic", v, "stack", string(debug.Stack()))
			}
		},
	})
}

// checkHandshake refuses requests that may not be upgraded; the library checks no origin of
// its own and answers every fault with 426.
func (p *Portal) checkHandshake(c *fiber.Ctx) error {
	switch {
	case !websocket.IsWebSocketUpgrade(c):
		c.Set(fiber.HeaderUpgrade, "websocket")
		return refuse(fiber.StatusUpgradeRequired, "upgrade_required", "this address speaks WebSocket only")
	case p.checkOrigin(c) != nil:
		return refuse(fiber.StatusForbidden, "origin_not_allowed", "pages of this origin may not connect; see PORTAL_ALLOWED_ORIGINS")
	case unknownSubprotocol(c.Get(fiber.HeaderSecWebSocketProtocol)):
		return refuse(fiber.StatusBadRequest, "unknown_subprotocol", "this address speaks "+dashboard.Subprotocol+", or the simple dialect to those that name no subprotocol")
	case c.Method() != fiber.MethodGet, c.Get(fiber.HeaderSecWebSocketVersion) != "13", c.Get(fiber.HeaderSecWebSocketKey) == "":
		return refuse(fiber.StatusBadRequest, "bad_handshake", "the WebSocket handshake is not complete")
	}
	from := p.caller(c)
	id := who(c)
	c.Locals(visitorKey, visitor{fanout.Visitor{Commands: p.socketCommands(id, p.payer(c)), Caller: p.callerOf(id), From: from}, id.credential})
	return c.Next()
}

// callerOf returns what a page is told about who is at it, so that it offers what they may do. Nothing rests on it: each request is checked.
func (p *Portal) callerOf(id identity) dashboard.Caller {
	c := dashboard.Caller{Operator: id.Name}
	if !p.cfg.off() {
		c.Permissions = id.permissions()
	}
	return c
}

// visitor is a client whose credential, if it showed one, must hold as long as it is connected.
type visitor struct {
	fanout.Visitor

	credential string
}

// serveClient serves a connection. Who is at a page counts as an operator; programs speak the simple dialect.
func (p *Portal) serveClient(conn *fastws.Conn, v visitor) {
	if v.credential != "" {
		watch := p.people.Watch(v.credential)
		defer watch.Close()
		v.Ended = watch.Ended
	}
	if conn.Subprotocol() == dashboard.Subprotocol {
		seat := p.operators.Join(v.Operator)
		defer seat.Leave()
		v.Present = seat.Rename
	}
	p.fanout.Serve(conn, v.Visitor)
}

// unknownSubprotocol tells whether a client asks for subprotocols and we speak none of
// them.
func unknownSubprotocol(header string) bool {
	return header != "" && !slices.ContainsFunc(strings.Split(header, ","), func(name string) bool {
		return strings.TrimSpace(name) == dashboard.Subprotocol
	})
}

// rateBurst is how many times its rate a client may send at once.
const rateBurst = 10

// buildSockets makes what speaks with WebSocket clients.
func (p *Portal) buildSockets(o Options) (err error) {
	p.dashboard, err = dashboard.New(dashboard.Options{
		Model: p.model, Log: o.Log, Registry: o.Registry, Limits: o.Dashboard, Insecure: o.Config.Insecure,
		Stats:    func() any { return p.stats.get() },
		Gateways: func() any { return p.gateways() },
		Sensors:  func() any { return p.inventory.get(p) },
	})
	if err != nil {
		return err
	}
	o.Limits.Connections = o.Config.MaxConnections
	o.Limits.PerAddress = zeroIsNone(o.Config.MaxPerAddress)
	o.Limits.RecentBytes = zeroIsNone(o.Config.ReplayBytes)
	if o.Config.MessageRate > 0 {
		o.Limits.RatePerSecond, o.Limits.RateBurst = o.Config.MessageRate, o.Config.MessageRate*rateBurst
	}
	if p.screens, err = screens.New(o.Registry); err != nil {
		return err
	}
	p.fanout, err = fanout.New(fanout.Options{Model: p.model, Log: o.Log, Registry: o.Registry, Publisher: p.dashboard, Screens: p.screens, Limits: o.Limits})
	return err
}

// zeroIsNone turns a setting whose 0 means none into a limit whose 0 means the default.
func zeroIsNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
