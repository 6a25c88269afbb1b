package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// claimPrefix begins every claim, so that people and scanners of secrets know one when they see it.
const claimPrefix = "iotc_"

// sumBytes is the length of the check sum at the end of a claim: a line that was copied without its
// end is recognised.
const sumBytes = 4

// maxClaim bounds the text of a claim.
const maxClaim = 2 << 10

// ErrClaim is wrapped by every error about the text of a claim.
var ErrClaim = errors.New("not a claim")

// Claim lets one gateway enrol, once. It is what "bridge gateway add" prints.
type Claim struct {
	Hub      string `json:"h"` // URL that the gateway dials, nats-leaf://host:port
	Gateway  string `json:"g"`
	Building string `json:"b,omitempty"`
	Secret   string `json:"s"` // 160 random bits, base64
	// CA is the SHA-256 of the certificate that the hub's is signed by; empty: the hub has no TLS.
	CA []byte `json:"c,omitempty"`
}

// NewSecret returns a secret for a claim.
func NewSecret() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// HashOf returns what is kept of a secret: it is random, so that a fast hash is enough.
func HashOf(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// String returns the claim as text.
func (c Claim) String() string {
	data, err := json.Marshal(c)
	if err != nil {
		panic("access: a claim of strings: " + err.Error())
	}
	return claimPrefix + base64.RawURLEncoding.EncodeToString(append(data, sum(data)...))
}

func sum(data []byte) []byte {
	h := sha256.Sum256(data)
	return h[:sumBytes]
}

// ParseClaim reads the text of a claim. The error never quotes it.
func ParseClaim(text string) (Claim, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), claimPrefix)
	if !ok || len(text) > maxClaim {
		return Claim{}, fmt.Errorf("%w: want the text that begins with %s, as \"bridge gateway add\" printed it", ErrClaim, claimPrefix)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) < sumBytes {
		return Claim{}, fmt.Errorf("%w: it has characters that none has; copy it again", ErrClaim)
	}
	data, check := raw[:len(raw)-sumBytes], raw[len(raw)-sumBytes:]
	if !bytes.Equal(sum(data), check) {
		return Claim{}, fmt.Errorf("%w: its end is missing or a character is wrong; copy it again", ErrClaim)
	}
	var c Claim
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Claim{}, fmt.Errorf("%w: it is for a newer version of this program", ErrClaim)
	}
	return c, c.check()
}

func (c Claim) check() error {
	u, err := url.Parse(c.Hub)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" || u.User != nil:
		return fmt.Errorf("%w: its hub is no URL such as nats-leaf://hub:7422", ErrClaim)
	case !telemetry.ValidDeviceID(c.Gateway):
		return fmt.Errorf("%w: its gateway id is none", ErrClaim)
	case len(c.CA) != 0 && len(c.CA) != sha256.Size:
		return fmt.Errorf("%w: its hash of a certificate is none", ErrClaim)
	case c.Secret == "":
		return fmt.Errorf("%w: it has no secret", ErrClaim)
	}
	return nil
}

// claimMark begins the password of a gateway that shows a claim; another password is the id of its
// installation.
const claimMark = "claim:"

// ClaimPassword is the password by which a gateway shows the secret of a claim to the hub.
func ClaimPassword(secret string) string { return claimMark + secret }

// SecretOfPassword returns the secret that a gateway shows, and whether it shows one.
func SecretOfPassword(password string) (secret string, shown bool) {
	if secret, shown = strings.CutPrefix(password, claimMark); shown {
		return secret, true
	}
	return "", false
}
