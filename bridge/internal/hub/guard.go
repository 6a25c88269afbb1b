package hub

import (
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// admissionGrace is how long an accepted gateway may take to show up among the
	// connections.
	admissionGrace = 2 * time.Second
	// refusalEvery bounds how often the same refusal is logged.
	refusalEvery = 30 * time.Second
	// maxAdmissions bounds what is remembered of gateways that are gone.
	maxAdmissions = 4096
)

// guard lets one installation of each gateway in. A gateway connects with its id as the
// user and with the id of its installation as the password; one that sends neither is let
// in, as are clients. It is not for keeping strangers out: who may reach the hub decides
// the network, or an external hub with real credentials.
type guard struct {
	log     *slog.Logger
	refused func(gateway, instance, remote string) // may be nil

	mu      sync.Mutex
	srv     *server.Server
	inside  map[string]admission // by gateway
	logged  map[string]time.Time // when a refusal was logged, by gateway and instance
	kicking sync.WaitGroup
}

// admission is the connection that a gateway was let in with.
type admission struct {
	instance string
	remote   string
	id       uint64
	at       time.Time
}

func newGuard(log *slog.Logger, refused func(gateway, instance, remote string)) *guard {
	return &guard{log: log, refused: refused, inside: map[string]admission{}, logged: map[string]time.Time{}}
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
	old, known := g.inside[gateway]
	switch {
	case !known || !g.alive(old):
	case old.instance == next.instance:
		// It comes again because its line broke; what is left of the old one is in its way.
		g.kicking.Go(func() { _ = g.srv.DisconnectClientByID(old.id) }) // an error says that it is gone
	default:
		g.refuse(gateway, old, next)
		return false
	}
	g.makeRoom()
	g.inside[gateway] = next
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

// makeRoom forgets gateways that are gone, once there are many. g.mu is held.
func (g *guard) makeRoom() {
	if len(g.inside) < maxAdmissions {
		return
	}
	for gateway, a := range g.inside {
		if !g.alive(a) {
			delete(g.inside, gateway)
		}
	}
}
