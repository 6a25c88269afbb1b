package web

import (
	"net"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// keepTLS makes browsers use TLS alone for a year (RFC 6797). A proxy in front sets its own; for loopback names it would
// shut out other programs of the machine.
const keepTLS = "max-age=31536000"

// harden sets the headers that restrict browsers to what the page needs. It refuses requests for a
// foreign host, and compressed bodies: BodyLimit counts compressed bytes, and 405 bytes of
// brotli become 512 MiB.
func (p *Portal) harden(c *fiber.Ctx) error {
	host := p.host(c)
	if !p.hosts.allow(host) {
		host = ""
	}
	c.Set(fiber.HeaderContentSecurityPolicy, p.contentPolicy(host))
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	if p.cfg.TLSCertFile != "" && !loopback(hostName(host)) {
		c.Set(fiber.HeaderStrictTransportSecurity, keepTLS)
	}
	c.Set(fiber.HeaderPermissionsPolicy, "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	if host == "" {
		return refuse(fiber.StatusMisdirectedRequest, "host_not_allowed", "host not allowed; see PORTAL_HOSTS")
	}
	if len(c.Request().Header.PeekAll(fiber.HeaderContentEncoding)) > 0 {
		c.Set(fiber.HeaderAcceptEncoding, "identity") // RFC 9110, section 15.5.16
		return refuse(fiber.StatusUnsupportedMediaType, "unsupported_media_type", "send the body without a Content-Encoding")
	}
	return c.Next()
}

// noStore keeps answers out of caches.
func noStore(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Next()
}

// contentPolicy allows the page its own files and a WebSocket to this host on both ports; older
// browsers do not count ws: as 'self'.
func (p *Portal) contentPolicy(host string) string {
	connect := "connect-src 'self'"
	if name := hostName(host); name != "" {
		connect += " ws://" + host + " wss://" + host
		if _, port, err := net.SplitHostPort(p.WSAddr()); err == nil {
			second := net.JoinHostPort(name, port)
			if second != host {
				connect += " ws://" + second + " wss://" + second
			}
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		connect + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// originPolicy decides which pages may open the WebSocket, by the Origin header of their browser.
// Programs without that header are allowed: they could send any.
type originPolicy struct {
	any     bool
	allowed map[string]struct{}
}

func newOriginPolicy(list []string) originPolicy {
	p := originPolicy{allowed: make(map[string]struct{})}
	for _, o := range list {
		p.any = p.any || o == "*"
		p.allowed[strings.ToLower(o)] = struct{}{}
	}
	return p
}

// allows reports whether a page of origin may open a WebSocket at host: any page of the same host,
// whatever its port, so that a page on 8080 can use 8081; on loopback names any page from a
// loopback name; and origins in PORTAL_ALLOWED_ORIGINS.
func (p originPolicy) allows(origin, host string) bool {
	if origin == "" || p.any {
		return true
	}
	if _, ok := p.allowed[strings.ToLower(origin)]; ok {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return false
	}
	from, to := strings.ToLower(u.Hostname()), hostName(host)
	if from == "" || to == "" {
		return false
	}
	return from == to || (loopback(from) && loopback(to))
}

func loopback(name string) bool {
	if name == "localhost" {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
