package access

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nkeys"

	"industrial-iot-monitor/internal/telemetry"
)

// Role of a program at the hub.
type Role string

// Roles. A bridge reads every gateway, core and portal reach the plant's account alone.
const (
	RoleBridge Role = "bridge"
	RoleCore   Role = "core"
	RolePortal Role = "portal"
)

// Roles lists all roles.
func Roles() []Role { return []Role{RoleBridge, RoleCore, RolePortal} }

// Client is the record of a program that connects to the hub. Times are ms since 1970.
type Client struct {
	Name    string `json:"name"`
	Role    Role   `json:"role"`
	Public  string `json:"public"` // its key, an nkey of a user
	Revoked int64  `json:"revoked,omitempty"`
	Changed int64  `json:"changed"`
	By      string `json:"by,omitempty"`
}

// DecodeClient reads a record. The error says what is wrong with it.
func DecodeClient(data []byte) (*Client, error) {
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrNoRecord, len(data), MaxRecord)
	}
	var c Client
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	switch {
	case !telemetry.ValidDeviceID(c.Name):
		return nil, fmt.Errorf("%w: name %.80q", ErrNoRecord, c.Name)
	case !nkeys.IsValidPublicUserKey(c.Public):
		return nil, fmt.Errorf("%w: its key is none", ErrNoRecord)
	}
	return &c, nil
}

// Encode returns a record as JSON.
func (c *Client) Encode() []byte {
	data, err := json.Marshal(c)
	if err != nil {
		panic("access: a record of strings and numbers: " + err.Error())
	}
	return data
}

// keyOfClient begins the keys of programs' records in the topic.
const keyOfClient = "client/"

// ClientRecordKey returns the key of a program's record in the topic.
func ClientRecordKey(name string) string { return keyOfClient + name }

// OfClientRecordKey returns the program of a record's key.
func OfClientRecordKey(key string) (name string, ok bool) { return strings.CutPrefix(key, keyOfClient) }
