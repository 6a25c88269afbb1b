package hub

import (
	"errors"
	"net"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/telemetry"
)

// record returns what is known of a connection.
func record(c server.ClientAuthentication, what securityaudit.What, key, about string) securityaudit.Record {
	r := securityaudit.Record{Address: host(c), What: what, About: about, Detail: "no key"}
	if key != "" {
		r.Via, r.Detail = "key", "key "+key
	}
	return r
}

// host is where a connection comes from, without its port: every attempt has another one, and they are
// to be counted together.
func host(c server.ClientAuthentication) string {
	addr := remote(c)
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// noteEnrolled records that the claim of a gateway was used.
func (g *guard) noteEnrolled(c server.ClientAuthentication, gateway, key string) {
	if g.audit == nil {
		return
	}
	r := record(c, securityaudit.GatewayEnrol, key, gateway)
	r.Outcome = securityaudit.Done
	g.audit.Note(r)
}

// noteRefused records a connection that was refused. key is the one that it proved, and about who it is
// from; each is empty if not known. What a stranger calls itself is left out, as far as it proves no key:
// it may be a secret in the wrong place, would make each attempt another one, and stays for ever.
func (g *guard) noteRefused(c server.ClientAuthentication, key, about string, err error) {
	if g.audit == nil || errors.Is(err, access.ErrUnread) {
		return
	}
	r := record(c, securityaudit.ClientConnect, key, about)
	r.Outcome, r.Reason = securityaudit.Refused, err.Error()
	if c.Kind() == server.LEAF {
		r.What = securityaudit.GatewayConnect
		if id := c.GetOpts().Username; key != "" && about == "" && telemetry.ValidDeviceID(id) {
			r.Detail += " as " + id
		}
		if _, claims := access.SecretOfPassword(c.GetOpts().Password); claims {
			r.What, r.Outcome = securityaudit.GatewayEnrol, securityaudit.Failed
		}
	}
	g.audit.Note(r)
}
