package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// port is what a try at an address gave.
type port struct {
	held bool  // a program answers there
	err  error // of listening; nil: it is free
}

// probePort listens on an address for a moment, if no gateway runs; else it connects to it.
func probePort(ctx context.Context, addr string, g running) port {
	if g.pid != 0 {
		nc, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", reachable(addr))
		if err != nil {
			return port{err: err}
		}
		return port{held: true, err: nc.Close()}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return port{err: err, held: errors.Is(err, syscall.EADDRINUSE)}
	}
	return port{err: ln.Close()}
}

// reachable turns the address of all interfaces into one to connect to.
func reachable(addr string) string {
	host, p, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || (ip != nil && ip.IsUnspecified())) {
		return net.JoinHostPort("localhost", p)
	}
	return addr
}

func judgePort(p Port, found port, g running) Result {
	r := Result{Check: p.Variable, Verdict: OK, Value: p.Addr + " is free"}
	switch {
	case strings.HasSuffix(p.Addr, ":0"):
		r.Verdict, r.Value = Skip, p.Addr+": any free port"
	case g.pid != 0 && found.held:
		r.Value = fmt.Sprintf("%s answers, the gateway runs (process %d)", p.Addr, g.pid)
	case g.pid != 0:
		r.Verdict, r.Value, r.Advice = Warn, fmt.Sprintf("%s does not answer: %v", p.Addr, found.err), "the gateway was started with other settings, or is starting: restart it"
	case found.held:
		r.Verdict, r.Value, r.Advice = Fail, p.Addr+" is taken by another program", "find it with ss -ltnp and stop it, or set "+p.Variable
	case errors.Is(found.err, os.ErrPermission):
		r.Verdict, r.Value, r.Advice = Fail, found.err.Error(), "ports below 1024 need CAP_NET_BIND_SERVICE: take a higher one"
	case found.err != nil:
		r.Verdict, r.Value, r.Advice = Fail, found.err.Error(), "the address has to be one of this machine: see ip address"
	}
	return r
}
