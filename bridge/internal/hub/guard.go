package hub

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// admissionGrace is how long an admitted gateway may take to appear among the connections.
	admissionGrace = 2 * time.Second
	// refusalEvery is how often the same refusal is logged.
	refusalEvery = 30 * time.Second
	// maxAdmissions bounds the entries of gateways that are gone.
	maxAdmissions = 4096
	// maxAccounts bounds the accounts, which stay: as many gateways as the roster has.
	maxAccounts = 10_000
)

// guard gives every connection its account, and admits one installation of each gateway. A
// gateway connects with its id as the user and the id of its installation as the password, and
// gets an account of its own: there is no path from it to another gateway, or to core and
// portal. A bridge gets into that account as the user bridge/<gateway>. Every other client is in
// the account of the plant.
type guard struct {
	log     *slog.Logger
	refused func(gateway, instance, remote string) // may be nil
	arrived func(gateway string)                   // after it was admitted; must not block

	mu          sync.Mutex
	srv         *server.Server
	accounts    map[string]*server.Account // by gateway
	admitted    map[string]admission       // by gateway
	logged      map[string]time.Time       // the last line about a refusal, by gateway and instance
	disconnects sync.WaitGroup
}

// admission is the connection of an admitted gateway.
type admission struct {
	instance string
	remote   string
	id       uint64
	at       time.Time
}

func newGuard(log *slog.Logger, refused func(gateway, instance, remote string), arrived func(gateway string)) *guard {
	return &guard{
		log: log, refused: refused, arrived: arrived,
		accounts: map[string]*server.Account{}, admitted: map[string]admission{}, logged: map[string]time.Time{},
	}
}

// Check implements server.Authentication.
func (g *guard) Check(c server.ClientAuthentication) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Kind() == server.LEAF {
		return g.admit(c)
	}
	account := g.srv.GlobalAccount()
	if gateway, ok := strings.CutPrefix(c.GetOpts().Username, BridgeUser("")); ok {
		if account = g.account(gateway); account == nil {
			return false
		}
	}
	c.RegisterUser(&server.User{Account: account})
	return true
}

// BridgeUser is the user by which a bridge gets into the account of a gateway.
func BridgeUser(gateway string) string { return "bridge/" + gateway }

// account returns the account of a gateway, nil if that is no gateway's id or there are too many.
// g.mu is held.
func (g *guard) account(gateway string) *server.Account {
	if a := g.accounts[gateway]; a != nil {
		return a
	}
	if !telemetry.ValidDeviceID(gateway) || len(g.accounts) >= maxAccounts {
		return nil
	}
	a, _ := g.srv.LookupOrRegisterAccount("GW_" + gateway)
	g.accounts[gateway] = a
	return a
}

// admit decides about the connection of a gateway. g.mu is held.
func (g *guard) admit(c server.ClientAuthentication) bool {
	gateway, next := c.GetOpts().Username, admission{instance: c.GetOpts().Password, id: c.GetID(), at: time.Now()}
	if addr := c.RemoteAddress(); addr != nil {
		next.remote = addr.String()
	}
	account := g.account(gateway)
	if account == nil {
		g.unnamed(gateway, next)
		return false
	}
	c.RegisterUser(&server.User{Account: account})
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
	g.arrived(gateway)
	return true
}

// unnamed logs a connection that names no gateway, or one gateway too many. g.mu is held.
func (g *guard) unnamed(gateway string, next admission) {
	if g.quiet("") {
		return
	}
	g.log.Error("gateway refused, it does not say who it is or there are too many: an edge says its EDGE_GATEWAY_ID if EDGE_HUB_URL has no user",
		"user", cut(gateway), "remote", next.remote, "known", len(g.accounts), "most", maxAccounts)
}

func cut(s string) string { return s[:min(len(s), 80)] }

// alive reports whether an admitted gateway is still connected. g.mu is held.
func (g *guard) alive(a admission) bool {
	return g.srv.GetLeafNode(a.id) != nil || time.Since(a.at) < admissionGrace
}

// refuse reports a refusal. g.mu is held.
func (g *guard) refuse(gateway string, old, next admission) {
	if g.refused != nil {
		g.refused(gateway, next.instance, next.remote)
	}
	if g.quiet(gateway + " " + next.instance) {
		return
	}
	// The instances are left out: they serve as passwords.
	g.log.Error("gateway refused, another installation with this id is connected: give one of them another EDGE_GATEWAY_ID",
		"gateway", gateway, "remote", next.remote, "connected_remote", old.remote)
}

// quiet reports whether a refusal was logged lately. g.mu is held.
func (g *guard) quiet(key string) bool {
	if time.Since(g.logged[key]) < refusalEvery {
		return true
	}
	if len(g.logged) >= maxAdmissions {
		clear(g.logged)
	}
	g.logged[key] = time.Now()
	return false
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
