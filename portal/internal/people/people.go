package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

var (
	// ErrUnknown is returned for a person or token that is not there.
	ErrUnknown = errors.New("unknown")
	// ErrTaken is returned for a name that a person has or had: the audit trail must stay clear.
	ErrTaken = errors.New("the name is taken")
	// ErrLastAdmin is returned for a change after which nobody could say who may use the portal.
	ErrLastAdmin = errors.New("there would be no administrator left")
	// ErrNotSignedIn is returned for a credential that proves nothing, or nothing any more.
	ErrNotSignedIn = errors.New("not signed in")
	// ErrWrong is returned for a name and a password that do not belong together, whatever is wrong with them.
	ErrWrong = errors.New("wrong name or password")
	// ErrBusy is returned while too many passwords wait to be compared.
	ErrBusy = errors.New("too many people are signing in")
	// ErrInvalid is wrapped by errors about a name, role, password or time that cannot be.
	ErrInvalid = errors.New("invalid")
)

// DelayedError is the error of an attempt that came too soon after wrong ones.
type DelayedError struct{ Wait time.Duration }

// Error implements error.
func (e *DelayedError) Error() string {
	return fmt.Sprintf("too many wrong passwords; try again in %s", e.Wait.Round(time.Second))
}

// User is a person with a password. Times are in ms since 1970, 0: never.
type User struct {
	Name       string
	Role       Role
	Password   string // its hash
	Disabled   bool
	CreatedAt  int64
	CreatedBy  string
	ChangedAt  int64
	ChangedBy  string
	SignedInAt int64
}

// Token lets a program use the API.
type Token struct {
	ID        string
	Name      string
	Role      Role
	ActsAs    bool // it may name the person for whom it acts
	CreatedAt int64
	CreatedBy string
	ExpiresAt int64
	RevokedAt int64
	RevokedBy string
	UsedAt    int64 // to half a minute
}

// Session is what begins with a sign-in.
type Session struct {
	Name      string // of the person, as it is shown
	Role      Role   // of those without a User
	Via       string // Local or OIDC
	Place     string // the address it began from
	CreatedAt int64
	UsedAt    int64 // to half a minute
	EndsAt    int64 // at the latest
}

// Ways to prove who one is.
const (
	ViaLocal = "local"
	ViaToken = "token"
	ViaOIDC  = "oidc"
)

// Grant is what a credential proves.
type Grant struct {
	Name   string
	Role   Role
	Via    string
	ID     string // of the token, or of the session: not its secret
	ActsAs bool   // of a token: see Token
	UsedAt int64
	EndsAt int64
	Idle   int64 // ms without use after which it ends, 0: it does not
}

// holds reports whether a grant that was last used then still holds at now.
func (g *Grant) holds(used, now int64) bool {
	return g.Role.Valid() && now < g.EndsAt && (g.Idle == 0 || now-max(g.UsedAt, used) < g.Idle)
}

// Use tells when a credential was last used.
type Use struct {
	Kind Kind
	Hash string
	At   int64
}

// Kind is that of a credential.
type Kind string

// Kinds of credentials.
const (
	KindSession Kind = "session"
	KindToken   Kind = "token"
)

// Store keeps people, tokens and sessions; several portals may share it. Secrets reach it as hashes only. Every
// change by which a person or program may do less changes the version.
type Store interface {
	Version(ctx context.Context) (int64, error)
	Users(ctx context.Context) ([]User, error)
	// User returns the person with this key. It fails with ErrUnknown.
	User(ctx context.Context, key string) (User, error)
	// KnownPlace reports whether the person signed in from there before.
	KnownPlace(ctx context.Context, key, place string) (bool, error)
	// AddUser fails with ErrTaken. With first it does so if there is anybody at all.
	AddUser(ctx context.Context, key string, u *User, first bool) error
	// ChangeUser changes what f changes, and ends the person's sessions if their password changed or they are
	// disabled; except is the hash of a session that stays. It fails with ErrUnknown, ErrLastAdmin or what f returns.
	ChangeUser(ctx context.Context, key, except string, f func(*User) error) error
	Tokens(ctx context.Context) ([]Token, error)
	AddToken(ctx context.Context, hash string, t *Token) error
	// RevokeToken fails with ErrUnknown.
	RevokeToken(ctx context.Context, id, by string, at int64) error
	// AddSession begins a session of a person, of whom it keeps the newest ones only, and notes the place.
	AddSession(ctx context.Context, key, hash string, s *Session) error
	// EndSessions ends one session, or with hash "" all of a person.
	EndSessions(ctx context.Context, key, hash string) error
	// Grant returns what the credential with this hash proves. It fails with ErrUnknown.
	Grant(ctx context.Context, kind Kind, hash string) (Grant, error)
	Touch(ctx context.Context, uses []Use) error
}

// Key is what names are compared by.
func Key(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// CheckName returns an error for what cannot be a name of a person or token.
func CheckName(name string) error {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r) && !strings.ContainsRune("-_.@ ", r)
	}
	if name == "" || name != strings.TrimSpace(name) || len(name) > telemetry.MaxOperator || !utf8.ValidString(name) || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("%w: name: want letters, digits, - _ . @ and blanks within, %d bytes at most", ErrInvalid, telemetry.MaxOperator)
	}
	return nil
}

var errTTL = fmt.Errorf("%w: expiry: want a time from a minute to five years", ErrInvalid)

func checkRole(r Role) error {
	if !r.Valid() {
		names := make([]string, len(Roles))
		for i := range Roles {
			names[i] = string(Roles[i])
		}
		return fmt.Errorf("%w: role: want %s", ErrInvalid, strings.Join(names, ", "))
	}
	return nil
}

// Lengths of a password in characters and bytes; see NIST SP 800-63B, section 3.1.1.
const (
	shortestPassword = 10
	longestPassword  = 256
)

// CheckPassword returns an error for what cannot be the password of a person.
func CheckPassword(name, password string) error {
	switch {
	case utf8.RuneCountInString(password) < shortestPassword || len(password) > longestPassword || !utf8.ValidString(password):
		return fmt.Errorf("%w: password: want %d characters or more, %d bytes at most", ErrInvalid, shortestPassword, longestPassword)
	case strings.Contains(Key(password), Key(name)):
		return fmt.Errorf("%w: password: want one without the name in it", ErrInvalid)
	case len(slices.Compact([]rune(password))) == 1:
		return fmt.Errorf("%w: password: want more than one character again and again", ErrInvalid)
	}
	return nil
}
