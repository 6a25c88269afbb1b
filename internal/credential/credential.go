// Package credential is what is known of a device so that it can prove who it is: the same for the file
// on a gateway and for the centre. It is not for connections. Matches blocks for the time of a slow hash;
// nothing else blocks.
package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"

	"industrial-iot-monitor/internal/telemetry"
)

// Kind is how a device proves who it is.
type Kind string

// Kinds.
const (
	Secret   Kind = "secret"   // a generated one; its hash is kept
	Nkey     Kind = "nkey"     // an Ed25519 key, by NATS alone
	Password Kind = "password" // imported, with its argon2id hash
	X509     Kind = "x509"     // a certificate that an authority of devices has signed
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{Secret, Nkey, Password, X509} }

const (
	// secretPrefix begins every generated secret, so that people and scanners know one.
	secretPrefix = "iotd_"
	// secretBytes are 192 random bits: a fast hash is enough for what is kept.
	secretBytes = 24
	sumBytes    = 4
	// MaxHashes bounds the secrets that hold at the same time: two while one is changed.
	MaxHashes = 2
	// maxPatterns bounds the devices that one credential may publish for, and its subjects.
	maxPatterns     = 64
	maxSubjectBytes = 256
	maxOver         = 128
)

// Credential is what is known of one device, or of a concentrator, which publishes for many.
// Times are ms since 1970.
type Credential struct {
	ID        string   `json:"id"`
	Kind      Kind     `json:"kind"`
	Hashes    [][]byte `json:"hashes,omitempty"`    // SHA-256 of its secrets, or of the public keys of its certificates, the newest last
	Public    string   `json:"public,omitempty"`    // its nkey
	Password  string   `json:"password,omitempty"`  // argon2id, in the form of the PHC string format
	Publishes []string `json:"publishes,omitempty"` // further device ids; a * at the end stands for any rest
	Subjects  []string `json:"subjects,omitempty"`  // NATS subjects of other formats, which need a mapping
	Added     int64    `json:"added,omitempty"`
	Revoked   int64    `json:"revoked,omitempty"` // 0: not
	// Over, in a gateway's own file, names the record of the centre that a revocation there outweighs.
	Over string `json:"over,omitempty"`
}

// ErrCredential is returned for what is none.
var ErrCredential = errors.New("not a credential")

// Check says what is wrong with a credential. Its error wraps ErrCredential.
func (c *Credential) Check() error {
	switch {
	case !telemetry.ValidDeviceID(c.ID):
		return fmt.Errorf("%w: id %.80q: want 1 to %d of A-Z a-z 0-9 _ -", ErrCredential, c.ID, telemetry.MaxDeviceIDBytes)
	case !slices.Contains(Kinds(), c.Kind):
		return fmt.Errorf("%w: %s has kind %.20q: want one of %v", ErrCredential, c.ID, c.Kind, Kinds())
	case c.Kind == Secret && len(c.Hashes) == 0 || len(c.Hashes) > MaxHashes:
		return fmt.Errorf("%w: %s has %d hashes: want 1 or %d", ErrCredential, c.ID, len(c.Hashes), MaxHashes)
	case slices.ContainsFunc(c.Hashes, func(h []byte) bool { return len(h) != sha256.Size }):
		return fmt.Errorf("%w: a hash of %s is none", ErrCredential, c.ID)
	case c.Kind == Nkey && !nkeys.IsValidPublicUserKey(c.Public):
		return fmt.Errorf("%w: the key of %s is no public nkey of a user", ErrCredential, c.ID)
	case len(c.Over) > maxOver:
		return fmt.Errorf("%w: %s outweighs a record whose name has %d bytes: want at most %d", ErrCredential, c.ID, len(c.Over), maxOver)
	case len(c.Publishes) > maxPatterns:
		return fmt.Errorf("%w: %s publishes for %d patterns: want at most %d", ErrCredential, c.ID, len(c.Publishes), maxPatterns)
	}
	if err := c.checkSubjects(); err != nil {
		return err
	}
	for _, p := range c.Publishes {
		if id := strings.TrimSuffix(p, "*"); id != "" && !telemetry.ValidDeviceID(id) {
			return fmt.Errorf("%w: %s publishes for %.80q: want a device id, or the beginning of some and *", ErrCredential, c.ID, p)
		}
	}
	if c.Kind == Password {
		if _, err := ParseHash(c.Password); err != nil {
			return fmt.Errorf("%w: the password of %s: %w", ErrCredential, c.ID, err)
		}
	}
	return nil
}

// checkSubjects refuses what is no subject, and those that the gateway itself uses.
func (c *Credential) checkSubjects() error {
	if len(c.Subjects) > maxPatterns {
		return fmt.Errorf("%w: %s has %d subjects: want at most %d", ErrCredential, c.ID, len(c.Subjects), maxPatterns)
	}
	for _, s := range c.Subjects {
		first, _, _ := strings.Cut(s, ".")
		switch {
		case len(s) > maxSubjectBytes || !validSubject(s) || strings.HasPrefix(s, "$"):
		case first == ">" || first == "*" || first == "_INBOX" || first == "devices" || first == "concentrators":
		default:
			continue
		}
		return fmt.Errorf("%w: %s has the subject %.80q: want one of another format, such as shellies.%s.>", ErrCredential, c.ID, s, c.ID)
	}
	return nil
}

// Sends reports whether a subject is one of the owner's other formats.
func (c *Credential) Sends(subject string) bool {
	return slices.ContainsFunc(c.Subjects, func(s string) bool { return matches(subject, s) })
}

// MayPublish reports whether the owner may publish readings of a device.
func (c *Credential) MayPublish(device string) bool {
	if device == c.ID {
		return true
	}
	return slices.ContainsFunc(c.Publishes, func(p string) bool {
		start, open := strings.CutSuffix(p, "*")
		return device == p || open && strings.HasPrefix(device, start)
	})
}

// NewSecret returns a secret for a device. It ends with a check sum, so that one that was copied
// without its end is told from a wrong one.
func NewSecret() string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the process instead
	return secretPrefix + base64.RawURLEncoding.EncodeToString(append(b[:], sum(b[:])...))
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:sumBytes]
}

// HashOf returns what is kept of a secret.
func HashOf(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// Hash returns the kept hash of a secret, nil if it is none of the credential's, in a time that does
// not tell which part of it is wrong.
func (c *Credential) Hash(secret string) (found []byte) {
	h := HashOf(secret)
	for _, known := range c.Hashes {
		if subtle.ConstantTimeCompare(h, known) == 1 {
			found = known
		}
	}
	return found
}

// NewKey draws a key: its seed, which stays where it is drawn, and its public half.
func NewKey() (seed []byte, public string, err error) {
	kp, err := nkeys.CreateUser()
	if err != nil {
		return nil, "", fmt.Errorf("drawing a key: %w", err)
	}
	if seed, err = kp.Seed(); err == nil {
		public, err = kp.PublicKey()
	}
	if err != nil {
		return nil, "", fmt.Errorf("drawing a key: %w", err)
	}
	return seed, public, nil
}

// Draw gives the credential a new secret or key, and returns what the device needs of it, empty if it
// has that already. The secret of before holds too, the one before that does not.
func (c *Credential) Draw() (string, error) {
	switch {
	case c.Kind == Secret:
		secret := NewSecret()
		c.Hashes = append(slices.Clone(c.Hashes), HashOf(secret))
		c.Hashes = c.Hashes[max(0, len(c.Hashes)-MaxHashes):]
		return secret, nil
	case c.Kind == Nkey && c.Public == "":
		seed, public, err := NewKey()
		c.Public = public
		return string(seed), err
	case c.Kind == Nkey, c.Kind == X509:
		return "", nil
	}
	return "", fmt.Errorf("%w: want -kind secret, nkey or x509; passwords are imported", ErrCredential)
}
