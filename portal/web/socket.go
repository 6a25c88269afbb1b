package web

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/fanout"
)

// newUpgrader returns what speaks the handshake. It is used without
// gofiber/contrib/websocket, which keeps five maps of the request for as long as the
// connection lives and writes panics to the client.
func newUpgrader() *websocket.FastHTTPUpgrader {
	return &websocket.FastHTTPUpgrader{
		ReadBufferSize:  512, // clients send little
		WriteBufferPool: &sync.Pool{},
		CheckOrigin:     func(*fasthttp.RequestCtx) bool { return true }, // decided before
		Error:           func(*fasthttp.RequestCtx, int, error) {},       // answered by upgrade
		Subprotocols:    []string{dashboard.Subprotocol},
	}
}

// upgrade hands the connection to the hub.
func (p *Portal) upgrade(c *fiber.Ctx) error {
	if !websocket.FastHTTPIsWebSocketUpgrade(c.Context()) {
		c.Set(fiber.HeaderUpgrade, "websocket")
		return refuse(fiber.StatusUpgradeRequired, "upgrade_required", "this address speaks WebSocket only")
	}
	if !p.origins.allows(c.Get(fiber.HeaderOrigin), p.host(c)) {
		return refuse(fiber.StatusForbidden, "origin_not_allowed", "pages of this origin may not connect; see PORTAL_ALLOWED_ORIGINS")
	}
	if unknownSubprotocol(c.Get(fiber.HeaderSecWebSocketProtocol)) {
		return refuse(fiber.StatusBadRequest, "unknown_subprotocol", "this address speaks "+dashboard.Subprotocol+", or the simple dialect to those that name no subprotocol")
	}
	v := fanout.Visitor{Commands: p.socketCommands(who(c)), From: p.proxies.caller(remoteIP(c), forwarded(c, fiber.HeaderXForwardedFor))}
	err := p.upgrader.Upgrade(c.Context(), func(ws *websocket.Conn) { p.fanout.Serve(ws, v) })
	if _, bad := errors.AsType[websocket.HandshakeError](err); bad {
		return refuse(fiber.StatusBadRequest, "bad_handshake", "the WebSocket handshake is not complete")
	}
	return err
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
		Model: p.plant, Log: o.Log, Registry: o.Registry, Limits: o.Dashboard,
		Stats:    func() any { return p.stats.get() },
		Gateways: func() any { return p.gateways() },
	})
	if err != nil {
		return err
	}
	o.Limits.Connections, o.Limits.PerAddress = o.Config.MaxConnections, o.Config.MaxPerAddress
	o.Limits.RecentBytes = o.Config.ReplayBytes
	if o.Config.ReplayBytes == 0 {
		o.Limits.RecentBytes = -1 // the hub takes 0 for its default
	}
	if o.Config.MessageRate > 0 {
		o.Limits.RatePerSecond, o.Limits.RateBurst = o.Config.MessageRate, o.Config.MessageRate*rateBurst
	}
	p.fanout, err = fanout.New(fanout.Options{Model: p.plant, Log: o.Log, Registry: o.Registry, Publisher: p.dashboard, Limits: o.Limits})
	return err
}
