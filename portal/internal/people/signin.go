package people

import (
	"context"
	"errors"
	"strings"
	"time"

	"industrial-iot-monitor/internal/config"
)

// SignIn begins a session of a person with a password from an address, and returns the credential that proves
// it. It fails with ErrWrong, a DelayedError, ErrBusy, or the error of the store. An unknown name takes
// the same time and gets the same answer as a wrong password.
func (d *Directory) SignIn(ctx context.Context, name, password, place string) (credential string, err error) {
	key := Key(name)
	u, err := d.prove(ctx, key, password, place)
	d.metrics.count(err)
	if err != nil {
		if errors.Is(err, ErrWrong) {
			d.log.Warn("sign-in refused", "name", name, "from", place)
		}
		return "", err
	}
	credential = newSecret()
	now := d.now()
	s := Session{Name: u.Name, Via: ViaLocal, Place: place, CreatedAt: now.UnixMilli(), UsedAt: now.UnixMilli(), EndsAt: now.Add(longestSession).UnixMilli()}
	if err := d.store.AddSession(ctx, key, hashOf(credential), &s); err != nil {
		return "", err
	}
	d.log.Info("signed in", "name", u.Name, "from", place, "session", idOf(hashOf(credential)))
	return credential, nil
}

// Begin begins a session of a person whom an OpenID provider vouches for. It fails with ErrTaken if the name is that of
// a person with a password.
func (d *Directory) Begin(ctx context.Context, name string, role Role, place string) (credential string, err error) {
	if err := errors.Join(CheckName(name), checkRole(role)); err != nil {
		return "", err
	}
	_, err = d.store.User(ctx, Key(name))
	if err == nil {
		return "", ErrTaken
	}
	if !errors.Is(err, ErrUnknown) {
		return "", err
	}
	credential = newSecret()
	now := d.now()
	s := Session{Name: name, Role: role, Via: ViaOIDC, Place: place, CreatedAt: now.UnixMilli(), UsedAt: now.UnixMilli(), EndsAt: now.Add(longestSession).UnixMilli()}
	if err := d.store.AddSession(ctx, oidcKey(name), hashOf(credential), &s); err != nil {
		return "", err
	}
	d.log.Info("signed in", "name", name, "role", role, "from", place, "session", idOf(hashOf(credential)), "via", ViaOIDC)
	return credential, nil
}

// oidcKey is that of sessions of a person who has no password here: no name has a colon.
func oidcKey(name string) string { return ViaOIDC + ":" + Key(name) }

// prove returns the person whose password it is.
func (d *Directory) prove(ctx context.Context, key, password, place string) (User, error) {
	u, err := d.store.User(ctx, key)
	unknown := errors.Is(err, ErrUnknown)
	if err != nil && !unknown {
		return User{}, err
	}
	known, err := d.store.KnownPlace(ctx, key, place)
	if err != nil {
		return User{}, err
	}
	if wait := d.throttle.begin(key, place, known); wait > 0 {
		return User{}, &DelayedError{Wait: wait}
	}
	hash := u.Password
	if unknown || u.Disabled {
		hash = d.hasher.nobodys
	}
	right, err := d.hasher.matches(ctx, password, hash)
	switch {
	case err != nil:
		d.throttle.dropped(key, place)
		return User{}, err
	case !right:
		return User{}, ErrWrong
	}
	d.throttle.right(key, place)
	return u, nil
}

// SignOut ends a session.
func (d *Directory) SignOut(ctx context.Context, credential string) error {
	defer d.changed()
	return d.store.EndSessions(ctx, "", hashOf(credential))
}

// SignOutEverywhere ends all sessions of a person who signed in by a way.
func (d *Directory) SignOutEverywhere(ctx context.Context, via, name string) error {
	defer d.changed()
	key := Key(name)
	if via == ViaOIDC {
		key = oidcKey(name)
	}
	return d.store.EndSessions(ctx, key, "")
}

// SetOwnPassword changes the password of a person who knows it; their other sessions than the one of the
// credential end. It fails as SignIn does, or with ErrInvalid.
func (d *Directory) SetOwnPassword(ctx context.Context, credential, name, old, password, place string) error {
	if err := CheckPassword(name, password); err != nil {
		return err
	}
	if _, err := d.prove(ctx, Key(name), old, place); err != nil {
		return err
	}
	return d.setPassword(ctx, name, name, password, hashOf(credential))
}

func (d *Directory) setPassword(ctx context.Context, by, name, password, except string) error {
	hash, err := d.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return d.change(ctx, by, name, except, func(u *User) { u.Password = hash })
}

func (d *Directory) change(ctx context.Context, by, name, except string, f func(*User)) error {
	defer d.changed()
	return d.store.ChangeUser(ctx, Key(name), except, func(u *User) error {
		f(u)
		u.ChangedAt, u.ChangedBy = d.now().UnixMilli(), by
		return nil
	})
}

// AddUser adds a person. It fails with ErrInvalid or ErrTaken.
func (d *Directory) AddUser(ctx context.Context, by, name string, role Role, password string) error {
	return d.add(ctx, by, name, role, password, false)
}

// AddFirst adds the first administrator, if there is nobody yet, and reports whether it did.
func (d *Directory) AddFirst(ctx context.Context, name, password string) (bool, error) {
	all, err := d.store.Users(ctx)
	if err != nil || len(all) > 0 {
		return false, err // without the time of a hash
	}
	err = d.add(ctx, "", name, Admin, password, true)
	if errors.Is(err, ErrTaken) { // another portal was faster
		return false, nil
	}
	return err == nil, err
}

func (d *Directory) add(ctx context.Context, by, name string, role Role, password string, first bool) error {
	if err := errors.Join(CheckName(name), checkRole(role)); err != nil {
		return err
	}
	if err := CheckPassword(name, password); err != nil {
		return err
	}
	hash, err := d.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	now := d.now().UnixMilli()
	return d.store.AddUser(ctx, Key(name), &User{Name: name, Role: role, Password: hash, CreatedAt: now, CreatedBy: by, ChangedAt: now, ChangedBy: by}, first)
}

// Known returns the name of the person whom a name means, empty if there is none, or it is not known.
func (d *Directory) Known(ctx context.Context, name string) string {
	u, err := d.store.User(ctx, Key(name))
	if err != nil {
		return ""
	}
	return u.Name
}

// Users returns all people, by name.
func (d *Directory) Users(ctx context.Context) ([]User, error) { return d.store.Users(ctx) }

// Change is a change of a person by an administrator; nil fields stay.
type Change struct {
	Role     *Role
	Disabled *bool
	Password *string
}

// String says in words what changes, without the password.
func (c *Change) String() string {
	var parts []string
	if c.Role != nil {
		parts = append(parts, "role "+string(*c.Role))
	}
	if c.Disabled != nil && *c.Disabled {
		parts = append(parts, "disabled")
	}
	if c.Disabled != nil && !*c.Disabled {
		parts = append(parts, "enabled")
	}
	if c.Password != nil {
		parts = append(parts, "password")
	}
	return strings.Join(parts, ", ")
}

// ChangeUser changes a person. Another role holds for their sessions, another password ends them. It fails with ErrInvalid, ErrUnknown or ErrLastAdmin.
func (d *Directory) ChangeUser(ctx context.Context, by, name string, c Change) error {
	if c.Role != nil {
		if err := checkRole(*c.Role); err != nil {
			return err
		}
	}
	hash := ""
	if c.Password != nil {
		if err := CheckPassword(name, *c.Password); err != nil {
			return err
		}
		var err error
		if hash, err = d.hasher.hash(ctx, *c.Password); err != nil {
			return err
		}
	}
	return d.change(ctx, by, name, "", func(u *User) {
		if c.Role != nil {
			u.Role = *c.Role
		}
		if c.Disabled != nil {
			u.Disabled = *c.Disabled
		}
		if hash != "" {
			u.Password = hash
		}
	})
}

// Tokens returns all tokens, the newest first.
func (d *Directory) Tokens(ctx context.Context) ([]Token, error) { return d.store.Tokens(ctx) }

// Times that a token may hold.
const (
	shortestToken = time.Minute
	longestToken  = 5 * 366 * 24 * time.Hour
)

// NewToken describes a token to be added.
type NewToken struct {
	Name   string
	Role   Role
	TTL    time.Duration
	ActsAs bool
}

// String says in words what the token may do, and for how long.
func (n *NewToken) String() string {
	text := string(n.Role) + " for " + config.Age(n.TTL).String()
	if n.ActsAs {
		text += ", may act for others"
	}
	return text
}

// AddToken adds a token and returns the credential, which is shown once. It fails with ErrInvalid.
func (d *Directory) AddToken(ctx context.Context, by string, n NewToken) (credential string, t Token, err error) {
	if err := errors.Join(CheckName(n.Name), checkRole(n.Role)); err != nil {
		return "", t, err
	}
	if n.TTL < shortestToken || n.TTL > longestToken {
		return "", t, errTTL
	}
	credential = tokenPrefix + newSecret()
	now := d.now()
	t = Token{ID: idOf(hashOf(credential)), Name: n.Name, Role: n.Role, ActsAs: n.ActsAs, CreatedAt: now.UnixMilli(), CreatedBy: by, ExpiresAt: now.Add(n.TTL).UnixMilli()}
	return credential, t, d.store.AddToken(ctx, hashOf(credential), &t)
}

// RevokeToken ends a token. It fails with ErrUnknown.
func (d *Directory) RevokeToken(ctx context.Context, by, id string) error {
	defer d.changed()
	return d.store.RevokeToken(ctx, id, by, d.now().UnixMilli())
}
