package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// refusalAge is how long a refusal counts that does not repeat: every part of a program that
// is refused tries again sooner.
const refusalAge = 30 * time.Second

// link is what the connections of a program to one cluster share. A nil link shares nothing.
type link struct {
	tokens sarama.AccessTokenProvider

	mu       sync.Mutex
	promised promised
	refusal  error
	at       time.Time
}

// note keeps a refusal until a connection succeeds.
func (l *link) note(err error) {
	if l == nil || err != nil && !refused(err) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusal, l.at = err, time.Now()
}

// Refusal returns why the brokers, or this side, refused the last connection: a password, a
// mechanism, a certificate or a token; nil when it succeeded, failed otherwise or is long ago.
// It is always nil without Open.
func (c Cluster) Refusal() error {
	if c.link == nil {
		return nil
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if time.Since(c.link.at) > refusalAge {
		return nil
	}
	return c.link.refusal
}

// refusals are what brokers answer to one who signs in.
var refusals = codes(
	sarama.ErrSASLAuthenticationFailed,
	sarama.ErrUnsupportedSASLMechanism,
	sarama.ErrIllegalSASLState,
)

// refused reports whether one side did not believe the other: only people can change that, who
// may do so while the program goes on trying.
func refused(err error) bool {
	op, network := errors.AsType[*net.OpError](err)
	alert := network && op.Op == "remote error" // crypto/tls has no type for it
	_, cert := errors.AsType[*tls.CertificateVerificationError](err)
	_, issuer := errors.AsType[x509.UnknownAuthorityError](err)
	for code := range refusals { // sarama wraps them in an error that is one and has none
		if errors.Is(err, code) {
			return true
		}
	}
	return alert || cert || issuer || errors.Is(err, errHandshake) || errors.Is(err, errToken) || errors.Is(err, errSCRAM)
}
