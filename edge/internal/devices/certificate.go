package devices

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// urn is how a certificate names a device, if not by its common name: urn:device:ID.
const urn = "device:"

// named returns the id of the device whose certificate it is, empty if it names none.
func named(c *x509.Certificate) string {
	for _, u := range c.URIs {
		if id, ok := strings.CutPrefix(u.Opaque, urn); ok && u.Scheme == "urn" && telemetry.ValidDeviceID(id) {
			return id
		}
	}
	if id := c.Subject.CommonName; telemetry.ValidDeviceID(id) {
		return id
	}
	return ""
}

// keyOf returns what is kept of a certificate: the SHA-256 of its public key.
func keyOf(c *x509.Certificate) []byte {
	h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return h[:]
}

// certified returns the pass of a device that shows a certificate. A device without a credential publishes under its own
// name; the credential of one may name the keys that alone hold.
func (s *Set) certified(p Proof) (*Pass, error) {
	id := named(p.Certificate)
	if id == "" || p.ID != "" && p.ID != id {
		return nil, ErrWrong
	}
	c := s.Of(id)
	switch {
	case c == nil:
		return &Pass{credential: &Credential{ID: id, Kind: X509}, unlisted: true}, nil
	case c.Revoked != 0:
		return nil, ErrRevoked
	case c.Kind != X509:
		return nil, ErrWrong
	case len(c.Hashes) == 0:
		return &Pass{credential: c}, nil
	}
	key := keyOf(p.Certificate)
	for _, h := range c.Hashes {
		if subtle.ConstantTimeCompare(h, key) == 1 {
			return &Pass{credential: c, proof: key}, nil
		}
	}
	return nil, ErrWrong
}

var (
	errNotCertificate   = errors.New("want the device's certificate in PEM")
	errWhichCertificate = errors.New("its certificates of before would hold again; -cert FILE.pem says which one does")
)

// pin lets the key of a certificate alone hold.
func (c *Command) pin(n *Credential, file string) error {
	key, err := c.certificate(file, n.ID)
	n.Kind, n.Hashes = X509, [][]byte{key}
	return err
}

// another lets the key of a further certificate hold, beside the newest one.
func (c *Command) another(n *Credential, file string) error {
	if n.Kind != X509 || len(n.Hashes) == 0 || file == "" {
		return fmt.Errorf("%s: want -cert for a device that was added with -cert, and for no other; a new certificate of the same authority needs no rotate otherwise", n.ID)
	}
	key, err := c.certificate(file, n.ID)
	n.Hashes = [][]byte{n.Hashes[len(n.Hashes)-1], key}
	return err
}

// certificate reads the file of -cert, which is the certificate of a device.
func (c *Command) certificate(file, id string) (key []byte, err error) {
	in, err := c.In(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was read
	data, err := io.ReadAll(io.LimitReader(in, maxLine))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: %w", file, errNotCertificate)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if named(cert) != id {
		return nil, fmt.Errorf("%s is the certificate of %q, not of %s: its common name or a URI urn:device:%s names the device", file, named(cert), id, id)
	}
	return keyOf(cert), nil
}
