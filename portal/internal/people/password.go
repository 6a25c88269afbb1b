package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// Argon2id as RFC 9106 has it: 64 MiB, one pass, one lane. A hash takes some 70 ms of a core.
const (
	argonMemory = 64 << 10 // KiB
	argonTime   = 1
	argonLanes  = 1
	saltBytes   = 16
	hashBytes   = 32
)

const (
	// mostHashes run at once, and at least one core is left for the rest: so many goroutines that never wait would hold up
	// all others.
	mostHashes = 2
	// mostWaiting wait for that.
	mostWaiting = 32
)

// hasher computes hashes of passwords, a few at a time.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	// running and most are how many hashes are computed now and were at once, done how many there were.
	running, most, done atomic.Int64

	memory uint32 // KiB, of new hashes
	// nobodys is the hash of a password that nobody knows. It costs as much to compare as any other.
	nobodys string
}

func newHasher(memory uint32) *hasher {
	random := make([]byte, saltBytes+hashBytes)
	_, _ = rand.Read(random) // never fails: crypto/rand crashes the process instead
	h := &hasher{slots: make(chan struct{}, max(1, min(mostHashes, runtime.NumCPU()-1))), memory: memory}
	h.nobodys = h.format(random[:saltBytes], random[saltBytes:])
	return h
}

func (h *hasher) format(salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, argonTime, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// derive computes a hash, or fails with ErrBusy or the error of ctx.
func (h *hasher) derive(ctx context.Context, password string, salt []byte, time, memory uint32, lanes uint8, length uint32) ([]byte, error) {
	if h.waiting.Add(1) > mostWaiting+mostHashes {
		h.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	n := h.running.Add(1)
	for most := h.most.Load(); n > most; most = h.most.Load() {
		h.most.CompareAndSwap(most, n)
	}
	defer h.running.Add(-1)
	defer h.done.Add(1)
	return argon2.IDKey([]byte(password), salt, time, memory, lanes, length), nil
}

// hash returns what is kept of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt)
	sum, err := h.derive(ctx, password, salt, argonTime, h.memory, argonLanes, hashBytes)
	if err != nil {
		return "", err
	}
	return h.format(salt, sum), nil
}

var errHash = errors.New("people: a hash that no version of this program wrote")

// matches reports whether a password has a hash.
func (h *hasher) matches(ctx context.Context, password, hash string) (bool, error) {
	var version int
	var memory, time uint32
	var lanes uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errHash
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &lanes); err != nil || version != argon2.Version {
		return false, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if errors.Join(err, err2) != nil || memory > 1<<20 || time < 1 || time > 100 || lanes < 1 || len(want) < 16 || len(want) > 64 {
		return false, errHash
	}
	got, err := h.derive(ctx, password, salt, time, memory, lanes, uint32(len(want)))
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1, err
}
