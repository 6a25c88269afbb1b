package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// AskClients lets the clients of a server show a certificate, too. One that no certificate of the file has signed for clients
// ends the handshake; who shows none goes on without. The file is looked at again as the server's are.
func AskClients(c *tls.Config, caFile string, log *slog.Logger) error {
	a := &authorities{file: caFile, log: log}
	if err := a.load(); err != nil {
		return err
	}
	c.ClientAuth, c.VerifyConnection = tls.RequestClientCert, a.verify
	return nil
}

// authorities are certificates in force that sign those of clients.
type authorities struct {
	file string
	log  *slog.Logger

	mu     sync.Mutex
	pool   *x509.CertPool
	state  fileState // of the file that was last tried
	looked time.Time
}

func (a *authorities) trusted() *x509.CertPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.looked) >= lookEvery {
		if err := a.load(); err != nil {
			a.log.Error("certificates to trust cannot be read, keeping those of before", "file", a.file, "err", err)
		}
	}
	return a.pool
}

// load reads the file if it has changed.
func (a *authorities) load() error {
	a.looked = time.Now()
	info, err := os.Stat(a.file)
	if err != nil {
		return fmt.Errorf("reading the certificates to trust: %w", err)
	}
	state := fileState{info.Size(), info.ModTime()}
	if state == a.state {
		return nil
	}
	pool, err := poolOf(a.file)
	if err != nil {
		return err
	}
	a.pool, a.state = pool, state
	return nil
}

// verify implements tls.Config.VerifyConnection, which is asked for resumed sessions, too.
func (a *authorities) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: a.trusted(), Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("the client's certificate: %w", err)
	}
	return nil
}

// PeerOf returns the certificate that the peer of a connection has shown, nil for none. The server's settings have judged it.
func PeerOf(nc net.Conn) *x509.Certificate {
	switch c := nc.(type) {
	case *undecided:
		if p := c.decided.Load(); p != nil {
			return PeerOf(*p)
		}
	case interface{ ConnectionState() tls.ConnectionState }:
		if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
			return certs[0]
		}
	case interface{ NetConn() net.Conn }: // something above it
		return PeerOf(c.NetConn())
	}
	return nil
}
