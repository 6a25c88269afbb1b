package web

import (
	"fmt"
	"net/netip"
	"strings"

	"industrial-iot-monitor/internal/connlimit"
)

// proxies are the addresses whose forwarded headers count.
type proxies []netip.Prefix

// parseProxies reads IP addresses and networks.
func parseProxies(list []string) (proxies, error) {
	var p proxies
	for _, text := range list {
		text = strings.TrimSpace(text)
		network, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q: want an IP address such as 10.0.0.7, or a network such as 10.0.0.0/8", text)
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		p = append(p, network.Masked())
	}
	return p, nil
}

// has reports whether a is one of them.
func (p proxies) has(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// caller returns the address for which a connection counts: the peer's, or the one that trusted
// proxies forwarded. Each proxy appends the address of its peer, so the last address that is
// not a trusted proxy's is the client's. See connlimit.Caller for IPv6 and loopback, where all
// clients of a local proxy that is not listed have the same address.
func (p proxies) caller(from netip.Addr, forwardedFor string) netip.Addr {
	from = from.Unmap().WithZone("")
	hops := strings.Split(forwardedFor, ",")
	for i := len(hops) - 1; i >= 0 && p.has(from); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		from = hop.Unmap().WithZone("")
	}
	return connlimit.Caller(from)
}
