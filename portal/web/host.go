package web

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// hosts are the names and addresses under which clients may address the portal. A page whose
// name was made to resolve to the portal's address (DNS rebinding) counts as same-origin in
// its browser, but its requests carry that foreign name as Host. An IP literal needs no
// name server, so it cannot be rebound.
type hosts struct {
	names []string   // lower case; localhost, PORTAL_HOSTS and the host of PORTAL_ADDR
	bound netip.Addr // of the listeners
}

// newHosts returns the hosts for a listener that was bound as addr, host:port, and listens on
// bound.
func newHosts(names []string, addr string, bound net.Addr) hosts {
	h := hosts{names: []string{"localhost"}}
	if host, _, err := net.SplitHostPort(addr); err == nil && host != "" {
		h.names = append(h.names, strings.ToLower(host))
	}
	for _, name := range names {
		h.names = append(h.names, strings.ToLower(strings.TrimSpace(name)))
	}
	if tcp, ok := bound.(*net.TCPAddr); ok {
		h.bound = tcp.AddrPort().Addr().Unmap()
	}
	return h
}

// allow reports whether a request may address host, with or without a port.
func (h hosts) allow(host string) bool {
	name := hostName(host)
	if slices.Contains(h.names, name) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	return h.bound.IsUnspecified() || ip == h.bound || (ip.IsLoopback() && h.bound.IsLoopback())
}

// checkHosts returns an error for the first that is not a host name or an IP address.
func checkHosts(names []string) error {
	for _, name := range names {
		name = strings.TrimSpace(name)
		if _, err := netip.ParseAddr(name); err != nil && hostName(name) != strings.ToLower(name) {
			return fmt.Errorf("%q: want a host name such as portal.example.com, without scheme and port", name)
		}
	}
	return nil
}

// host returns the host that the client addressed: that of the request, or the one that a
// trusted proxy forwarded. Fiber's Hostname trusts every X-Forwarded-Host.
func (p *Portal) host(c *fiber.Ctx) string {
	if p.proxies.has(remoteIP(c)) {
		values := forwarded(c, fiber.HeaderXForwardedHost)
		if last := strings.TrimSpace(values[strings.LastIndexByte(values, ',')+1:]); last != "" {
			return last
		}
	}
	return string(c.Request().URI().Host())
}

// remoteIP returns the address of the other end of the connection.
func remoteIP(c *fiber.Ctx) netip.Addr {
	a, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	return a.Unmap()
}

// forwarded returns the comma-separated values of a header that proxies append to. Some, like
// HAProxy, append by adding another line, so all lines count, in their order.
func forwarded(c *fiber.Ctx, header string) string {
	var lines []string
	for _, line := range c.Request().Header.PeekAll(header) {
		lines = append(lines, string(line))
	}
	return strings.Join(lines, ",")
}

// hostName returns the name in a Host header without the port, "" if the header is malformed.
func hostName(host string) string {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host || u.Hostname() == "" || strings.ContainsAny(host, ";, '\"") {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
