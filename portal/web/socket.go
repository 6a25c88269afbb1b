package web

import (
	"errors"
	"sync"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
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
	}
}

// upgrade hands the connection to the hub.
func (p *Portal) upgrade(c *fiber.Ctx) error {
	if !websocket.FastHTTPIsWebSocketUpgrade(c.Context()) {
		c.Set(fiber.HeaderUpgrade, "websocket")
		return &apiError{fiber.StatusUpgradeRequired, "upgrade_required", "this address speaks WebSocket only"}
	}
	if !p.origins.allows(c.Get(fiber.HeaderOrigin), c.Hostname()) {
		return &apiError{fiber.StatusForbidden, "origin_not_allowed", "pages of this origin may not connect; see PORTAL_ALLOWED_ORIGINS"}
	}
	err := p.upgrader.Upgrade(c.Context(), p.hub.Serve)
	if _, bad := errors.AsType[websocket.HandshakeError](err); bad {
		return &apiError{fiber.StatusBadRequest, "bad_handshake", "the WebSocket handshake is not complete"}
	}
	return err
}
