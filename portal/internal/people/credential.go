package people

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// tokenPrefix begins every token, so that people and scanners of secrets know one when they see it.
const tokenPrefix = "iotp_"

// longestCredential bounds the text of a cookie or token.
const longestCredential = 128

// newSecret returns 256 random bits as text.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hashOf returns what is kept of a credential: it is random, so that a fast hash is enough.
func hashOf(credential string) string {
	h := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(h[:])
}

// idOf is a part of a credential's hash by which people and the audit trail name it.
func idOf(hash string) string { return hash[:12] }

// KindOf tells a token from a session.
func KindOf(credential string) Kind {
	if strings.HasPrefix(credential, tokenPrefix) {
		return KindToken
	}
	return KindSession
}
