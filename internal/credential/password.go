package credential

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Limits of what an imported hash may ask for: a file must not make the gateway use gigabytes.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 10
	maxThreads   = 16
	maxHashBytes = 64
)

var errHash = errors.New("want an argon2id hash such as $argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$…")

// PasswordHash is an imported password: a decoded hash in the PHC string format.
type PasswordHash struct {
	memory, passes uint32
	threads        uint8
	salt, sum      []byte
}

// ParseHash reads one in the form of the PHC string format.
func ParseHash(text string) (h PasswordHash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.threads); err != nil || n != 3 {
		return h, errHash
	}
	if h.memory < 8 || h.memory > maxMemoryKiB || h.passes < 1 || h.passes > maxPasses || h.threads < 1 || h.threads > maxThreads {
		return h, fmt.Errorf("%w with at most %d KiB, %d passes and %d threads", errHash, maxMemoryKiB, maxPasses, maxThreads)
	}
	if h.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(h.salt) < 8 {
		return h, errHash
	}
	if h.sum, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(h.sum) < 16 || len(h.sum) > maxHashBytes {
		return h, errHash
	}
	return h, nil
}

// Matches takes as long as the hash wants.
func (h *PasswordHash) Matches(password string) bool {
	sum := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}
