package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// errHandshake marks a connection that failed while the certificates were looked at.
var errHandshake = errors.New("TLS handshake failed")

// SSL names the files of TLS. Kafka calls it SSL.
type SSL struct {
	CAFile     string `env:"KAFKA_SSL_CA_FILE" help:"PEM file of the certificates that Kafka's are signed by; empty: those of the system; read again for each connection"`
	CertFile   string `env:"KAFKA_SSL_CERT_FILE" help:"PEM file of the program's own certificate for Kafka, and of those in between (mutual TLS); read again for each connection"`
	KeyFile    string `env:"KAFKA_SSL_KEY_FILE" help:"PEM file of the key of KAFKA_SSL_CERT_FILE"`
	ServerName string `env:"KAFKA_SSL_SERVER_NAME" help:"name that the certificates of all brokers have to hold; empty: the host of each"`
}

// load reads the files. Connections last, so doing it for each costs little, and a renewed
// certificate needs no restart.
func (s SSL) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_SSL_CA_FILE: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("KAFKA_SSL_CA_FILE: %s holds no certificate in PEM", s.CAFile)
		}
	}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// dialTLS makes the handshake here and not in sarama, which would hide why it failed and keep
// the certificates of the start.
func (s SSL) dialTLS(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
	conf, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	if conf.ServerName == "" {
		if conf.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // the handshake says why
		return nil, fmt.Errorf("%w with %s: %w", errHandshake, addr, err)
	}
	return conn, nil
}
