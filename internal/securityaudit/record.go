// Package securityaudit is the form of the security audit, the Kafka topic security-audit: who signed in, who changed
// what anybody may do, and what was refused. A Record is one line of it, a Chain gives each the hash of the one before,
// and a Verifier finds records that were changed, removed or doubled since. It does no I/O and nothing in it blocks;
// package auditlog writes records to Kafka.
package securityaudit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// What happened.
type What string

// Events. Those of gateways and clients (programs at the hub) are the bridge's, InsecureStart is of both, the others are the portal's.
const (
	SignIn         What = "sign_in"
	SignOut        What = "sign_out"
	PasswordChange What = "password_change" // of one's own
	UserAdd        What = "user_add"
	UserChange     What = "user_change"
	TokenAdd       What = "token_add"
	TokenRevoke    What = "token_revoke"
	Command        What = "command" // one that was forbidden
	RuleChange     What = "rule_change"
	GatewayAdd     What = "gateway_add"
	GatewayRotate  What = "gateway_rotate"
	GatewayRevoke  What = "gateway_revoke"
	GatewayEnrol   What = "gateway_enrol" // its claim was used
	GatewayConnect What = "gateway_connect"
	ClientAdd      What = "client_add"
	ClientRevoke   What = "client_revoke"
	ClientConnect  What = "client_connect"
	DeviceAdd      What = "device_add" // from the centre, as the next two
	DeviceRotate   What = "device_rotate"
	DeviceRevoke   What = "device_revoke"
	InsecureStart  What = "insecure_start"
)

// Whats lists all events.
func Whats() []What {
	return []What{
		SignIn, SignOut, PasswordChange, UserAdd, UserChange, TokenAdd, TokenRevoke, Command, RuleChange,
		GatewayAdd, GatewayRotate, GatewayRevoke, GatewayEnrol, GatewayConnect, ClientAdd, ClientRevoke, ClientConnect,
		DeviceAdd, DeviceRotate, DeviceRevoke, InsecureStart,
	}
}

// Outcome is what came of it.
type Outcome string

// Outcomes. A change has two records: one before it is made, without which it is not made, and one of its end.
const (
	Begun   Outcome = "begun"
	Done    Outcome = "done"
	Failed  Outcome = "failed"  // for Reason; of a sign-in: wrong name or password
	Delayed Outcome = "delayed" // a sign-in that came too soon after wrong ones
	Refused Outcome = "refused" // not permitted
)

// Outcomes lists all outcomes.
func Outcomes() []Outcome { return []Outcome{Begun, Done, Failed, Delayed, Refused} }

// Record is the value of a record in the topic security-audit.
type Record struct {
	Time int64 `json:"time"` // ms since 1970, by the program's clock
	// Who did it: a name that was proved, token:NAME for a program, shell:USER for a command on a machine; empty: not known.
	Who string `json:"who,omitempty"`
	// Via is how they proved it: local, token, oidc, proxy, shell or key.
	Via string `json:"via,omitempty"`
	// Address is the one they called from.
	Address string `json:"address,omitempty"`
	// Session names their session or token. It is not its secret.
	Session string `json:"session,omitempty"`
	What    What   `json:"what"`
	// About is what it was done to: a person, token, gateway, client, rule or alarm, or GATEWAY/DEVICE.
	About string `json:"about,omitempty"`
	// Detail says more in words: the new role, the action of a command.
	Detail  string  `json:"detail,omitempty"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // of Failed and Refused
	// Count is how many alike it stands for, 0: one.
	Count int `json:"count,omitempty"`
	// Program wrote it: portal or bridge.
	Program string `json:"program"`

	// Chain is that of the record, Number its place there from 1, and Previous the hash of the record before it there.
	// That of the first one is the hash of the newest record in the topic when the chain began, empty if there was none.
	Chain    string `json:"chain"`
	Number   int64  `json:"number"`
	Previous string `json:"previous"`
	// Hash is the SHA-256 of the canonical form of everything above.
	Hash string `json:"hash"`
}

// longest bounds each text of a record, in bytes, and LongestRecord a record.
const (
	longest       = 512
	LongestRecord = 64 << 10
)

var (
	// ErrNoRecord is wrapped by errors about what is no record.
	ErrNoRecord = errors.New("not a record of the security audit")
	errHash     = errors.New("its hash is of another content")
)

// Canonical returns the bytes of which a record's hash is made: its JSON with the fields in their order in Record, without
// empty ones and Hash, without blanks, <, > and & not escaped. So a reader without this package can
// make it: take the record as it stands in Kafka, without ,"hash":"…" at its end.
func (r *Record) Canonical() []byte {
	bare := *r
	bare.Hash = ""
	whole := encode(&bare)
	return append(bytes.TrimSuffix(whole, []byte(`,"hash":""}`)), '}')
}

func encode(r *Record) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		panic("securityaudit: a record of texts and numbers: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (r *Record) sum() string {
	h := sha256.Sum256(r.Canonical())
	return hex.EncodeToString(h[:])
}

// Encode returns a record as it is in Kafka.
func (r *Record) Encode() []byte { return encode(r) }

// Decode reads a record of the topic. It fails with ErrNoRecord; whether the hash is right is for a Verifier.
func Decode(data []byte) (*Record, error) {
	if len(data) > LongestRecord {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrNoRecord, len(data), LongestRecord)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	if r.What == "" || r.Chain == "" || r.Number < 1 || r.Hash == "" {
		return nil, fmt.Errorf("%w: what, chain, number or hash is missing", ErrNoRecord)
	}
	return &r, nil
}

// intact returns an error if data is not exactly what was written as r: a field that Record does not know counts, too.
func (r *Record) intact(data []byte) error {
	if r.sum() != r.Hash || !bytes.Equal(encode(r), data) {
		return errHash
	}
	return nil
}

// trim cuts the texts of a record, which may be a stranger's.
func (r *Record) trim() {
	for _, s := range []*string{&r.Who, &r.Via, &r.Address, &r.Session, &r.About, &r.Detail, &r.Reason} {
		text := strings.ToValidUTF8(*s, "\ufffd")
		if len(text) > longest {
			text = strings.ToValidUTF8(text[:longest], "")
		}
		*s = text
	}
}
