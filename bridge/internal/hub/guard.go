package hub

import (
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// admissionGrace is how long an admitted gateway may take to appear among the connections.
	admissionGrace = 2 * time.Second
	// refusalEvery is how often the same refusal is logged.
	refusalEvery = 30 * time.Second
	// maxAdmissions bounds the entries of gateways that are gone.
	maxAdmissions = 4096
)

// guard admits one installation of each gateway. A gateway connects with its id as the user
// and the id of its installation as the password; one that sends neither is admitted, as are
// clients. It is no access control: that is up to the network, or to an external hub with
// real credentials.
type guard struct {
	log     *slog.Logger
	refused func(gateway, instance, remote string) // may be nil

	mu          sync.Mutex
	srv         *server.Server
	admitted    map[string]admission // by gateway
	logged      map[string]time.Time // the last line about a refusal, by gateway and instance
	disconnects sync.WaitGroup
}

// admission is the connection of an admitted gateway.
type admission struct {
	instance string
	remote   string
	id       uint64
	at       time.Time
}

func newGuard(log *slog.Logger, refused func(gateway, instance, remote string)) *guard {
	return &guard{log: log, refused: refused, admitted: map[string]admission{}, logged: map[string]time.Time{}}
}

// Check implements server.Authentication.
func (g *guard) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.LEAF {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.RegisterUser(&server.User{Account: g.srv.GlobalAccount()})
	gateway, next := c.GetOpts().Username, admission{instance: c.GetOpts().Password, id: c.GetID(), at: time.Now()}
	if gateway == "" {
		return true
	}
	if addr := c.RemoteAddress(); addr != nil {
		next.remote = addr.String()
	}
	old, known := g.admitted[gateway]
	switch {
	case !known || !g.alive(old):
	case old.instance == next.instance:
		// It reconnects after its line broke, before the hub closed the old connection.
		g.disconnects.Go(func() { _ = g.srv.DisconnectClientByID(old.id) }) // an error means that it is gone
	default:
		g.refuse(gateway, old, next)
		return false
	}
	g.evict()
	g.admitted[gateway] = next
	return true
}

// alive reports whether an admitted gateway is still connected. g.mu is held.
func (g *guard) alive(a admission) bool {
	return g.srv.GetLeafNode(a.id) != nil || time.Since(a.at) < admissionGrace
}

// refuse reports a refusal. g.mu is held.
func (g *guard) refuse(gateway string, old, next admission) {
	if g.refused != nil {
		g.refused(gateway, next.instance, next.remote)
	}
	key := gateway + " " + next.instance
	if time.Since(g.logged[key]) < refusalEvery {
		return
	}
	if len(g.logged) >= maxAdmissions {
		clear(g.logged)
	}
	g.logged[key] = time.Now()
	// The instances are left out: they serve as passwords.
	g.log.Error("gateway refused, another installation with this id is connected: give one of them another EDGE_GATEWAY_ID",
		"gateway", gateway, "remote", next.remote, "connected_remote", old.remote)
}

// evict removes gateways that are gone, once there are many. g.mu is held.
func (g *guard) evict() {
	if len(g.admitted) < maxAdmissions {
		return
	}
	for gateway, a := range g.admitted {
		if !g.alive(a) {
			delete(g.admitted, gateway)
		}
	}
}
