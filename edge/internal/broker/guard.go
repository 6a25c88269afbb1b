package broker

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/wire"
)

// Gate decides which devices may connect. devices.Store is one.
type Gate interface {
	Admit(p devices.Proof) (*devices.Pass, error)
	Holds(p *devices.Pass) bool
}

// guard gives every client its account and its rights. The gateway's own connections know a password
// that is drawn at start. A device hears answers and nothing else: who heard the readings of another
// could answer first, and its sender would forget a reading that was never stored. One that has proved
// who it is publishes under its own name, so that a subject says who sent a message.
type guard struct {
	gate Gate   // nil: devices do not have to prove anything
	own  string // the password of the gateway's own connections

	mu       sync.Mutex
	srv      *server.Server
	accounts map[string]*server.Account // by the user of the gateway's own connections
	admitted map[uint64]*devices.Pass   // by connection
}

// Users of the gateway's own connections.
const ingestUser, uplinkUser = "ingest", "uplink"

func newGuard(gate Gate) *guard { return &guard{gate: gate, own: rand.Text()} }

// serve makes g the guard of a new server, before that starts.
func (g *guard) serve(srv *server.Server) error {
	accounts := map[string]*server.Account{}
	for user, name := range map[string]string{ingestUser: accountDevices, uplinkUser: accountUplink} {
		var err error
		if accounts[user], err = srv.LookupAccount(name); err != nil {
			return fmt.Errorf("looking up account %s: %w", name, err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.srv, g.accounts, g.admitted = srv, accounts, map[uint64]*devices.Pass{}
	return nil
}

// Check implements server.Authentication. It blocks for the time of the hash of an imported password.
func (g *guard) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	g.mu.Lock()
	account, srv := g.accounts[o.Username], g.srv
	g.mu.Unlock()
	if account != nil && subtle.ConstantTimeCompare([]byte(o.Password), []byte(g.own)) == 1 {
		c.RegisterUser(&server.User{Username: o.Username, Account: account})
		return true
	}
	pass, err := g.admit(c)
	if err != nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.srv != srv {
		return false // it was restarted
	}
	if g.gate != nil {
		g.forget()
		g.admitted[c.GetID()] = pass
		if !g.gate.Holds(pass) { // recheck may have missed it
			return false
		}
	}
	c.RegisterUser(&server.User{Username: o.Username, Account: g.accounts[ingestUser], Permissions: rightsOf(pass)})
	return true
}

// admit returns the pass of a device, nil for one that is let in without.
func (g *guard) admit(c server.ClientAuthentication) (*devices.Pass, error) {
	if g.gate == nil {
		return nil, nil
	}
	o := c.GetOpts()
	p := devices.Proof{ID: o.Username, Secret: o.Password}
	if addr := c.RemoteAddress(); addr != nil {
		p.Remote = addr.String()
	}
	if s := c.GetTLSConnectionState(); s != nil && len(s.PeerCertificates) > 0 {
		p.Certificate = s.PeerCertificates[0]
	}
	if o.Nkey != "" {
		p.Secret = ""
		signature, err := base64.RawURLEncoding.DecodeString(o.Sig)
		if err == nil && access.Proves(o.Nkey, c.GetNonce(), signature) {
			p.Key = o.Nkey
		}
	}
	return g.gate.Admit(p)
}

// rightsOf returns the permissions of a device; nil is one that has proved nothing.
func rightsOf(p *devices.Pass) *server.Permissions {
	rights := &server.Permissions{
		Publish:   &server.SubjectPermission{Deny: []string{wire.Inboxes}},
		Subscribe: &server.SubjectPermission{Allow: []string{wire.Inboxes}},
	}
	if p != nil {
		say := append([]string{wire.ConcentratorSubject(p.Device())}, p.Subjects()...)
		for _, id := range p.Names() {
			say = append(say, wire.TelemetrySubject(id))
		}
		rights.Publish = &server.SubjectPermission{Allow: say}
	}
	return rights
}

// forget removes devices that are gone, once there are many. g.mu is held.
func (g *guard) forget() {
	const many = 1024
	if n := len(g.admitted); n < many || n&(n-1) != 0 {
		return
	}
	for id := range g.admitted {
		if g.srv.GetClient(id) == nil {
			delete(g.admitted, id)
		}
	}
}

// recheck ends the connections of devices that may not stay.
func (g *guard) recheck() {
	if g.gate == nil {
		return
	}
	g.mu.Lock()
	var gone []uint64
	for id, pass := range g.admitted {
		if !g.gate.Holds(pass) {
			gone = append(gone, id)
			delete(g.admitted, id)
		}
	}
	srv := g.srv
	g.mu.Unlock()
	for _, id := range gone {
		_ = srv.DisconnectClientByID(id) // an error means that it is gone
	}
}
