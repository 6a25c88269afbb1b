// Package tlsfiles makes TLS settings of certificates that are files. It looks at the files again while a
// program runs, so that a renewed certificate needs no restart. It is not for making certificates.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// Server returns the settings of a server with a certificate, its chain behind it, and a key, both PEM.
// Files that cannot be used are an error now; later the certificate of before stays in force and the
// error is logged.
func Server(certFile, keyFile string, lowest uint16, log *slog.Logger) (*tls.Config, error) {
	pair, err := keep(log, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate %s and its key %s: %w", certFile, keyFile, err)
		}
		return &pair, nil
	}, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: lowest, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil }}, nil
}

// ErrNoCertificate is returned for a file without one.
var ErrNoCertificate = errors.New("no certificate in PEM")

// Client returns the settings of a client that trusts the certificates of a file, of the system if that is
// empty.
func Client(caFile string, lowest uint16) (*tls.Config, error) {
	c := &tls.Config{MinVersion: lowest}
	if caFile == "" {
		return c, nil
	}
	var err error
	c.RootCAs, err = poolOf(caFile)
	return c, err
}

// poolOf reads the certificates of a file.
func poolOf(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates to trust: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %w", file, ErrNoCertificate)
	}
	return pool, nil
}
