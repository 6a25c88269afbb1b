package broker

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// instanceDigits is the length of an instance id.
const instanceDigits = 16

// loadInstance returns the id of this installation, drawn at the first start and kept in
// dir. An unreadable one is replaced; nothing else depends on it.
func loadInstance(dir string) (string, error) {
	removeTries(dir)
	name := instanceFile(dir)
	if id := readInstance(dir); id != "" {
		return id, nil
	}
	id := newInstance()
	if err := os.WriteFile(name+".new", []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("EDGE_DATA_DIR: saving the instance id: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return "", fmt.Errorf("EDGE_DATA_DIR: saving the instance id: %w", err)
	}
	return id, nil
}

func instanceFile(dir string) string { return filepath.Join(dir, "instance") }

// readInstance returns the id that is kept in dir, empty if there is none or an unreadable one.
func readInstance(dir string) string {
	data, err := os.ReadFile(instanceFile(dir))
	if id := strings.TrimSpace(string(data)); err == nil && len(id) == instanceDigits && strings.Trim(id, "0123456789abcdef") == "" {
		return id
	}
	return ""
}

func newInstance() string {
	var b [instanceDigits / 2]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the process instead
	return hex.EncodeToString(b[:])
}

// Instance returns the id of this installation: 16 hex digits.
func (b *Broker) Instance() string { return b.instance }

// refusals counts how often the hub refused this gateway.
type refusals struct {
	n    atomic.Uint64
	last atomic.Pointer[time.Time]
}

func (r *refusals) add() {
	now := time.Now()
	r.last.Store(&now)
	r.n.Add(1)
}

// HubRefused returns how often the hub refused the leaf link since the start, and whether
// it does so now: because another gateway with the same id is connected, or because the
// hub has no such user as in EDGE_HUB_URL.
func (b *Broker) HubRefused() (times uint64, now bool) {
	last := b.refused.last.Load()
	return b.refused.n.Load(), last != nil && time.Since(*last) < refusedFor && !b.HubConnected()
}

// refusedFor is how long a refusal counts. The server waits half a minute after each
// before it dials again.
const refusedFor = 90 * time.Second
