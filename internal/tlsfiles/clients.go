package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
)

// AskClients lets the clients of a server show a certificate, too. One that no certificate of the file has signed for clients
// ends the handshake; who shows none goes on without. The file is looked at again as the server's are.
func AskClients(c *tls.Config, caFile string, log *slog.Logger) error {
	trusted, err := keep(log, func() (*x509.CertPool, error) { return poolOf(caFile) }, caFile)
	if err != nil {
		return err
	}
	c.ClientAuth = tls.RequestClientCert
	c.VerifyConnection = func(s tls.ConnectionState) error { return verify(s.PeerCertificates, trusted.get()) } // asked for resumed sessions, too
	return nil
}

// verify judges the certificate that a client has shown, and those in between.
func verify(shown []*x509.Certificate, trusted *x509.CertPool) error {
	if len(shown) == 0 {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: trusted, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
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
