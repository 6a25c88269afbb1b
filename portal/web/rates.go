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

// limitRequests refuses callers that ask too often.
func (p *Portal) limitRequests(c *fiber.Ctx) error { return p.limit(c, p.requests) }

// limitCommands refuses callers that command too often.
func (p *Portal) limitCommands(c *fiber.Ctx) error { return p.limit(c, p.orders) }

func (p *Portal) limit(c *fiber.Ctx, l *quota.Limiter) error {
	wait := l.Allow(context.Background(), p.caller(c)) // fasthttp uses the request's own again, which a timer may still read
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
	return refuse(fiber.StatusTooManyRequests, "rate_limited", fmt.Sprintf("too many requests from this address; ask again in %s", wait.Round(time.Millisecond)))
}
