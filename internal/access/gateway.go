// Package access says who may connect to the hub: the records of gateways and programs, the text of
// a claim, and the decision about a connection. It does no I/O and nothing in it blocks; records are
// kept in a compacted Kafka topic by those who use it.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// maxKeys bounds the keys of a gateway: one, and a second while they are changed.
	maxKeys = 2
	// MaxRecord is the longest record in bytes.
	MaxRecord = 16 << 10
)

// Gateway is the record of a gateway. Times are ms since 1970.
type Gateway struct {
	ID       string `json:"id"`
	Building string `json:"building,omitempty"`
	Keys     []Key  `json:"keys,omitempty"`    // the newest last
	Claim    *Open  `json:"claim,omitempty"`   // nil: spent, or never given
	Revoked  int64  `json:"revoked,omitempty"` // 0: not
	Changed  int64  `json:"changed"`
	By       string `json:"by,omitempty"` // who changed it last
}

// Key is a public key, an nkey of a user.
type Key struct {
	Public string `json:"public"`
	Added  int64  `json:"added"`
	Until  int64  `json:"until,omitempty"` // 0: for ever
}

// Open is a claim that was not used yet.
type Open struct {
	Hash  []byte `json:"hash"` // of its secret, see HashOf
	Until int64  `json:"until"`
	// KeepFor is how long the keys of before hold once it is used, in ms.
	KeepFor int64 `json:"keep_for,omitempty"`
}

// Reasons why a connection is refused. With ErrUnread nothing was decided about it.
var (
	ErrUnread   = errors.New("the records of who may connect were not read yet")
	ErrUnknown  = errors.New("the gateway is not enrolled")
	ErrRevoked  = errors.New("the gateway was revoked")
	ErrNoKey    = errors.New("the gateway proves no key")
	ErrKey      = errors.New("the key is not the gateway's")
	ErrExpired  = errors.New("the claim has expired")
	ErrSpent    = errors.New("the claim was used already, or it is not the newest one")
	ErrNoRecord = errors.New("not a record of who may connect")
)

// Admit decides about a connection whose owner has proved to own a key, empty if none. secret is
// that of a claim, if it shows one. The second result is the record to keep if the claim is used
// thereby, nil if nothing changes. g is the record of the gateway, nil if there is none.
func (g *Gateway) Admit(key, secret string, now int64) (*Gateway, error) {
	switch {
	case g == nil:
		return nil, ErrUnknown
	case g.Revoked != 0:
		return nil, ErrRevoked
	case key == "":
		return nil, ErrNoKey
	case g.has(key, now):
		return nil, nil
	case secret == "":
		return nil, ErrKey
	case g.Claim == nil || subtle.ConstantTimeCompare(HashOf(secret), g.Claim.Hash) != 1:
		return nil, ErrSpent
	case now >= g.Claim.Until:
		return nil, ErrExpired
	}
	next := *g
	next.Keys, next.Claim, next.Changed = nil, nil, now
	if n := len(g.Keys); n > 0 && g.Claim.KeepFor > 0 {
		old := g.Keys[n-1]
		old.Until = now + g.Claim.KeepFor
		next.Keys = append(next.Keys, old)
	}
	next.Keys = append(next.Keys, Key{Public: key, Added: now})
	return &next, nil
}

func (g *Gateway) has(key string, now int64) bool {
	return slices.ContainsFunc(g.Keys, func(k Key) bool { return k.Public == key && (k.Until == 0 || now < k.Until) })
}

// DecodeGateway reads a record. The error says what is wrong with it.
func DecodeGateway(data []byte) (*Gateway, error) {
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrNoRecord, len(data), MaxRecord)
	}
	var g Gateway
	if err := json.Unmarshal(data, &g); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	switch {
	case !telemetry.ValidDeviceID(g.ID):
		return nil, fmt.Errorf("%w: id %.80q", ErrNoRecord, g.ID)
	case len(g.Keys) > maxKeys:
		return nil, fmt.Errorf("%w: %d keys, want at most %d", ErrNoRecord, len(g.Keys), maxKeys)
	case slices.ContainsFunc(g.Keys, func(k Key) bool { return !nkeys.IsValidPublicUserKey(k.Public) }):
		return nil, fmt.Errorf("%w: a key is none", ErrNoRecord)
	case g.Claim != nil && len(g.Claim.Hash) != sha256.Size:
		return nil, fmt.Errorf("%w: its claim has no hash", ErrNoRecord)
	}
	return &g, nil
}

// Encode returns a record as JSON.
func (g *Gateway) Encode() []byte {
	data, err := json.Marshal(g)
	if err != nil {
		panic("access: a record of strings and numbers: " + err.Error())
	}
	return data
}

// keyOfGateway begins the keys of gateways' records in the topic.
const keyOfGateway = "gateway/"

// GatewayRecordKey returns the key of the gateway's record in the topic.
func GatewayRecordKey(gateway string) string { return keyOfGateway + gateway }

// OfGatewayRecordKey returns the gateway of a record's key.
func OfGatewayRecordKey(key string) (gateway string, ok bool) {
	return strings.CutPrefix(key, keyOfGateway)
}

// Proves reports whether a signature of a nonce was made with the private half of a key.
func Proves(key string, nonce, signature []byte) bool {
	if !nkeys.IsValidPublicUserKey(key) || len(nonce) == 0 {
		return false
	}
	pub, err := nkeys.FromPublicKey(key)
	return err == nil && pub.Verify(nonce, signature) == nil
}
