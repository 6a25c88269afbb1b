package hub

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/securityaudit"
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

// Gate decides who may connect. It is called while a connection waits, for one at a time.
type Gate interface {
	// Gateway decides about a gateway that has proved to own a key and shows the secret of a
	// claim; either may be empty. known reports whether the key is the gateway's, enrolled whether
	// the claim was used for that now. With access.ErrUnread nothing was decided.
	Gateway(id, key, secret string) (known, enrolled bool, err error)
	// Holds reports whether a gateway that was let in with this key, empty for none that is
	// known, may stay.
	Holds(id, key string) bool
	// Client decides about a program that has proved to own a key, empty if none. An empty role
	// is one that may do everything in the plant's account. With an error, too, it returns what is
	// known of the program; with access.ErrUnread nothing was decided.
	Client(key string) (access.Client, error)
}

var (
	errID        = errors.New("it names no gateway: an edge says its EDGE_GATEWAY_ID if EDGE_HUB_URL has no user")
	errTooMany   = errors.New("there are too many gateways")
	errSignature = errors.New("its signature is wrong")
	errReader    = errors.New("only a bridge may read gateways")
	errTwin      = errors.New("another installation with this id is connected: give one of them another EDGE_GATEWAY_ID")
)

// guard gives every connection its account, and admits one installation of each gateway. A
// gateway connects with its id as the user, proves its key if it has one, and gets an account of
// its own: there is no path from it to another gateway, or to core and portal. A bridge gets into
// that account as the user bridge/<gateway>. Every other client is in the account of the plant.
type guard struct {
	log     *slog.Logger
	gate    Gate                                   // nil: everybody is let in under the name they give
	audit   securityaudit.Noter                    // may be nil
	refused func(gateway, instance, remote string) // may be nil
	arrived func(gateway string)                   // after it was admitted; must not block
	// own is the password of the hub's own connections, drawn at start.
	own string

	mu          sync.Mutex
	srv         *server.Server
	accounts    map[string]*server.Account // by gateway
	admitted    map[string]admission       // by gateway
	programs    map[uint64]string          // keys of the programs let in by one, by connection
	logged      map[string]time.Time       // the last line about a refusal, by gateway and cause
	disconnects sync.WaitGroup
}

// admission is the connection of an admitted gateway.
type admission struct {
	key      string // its own, that it proved; empty if none
	instance string
	remote   string
	id       uint64
	at       time.Time
}

func newGuard(o Options, arrived func(gateway string)) *guard {
	return &guard{
		log: o.Log.With("component", "hub"), gate: o.Gate, audit: o.Audit, refused: o.Refused, arrived: arrived, own: rand.Text(),
		accounts: map[string]*server.Account{}, admitted: map[string]admission{}, programs: map[uint64]string{}, logged: map[string]time.Time{},
	}
}

// Check implements server.Authentication.
func (g *guard) Check(c server.ClientAuthentication) bool {
	key, err := provedKey(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	who, about, check := "program", "", g.admitProgram
	if c.Kind() == server.LEAF {
		who, check = "gateway", g.admitGateway
	}
	if err == nil {
		about, err = check(c, key)
	}
	if err == nil {
		return true
	}
	g.noteRefused(c, key, about, err)
	if user := c.GetOpts().Username; !g.quiet(who + " " + cut(user) + " " + err.Error()) {
		g.log.Error("connection refused", "from", who, "user", cut(user), "remote", remote(c), "err", err)
	}
	return false
}

func cut(s string) string { return s[:min(len(s), 80)] }

func remote(c server.ClientAuthentication) string {
	if addr := c.RemoteAddress(); addr != nil {
		return addr.String()
	}
	return ""
}

// provedKey returns the key whose possession a connection proves by a signature of the nonce that it
// was given, empty if it claims none.
func provedKey(c server.ClientAuthentication) (string, error) {
	o := c.GetOpts()
	if o.Nkey == "" {
		return "", nil
	}
	signature, err := base64.RawURLEncoding.DecodeString(o.Sig)
	if err != nil || !access.Proves(o.Nkey, c.GetNonce(), signature) {
		return "", errSignature
	}
	return o.Nkey, nil
}

// BridgeUser is the user by which a bridge gets into the account of a gateway.
func BridgeUser(gateway string) string { return "bridge/" + gateway }

// hubUser is the user of the hub's own connection into the account of the plant.
const hubUser = "hub"

// admitProgram gives a program its account and its rights there, and returns its name if that is known.
// g.mu is held.
func (g *guard) admitProgram(c server.ClientAuthentication, key string) (name string, err error) {
	user := c.GetOpts().Username
	own := subtle.ConstantTimeCompare([]byte(c.GetOpts().Password), []byte(g.own)) == 1
	program, err := g.program(own, key)
	if err != nil {
		return program.Name, err
	}
	u := &server.User{Username: user, Account: g.srv.GlobalAccount()}
	gateway, reader := strings.CutPrefix(user, BridgeUser(""))
	switch {
	case reader && program.Role != access.RoleBridge && program.Role != "":
		return program.Name, errReader
	case reader:
		if u.Account, err = g.account(gateway); err != nil {
			return program.Name, err
		}
	case !own || user != hubUser:
		u.Permissions = permissions(program.Role)
	}
	if !own {
		g.note(c.GetID(), key)
	}
	c.RegisterUser(u)
	return program.Name, nil
}

// program returns a program by its key; one that needs none where that is allowed has no role.
func (g *guard) program(own bool, key string) (access.Client, error) {
	switch {
	case own:
		return access.Client{Role: access.RoleBridge}, nil
	case g.gate == nil:
		return access.Client{}, nil
	}
	return g.gate.Client(key)
}

// note remembers the key of a program, for Recheck. g.mu is held.
func (g *guard) note(id uint64, key string) {
	if key == "" || g.gate == nil {
		return
	}
	if len(g.programs) >= maxAdmissions {
		for id := range g.programs {
			if g.srv.GetClient(id) == nil {
				delete(g.programs, id)
			}
		}
	}
	g.programs[id] = key
}

// account returns the account of a gateway. g.mu is held.
func (g *guard) account(gateway string) (*server.Account, error) {
	if a := g.accounts[gateway]; a != nil {
		return a, nil
	}
	if !telemetry.ValidDeviceID(gateway) {
		return nil, errID
	}
	if len(g.accounts) >= maxAccounts {
		return nil, errTooMany
	}
	a, _ := g.srv.LookupOrRegisterAccount("GW_" + gateway)
	g.accounts[gateway] = a
	return a, nil
}

// admitGateway decides about the connection of a gateway, and returns its id if that is known. g.mu is held.
func (g *guard) admitGateway(c server.ClientAuthentication, key string) (id string, err error) {
	gateway := c.GetOpts().Username
	if !telemetry.ValidDeviceID(gateway) {
		return "", errID
	}
	next := admission{remote: remote(c), id: c.GetID(), at: time.Now()}
	secret, claims := access.SecretOfPassword(c.GetOpts().Password)
	if !claims {
		next.instance = c.GetOpts().Password
	}
	if g.gate != nil {
		known, enrolled, err := g.gate.Gateway(gateway, key, secret)
		switch {
		case errors.Is(err, access.ErrUnknown):
			return "", err
		case err != nil:
			return gateway, err
		case enrolled:
			g.noteEnrolled(c, gateway, key)
		}
		if known {
			next.key = key
		}
	}
	if err := g.succeed(gateway, next); err != nil {
		return gateway, err
	}
	account, err := g.account(gateway)
	if err != nil {
		return gateway, err
	}
	c.RegisterUser(&server.User{Username: gateway, Account: account})
	g.evict()
	g.admitted[gateway] = next
	g.arrived(gateway)
	return gateway, nil
}

// succeed ends the connection that a gateway has already, or refuses the next one. g.mu is held.
func (g *guard) succeed(gateway string, next admission) error {
	old, known := g.admitted[gateway]
	switch {
	case !known || !g.alive(old):
		return nil
	case next.key != "", next.key == old.key && next.instance == old.instance:
		// It reconnects after its line broke, before the hub closed the old connection. Who proves
		// the gateway's key is the gateway.
		g.disconnect(old.id)
		return nil
	}
	if g.refused != nil {
		g.refused(gateway, next.instance, next.remote)
	}
	return errTwin
}

// disconnect ends a connection; an error means that it is gone. g.mu is held.
func (g *guard) disconnect(id uint64) {
	g.disconnects.Go(func() { _ = g.srv.DisconnectClientByID(id) })
}

// recheck ends the connections that may not stay.
func (g *guard) recheck() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for gateway, a := range g.admitted {
		if !g.gate.Holds(gateway, a.key) {
			g.log.Warn("gateway disconnected, it may not stay", "gateway", gateway, "remote", a.remote)
			g.disconnect(a.id)
			delete(g.admitted, gateway)
		}
	}
	for id, key := range g.programs {
		if _, err := g.gate.Client(key); err != nil {
			g.disconnect(id)
			delete(g.programs, id)
		}
	}
}

// alive reports whether an admitted gateway is still connected. g.mu is held.
func (g *guard) alive(a admission) bool {
	return g.srv.GetLeafNode(a.id) != nil || time.Since(a.at) < admissionGrace
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
