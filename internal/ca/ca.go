// Package ca makes the certificates of a plant that has no authority of its own: one that signs, and those
// of the hub, of gateways and of devices. It does not serve anything; everything in it blocks on the disk.
package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"industrial-iot-monitor/internal/durable"
	"industrial-iot-monitor/internal/telemetry"
)

// Names of the files in a directory.
const (
	caCert, caKey = "ca.pem", "ca.key"
	Hub           = "hub" // hub.pem and hub.key
)

const (
	yearsOfCA      = 10
	daysOfServer   = 365
	daysOfDevice   = 5 * 365   // a yearly visit to each device is too much
	allowedBehind  = time.Hour // how far behind the clock of a gateway may be
	blockCert      = "CERTIFICATE"
	blockKey       = "PRIVATE KEY"
	maxSerialBits  = 127
	modeOfKeys     = 0o600
	modeOfCertPEMs = 0o644
)

// ErrExists is returned where a file would be overwritten.
var ErrExists = errors.New("exists already")

// Init makes the authority and the certificate of the hub, for the names and addresses by which others
// reach it.
func Init(dir string, names []string, now time.Time) error {
	for _, name := range []string{caCert, caKey, Hub + ".pem", Hub + ".key"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s %w; bridge ca renew makes a new certificate for the hub", filepath.Join(dir, name), ErrExists)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	t, err := template("industrial-iot-monitor CA", now, now.AddDate(yearsOfCA, 0, 0))
	if err != nil {
		return err
	}
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	t.MaxPathLenZero = true
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if err := write(dir, "ca", [][]byte{der}, key); err != nil {
		return err
	}
	return Issue(dir, filepath.Join(dir, Hub), names, now)
}

// Renew makes a new certificate and key for the hub, with the names of the one it has.
func Renew(dir string, now time.Time) error {
	cert, err := readCert(filepath.Join(dir, Hub+".pem"))
	if err != nil {
		return err
	}
	names := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return Issue(dir, filepath.Join(dir, Hub), names, now)
}

// Issue writes out.pem, which has the authority's certificate at its end, and out.key, for a server.
func Issue(dir, out string, names []string, now time.Time) error {
	if len(names) == 0 {
		return errors.New("-names: want the names and addresses by which the server is reached, such as hub.example.com,10.0.0.5")
	}
	t, err := template(names[0], now, now.AddDate(0, 0, daysOfServer))
	if err != nil {
		return err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return sign(dir, out, t)
}

// IssueDevice does the same for a device, with which it can be no server.
func IssueDevice(dir, out, id string, now time.Time) error {
	if !telemetry.ValidDeviceID(id) {
		return fmt.Errorf("-device %.80q: want the device's id, 1 to %d of A-Z a-z 0-9 _ -", id, telemetry.MaxDeviceIDBytes)
	}
	t, err := template(id, now, now.AddDate(0, 0, daysOfDevice))
	if err != nil {
		return err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return sign(dir, out, t)
}

// sign draws a key for what t says and writes both.
func sign(dir, out string, t *x509.Certificate) error {
	authority, err := readCert(filepath.Join(dir, caCert))
	if err != nil {
		return err
	}
	signer, err := readKey(filepath.Join(dir, caKey))
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, authority, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	return write(filepath.Dir(out), filepath.Base(out), [][]byte{der, authority.Raw}, key)
}

func template(name string, from, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), maxSerialBits))
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: from.Add(-allowedBehind), NotAfter: until,
	}, nil
}

// HashOf returns the SHA-256 of the certificate in a file.
func HashOf(file string) ([]byte, error) {
	cert, err := readCert(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(cert.Raw)
	return sum[:], nil
}

func readBlock(name, kind string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w; bridge ca init makes it", filepath.Base(name), err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM", name, kind)
	}
	return block.Bytes, nil
}

func readCert(name string) (*x509.Certificate, error) {
	der, err := readBlock(name, blockCert)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return cert, nil
}

func readKey(name string) (any, error) {
	der, err := readBlock(name, blockKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return key, nil
}

// write writes the key and then the chain, each whole: a server that looks in between finds a pair that
// does not fit, and keeps the one of before.
func write(dir, name string, chain [][]byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the key: %w", err)
	}
	if err := replace(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), modeOfKeys); err != nil {
		return err
	}
	var certs []byte
	for _, der := range chain {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: der})...)
	}
	return replace(filepath.Join(dir, name+".pem"), certs, modeOfCertPEMs)
}

func replace(name string, data []byte, mode fs.FileMode) error {
	if err := durable.Replace(name, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}
	return nil
}
