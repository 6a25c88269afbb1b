package kafkatest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"industrial-iot-monitor/internal/devkafka"
)

// Guarded starts an embedded broker that takes only clients with a password, and returns its
// address. Users are added by kfake.Superuser, TLS by kfake.TLS.
func Guarded(tb testing.TB, opts ...kfake.Opt) string {
	tb.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.SeedTopics(1, devkafka.InternalTopics()...))...)
	require.NoError(tb, err)
	tb.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

// Authority signs certificates for tests.
type Authority struct {
	File string // its own certificate
	Pool *x509.CertPool

	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes a CA with its files in a temporary directory.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{dir: tb.TempDir(), Pool: x509.NewCertPool()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	a.key, der = sign(tb, a.cert, a.cert, nil)
	a.File = filepath.Join(a.dir, "ca.pem")
	writePEM(tb, a.File, "CERTIFICATE", der)
	var err error
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(tb, err)
	a.Pool.AddCert(a.cert)
	return a
}

// OpenAuthority reads a CA that openssl made: ca.pem and ca.key in a directory.
func OpenAuthority(tb testing.TB, dir string) *Authority {
	tb.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	require.NoError(tb, err)
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	require.True(tb, ok)
	return &Authority{File: filepath.Join(dir, "ca.pem"), dir: tb.TempDir(), cert: pair.Leaf, key: key}
}

// Issue makes a certificate for 127.0.0.1 that ends at a time, and returns its files.
func (a *Authority) Issue(tb testing.TB, name string, end time.Time) (certFile, keyFile string) {
	tb.Helper()
	key, der := sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: end.Add(-2 * time.Hour), NotAfter: end, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	writePEM(tb, certFile, "CERTIFICATE", der)
	b, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)
	writePEM(tb, keyFile, "PRIVATE KEY", b)
	return certFile, keyFile
}

// Server returns the TLS of a server whose certificate ends at a time.
func (a *Authority) Server(tb testing.TB, end time.Time) *tls.Config {
	tb.Helper()
	pair, err := tls.LoadX509KeyPair(a.Issue(tb, "server", end))
	require.NoError(tb, err)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
}

// sign makes a key and signs its certificate, with the key itself if the signer has none.
func sign(tb testing.TB, cert, signer *x509.Certificate, signerKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	if signerKey == nil {
		signerKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, signer, &key.PublicKey, signerKey)
	require.NoError(tb, err)
	return key, der
}

func writePEM(tb testing.TB, file, kind string, der []byte) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
