package web

import (
	_ "embed"

	"github.com/gofiber/fiber/v2"
)

// asyncAPI describes both dialects of the WebSocket; tests check messages against it.
//
//go:embed asyncapi.yaml
var asyncAPI []byte

func serveAsyncAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/yaml; charset=utf-8")
	return c.Send(asyncAPI)
}
