package broker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/internal/access"
)

// Errors of Enrol.
var (
	ErrRefused     = errors.New("the hub refuses the claim: it was used, has expired, or was replaced by a newer one; ask for another one")
	ErrUnreachable = errors.New("the hub did not answer")
	ErrCertificate = errors.New("the hub's certificate is not the right one: another machine may be in between, or the claim is older than the certificate")
)

// enrolEvery is how often the outcome of an enrolment is looked at.
const enrolEvery = 20 * time.Millisecond

// Enrol connects to the hub of a claim once, shows the claim and proves the key of a seed. It returns the
// certificate, in PEM, that the hub's is signed by, nil without TLS, when the hub has let the gateway in;
// else ErrRefused, ErrUnreachable or ErrCertificate. It blocks until then or until ctx ends.
func Enrol(ctx context.Context, c access.Claim, seed string, log *slog.Logger) (ca []byte, err error) {
	hub, err := url.Parse(c.Hub)
	if err != nil {
		return nil, access.ErrClaim
	}
	trust, err := hubTLS(hub, "")
	if err != nil {
		return nil, err
	}
	pin := pinned{hash: c.CA, host: hub.Hostname()}
	if len(c.CA) > 0 {
		trust = pin.settings()
	}
	hub.User = url.UserPassword(c.Gateway, access.ClaimPassword(c.Secret))
	if err := tryLink(ctx, attempt{gateway: c.Gateway, hub: hub, seed: seed, trust: trust, failed: pin.failed}, log); err != nil {
		return nil, err
	}
	return pin.pem(), nil
}

// ErrNotLetIn is returned by TryHub.
var ErrNotLetIn = errors.New("the hub refuses this gateway: it was revoked, is not enrolled there, or another one with its id is connected")

// TryHub connects to the hub as the gateway with these options would, and disconnects. It returns nil when
// the hub has let it in, else ErrNotLetIn or ErrUnreachable. It is not for a gateway that runs: the hub takes a
// second connection for another installation. It blocks until then or until ctx ends.
func TryHub(ctx context.Context, o Options) error {
	// Before the first start there is no instance id yet, and any will do.
	b := &Broker{o: o, gateway: o.Gateway, dir: o.Dir, instance: cmp.Or(readInstance(o.Dir), newInstance())}
	hub, err := b.hubURL()
	if err != nil {
		return err
	}
	trust, err := hubTLS(hub, o.HubCAFile)
	if err != nil {
		return err
	}
	err = tryLink(ctx, attempt{gateway: o.Gateway, hub: hub, seed: o.HubSeed, trust: trust, failed: func() error { return nil }}, o.Log)
	if errors.Is(err, ErrRefused) {
		return ErrNotLetIn
	}
	return err
}

// attempt is one connection to the hub.
type attempt struct {
	gateway string
	hub     *url.URL
	seed    string
	trust   *tls.Config
	failed  func() error // what ends it beside an answer
}

// tryLink connects to the hub once and disconnects. It returns nil when the hub has let the gateway in, else
// ErrRefused, ErrUnreachable when ctx ends, or what failed says.
func tryLink(ctx context.Context, a attempt, log *slog.Logger) error {
	so := &server.Options{ServerName: a.gateway, DontListen: true, NoSigs: true}
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		URLs: []*url.URL{a.hub}, Nkey: a.seed, FirstInfoTimeout: 5 * time.Second, TLS: a.trust != nil, TLSConfig: a.trust, TLSTimeout: tlsTimeout,
	}}
	so.LeafNode.ReconnectInterval, so.LeafNode.DialTimeout = time.Second/4, 5*time.Second
	srv, err := server.NewServer(so)
	if err != nil {
		return fmt.Errorf("setting up the connection: %w", err)
	}
	var refused refusals
	srv.SetLoggerV2(&serverLog{log: log, refused: &refused}, false, false, false)
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	tick := time.NewTicker(enrolEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w at %s", ErrUnreachable, a.hub.Host)
		case <-tick.C:
		}
		if refused.n.Load() > 0 {
			return ErrRefused
		}
		if err := a.failed(); err != nil {
			return err
		}
		if srv.NumLeafNodes() > 0 {
			return nil
		}
	}
}

// pinned trusts the hub whose certificate is signed by one with a hash, which the hub has to send with its
// own.
type pinned struct {
	hash []byte
	host string

	mu  sync.Mutex
	ca  *x509.Certificate
	err error
}

func (p *pinned) settings() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: p.host,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies more
		VerifyConnection:   func(s tls.ConnectionState) error { return p.note(p.verify(s.PeerCertificates)) },
	}
}

// verify returns the certificate with the hash, by which the first one of a chain is signed.
func (p *pinned) verify(chain []*x509.Certificate) (*x509.Certificate, error) {
	for _, c := range chain[1:] {
		if sum := sha256.Sum256(c.Raw); !bytes.Equal(sum[:], p.hash) {
			continue
		}
		o := x509.VerifyOptions{DNSName: p.host, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
		o.Roots.AddCert(c)
		for _, between := range chain[1:] {
			o.Intermediates.AddCert(between)
		}
		if _, err := chain[0].Verify(o); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
		}
		return c, nil
	}
	return nil, fmt.Errorf("%w: it is not signed by the authority that the claim names", ErrCertificate)
}

func (p *pinned) note(ca *x509.Certificate, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ca, p.err = ca, err
	return err
}

func (p *pinned) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// pem returns the certificate that was found, nil if none was asked for.
func (p *pinned) pem() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ca == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.ca.Raw})
}
