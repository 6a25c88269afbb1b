package web

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/quota"
)

// caller returns the address that a request counts against, an invalid one for none.
func (p *Portal) caller(c *fiber.Ctx) netip.Addr {
	return p.proxies.caller(remoteIP(c), forwarded(c, fiber.HeaderXForwardedFor))
}

// payer returns whose tokens a request takes, "" for nobody's: those of the caller who has proved who they are, from wherever
// they come, or else of the address.
func (p *Portal) payer(c *fiber.Ctx) string {
	if subject := who(c).subject(); subject != "" {
		return subject
	}
	if from := p.caller(c); from.IsValid() {
		return from.String()
	}
	return ""
}

// Tokens that a request takes, by what it makes the portal, the database or core do. Ten pages of a control room
// that load twelve charts each at once take some 700, of the 1,000 that a caller can save up by default.
const (
	free      = 0 // the page, its documents, probes, and what has its own limit, as the WebSocket
	atHand    = 1
	sorting   = 5  // all devices or alarms, or a question to the database, the historian or core
	gathering = 20 // a file without a limit of rows, or the figures of a shift
)

// limitRequests refuses callers that ask too much.
func (p *Portal) limitRequests(cost float64) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if cost == free {
			return c.Next()
		}
		return p.limit(c, p.requests, cost)
	}
}

// limitCommands refuses callers that command too often.
func (p *Portal) limitCommands(c *fiber.Ctx) error { return p.limit(c, p.orders, 1) }

func (p *Portal) limit(c *fiber.Ctx, l *quota.Limiter, cost float64) error {
	wait := l.Allow(context.Background(), p.payer(c), cost) // fasthttp uses the request's own again, which a timer may still read
	if err := tooOften(wait); err != nil {
		c.Set(fiber.HeaderRetryAfter, strconv.FormatFloat(math.Ceil(wait.Seconds()), 'f', 0, 64))
		return err
	}
	return c.Next()
}

// tooOften returns the error of a caller that has to wait, nil for none.
func tooOften(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return refuse(fiber.StatusTooManyRequests, "rate_limited", fmt.Sprintf("too many requests; ask again in %s", wait.Round(time.Millisecond)))
}
