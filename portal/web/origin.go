package web

import (
	"net"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Names of the cookie. Browsers take the first one over HTTPS only, and from no other host.
const (
	secureCookie = "__Host-iot"
	plainCookie  = "iot"
)

// cookieName returns the name of the cookie of a session. A plain one is for this machine alone.
func (p *Portal) cookieName(c *fiber.Ctx) string {
	if p.scheme(c) == "http" && loopback(hostName(p.host(c))) {
		return plainCookie
	}
	return secureCookie
}

// scheme returns how the client reached the portal, or the trusted proxy in front of it.
func (p *Portal) scheme(c *fiber.Ctx) string {
	if p.proxies.has(remoteIP(c)) {
		values := forwarded(c, fiber.HeaderXForwardedProto)
		if last := strings.TrimSpace(values[strings.LastIndexByte(values, ',')+1:]); strings.EqualFold(last, "https") {
			return "https"
		}
	}
	if c.Context().IsTLS() {
		return "https"
	}
	return "http"
}

// checkOrigin refuses requests that a page of another origin makes. A browser adds to them what proves who is
// signed in, so one that does not say where it comes from is refused, too, if that is what proves it.
func (p *Portal) checkOrigin(c *fiber.Ctx) error {
	origin := c.Get(fiber.HeaderOrigin)
	allowed := p.origins.allows(origin, p.host(c))
	if !p.cfg.off() {
		allowed = p.sameOrigin(c, origin)
		if origin == "" {
			allowed = !who(c).ambient() || c.Get("Sec-Fetch-Site") == "same-origin"
		}
	}
	if !allowed {
		return refuse(fiber.StatusForbidden, "origin_not_allowed", "origin not allowed; see PORTAL_ALLOWED_ORIGINS")
	}
	return nil
}

// sameOrigin reports whether a page of origin is the portal's: by scheme, host and port. Other programs on the same
// host have other ports. The page may use the second port for its WebSocket.
func (p *Portal) sameOrigin(c *fiber.Ctx, origin string) bool {
	origin = strings.ToLower(origin)
	if _, ok := p.origins.allowed[origin]; ok {
		return true
	}
	host, scheme := strings.ToLower(p.host(c)), p.scheme(c)
	if origin == scheme+"://"+host {
		return true
	}
	_, port, err := net.SplitHostPort(host)
	if err != nil || p.wsLn == nil || port != portOf(p.WSAddr()) {
		return false
	}
	main := net.JoinHostPort(hostName(host), portOf(p.Addr()))
	for standard, of := range map[string]string{":80": "http", ":443": "https"} { // browsers leave these out
		if scheme == of {
			main = strings.TrimSuffix(main, standard)
		}
	}
	return origin == scheme+"://"+main
}

func portOf(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return port
}
