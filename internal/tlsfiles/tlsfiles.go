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
	"sync"
	"time"
)

// lookEvery is how often a handshake looks whether the files have changed, at most.
const lookEvery = time.Second

// Server returns the settings of a server with a certificate, its chain behind it, and a key, both PEM.
// Files that cannot be used are an error now; later the certificate of before stays in force and the
// error is logged.
func Server(certFile, keyFile string, lowest uint16, log *slog.Logger) (*tls.Config, error) {
	k := &keeper{certFile: certFile, keyFile: keyFile, log: log}
	if err := k.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: lowest, GetCertificate: k.certificate}, nil
}

// keeper is a certificate in force.
type keeper struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	state   [2]fileState // of the files that were last tried
	looked  time.Time
}

// fileState tells a file from a later one.
type fileState struct {
	size    int64
	changed time.Time
}

func (k *keeper) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) >= lookEvery {
		if err := k.load(); err != nil {
			k.log.Error("certificate cannot be read, keeping the one of before", "cert", k.certFile, "key", k.keyFile, "err", err)
		}
	}
	return k.current, nil
}

// load reads the files if they have changed.
func (k *keeper) load() error {
	k.looked = time.Now()
	var state [2]fileState
	for i, name := range []string{k.certFile, k.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("reading the certificate: %w", err)
		}
		state[i] = fileState{info.Size(), info.ModTime()}
	}
	if state == k.state {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil {
		return fmt.Errorf("reading the certificate %s and its key %s: %w", k.certFile, k.keyFile, err)
	}
	k.current, k.state = &pair, state
	return nil
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
