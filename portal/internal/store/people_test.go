package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/people"
)

// person returns a user as package people would add it.
func person(name string, role people.Role) *people.User {
	return &people.User{Name: name, Role: role, Password: "hash of " + name, CreatedAt: 1, CreatedBy: "admin", ChangedAt: 1, ChangedBy: "admin"}
}

func changeTo(role people.Role) func(*people.User) error {
	return func(u *people.User) error { u.Role = role; return nil }
}

func disable(u *people.User) error { u.Disabled = true; return nil }

func peopleAreKept(t *testing.T, o Options) {
	t.Helper()
	s, stop := open(t, o)
	p := s.People()
	ctx := t.Context()
	require.NoError(t, p.AddUser(ctx, "li", person("Li", people.Admin), true))
	require.ErrorIs(t, p.AddUser(ctx, "wang", person("Wang", people.Admin), true), people.ErrTaken, "only the first one")
	require.ErrorIs(t, p.AddUser(ctx, "li", person("LI", people.Viewer), false), people.ErrTaken)
	require.NoError(t, p.AddUser(ctx, "王工", person("王工", people.Operator), false))
	before, err := p.Version(ctx)
	require.NoError(t, err)
	require.NoError(t, p.ChangeUser(ctx, "王工", "", changeTo(people.Engineer)))
	after, err := p.Version(ctx)
	require.NoError(t, err)
	require.Greater(t, after, before)
	require.ErrorIs(t, p.ChangeUser(ctx, "nobody", "", changeTo(people.Admin)), people.ErrUnknown)
	for _, change := range []func(*people.User) error{changeTo(people.Viewer), disable} {
		require.ErrorIs(t, p.ChangeUser(ctx, "li", "", change), people.ErrLastAdmin)
	}
	odd := errors.New("odd")
	require.ErrorIs(t, p.ChangeUser(ctx, "li", "", func(*people.User) error { return fmt.Errorf("%w: %w", people.ErrInvalid, odd) }), odd)
	stop()

	s, _ = open(t, o) // again
	p = s.People()
	all, err := p.Users(ctx)
	require.NoError(t, err)
	want := []people.User{*person("Li", people.Admin), *person("王工", people.Engineer)}
	require.Equal(t, want, all)
	one, err := p.User(ctx, "王工")
	require.NoError(t, err)
	require.Equal(t, want[1], one)
	for _, key := range []string{"nobody", "", "\x00", "' or 1=1 --"} {
		_, err = p.User(ctx, key)
		require.ErrorIs(t, err, people.ErrUnknown, "%q", key)
	}
}

func sessionsEnd(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	p := s.People()
	ctx := t.Context()
	require.NoError(t, p.AddUser(ctx, "li", person("Li", people.Admin), true))
	require.NoError(t, p.AddUser(ctx, "wang", person("Wang", people.Operator), false))
	add := func(key, hash, via string, at int64) {
		t.Helper()
		require.NoError(t, p.AddSession(ctx, key, hash, &people.Session{Name: key, Role: people.Viewer, Via: via, Place: "192.0.2.1", CreatedAt: at, UsedAt: at, EndsAt: at + 1000}))
	}
	grant := func(hash string) people.Grant {
		t.Helper()
		g, err := p.Grant(ctx, people.KindSession, hash)
		if !errors.Is(err, people.ErrUnknown) {
			require.NoError(t, err)
		}
		return g
	}
	add("wang", "w1", people.ViaLocal, 10)
	add("wang", "w2", people.ViaLocal, 11)
	add("wang", "o1", people.ViaOIDC, 11) // another Wang: the provider's
	require.Equal(t, people.Grant{Name: "Wang", Role: people.Operator, Via: people.ViaLocal, UsedAt: 10, EndsAt: 1010}, grant("w1"))
	require.Equal(t, people.Grant{Name: "wang", Role: people.Viewer, Via: people.ViaOIDC, UsedAt: 11, EndsAt: 1011}, grant("o1"))
	require.NoError(t, p.Touch(ctx, []people.Use{{Kind: people.KindSession, Hash: "w1", At: 50}, {Kind: people.KindSession, Hash: "w2", At: 5}, {Kind: people.KindSession, Hash: "no", At: 5}}))
	require.EqualValues(t, 50, grant("w1").UsedAt)
	require.EqualValues(t, 11, grant("w2").UsedAt)

	require.NoError(t, p.ChangeUser(ctx, "wang", "", changeTo(people.Engineer)))
	require.Equal(t, people.Engineer, grant("w1").Role, "another role holds at once")
	require.NoError(t, p.ChangeUser(ctx, "wang", "w2", func(u *people.User) error { u.Password = "new"; return nil }))
	require.Empty(t, grant("w1"))
	require.Equal(t, "Wang", grant("w2").Name, "the session in which it was changed stays")
	require.NoError(t, p.ChangeUser(ctx, "wang", "", disable))
	require.Empty(t, grant("w2"))
	add("wang", "w3", people.ViaLocal, 20)
	require.Empty(t, grant("w3"), "one that began at the same moment")
	require.Equal(t, "wang", grant("o1").Name)

	add("li", "l1", people.ViaLocal, 20)
	add("li", "l2", people.ViaLocal, 21)
	require.NoError(t, p.EndSessions(ctx, "", "l1"))
	require.Empty(t, grant("l1"))
	require.NotEmpty(t, grant("l2"))
	require.NoError(t, p.EndSessions(ctx, "li", ""))
	require.Empty(t, grant("l2"))
	add("li", "gone", people.ViaLocal, 22)
	add("li", "l3", people.ViaLocal, 22+1000)
	require.Empty(t, grant("gone"), "what is over is deleted")
	before, err := p.Version(ctx)
	require.NoError(t, err)
	for i := range int64(mostSessions) {
		add("li", fmt.Sprint("m", i), people.ViaLocal, 1030+i)
	}
	require.Empty(t, grant("l3"), "the oldest one of too many")
	require.NotEmpty(t, grant("m0"))
	after, err := p.Version(ctx)
	require.NoError(t, err)
	require.Equal(t, before+1, after)
}

func placesAreKnown(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	p := s.People()
	ctx := t.Context()
	require.NoError(t, p.AddUser(ctx, "li", person("Li", people.Admin), true))
	for i := range int64(mostPlaces + 1) {
		require.NoError(t, p.AddSession(ctx, "li", fmt.Sprint(i), &people.Session{Name: "Li", Via: people.ViaLocal, Place: fmt.Sprint("192.0.2.", i), CreatedAt: 10 + i, EndsAt: 1000}))
	}
	for place, want := range map[string]bool{"192.0.2.0": false, "192.0.2.1": true, "192.0.2.8": true, "192.0.2.9": false} {
		known, err := p.KnownPlace(ctx, "li", place)
		require.NoError(t, err)
		require.Equal(t, want, known, place)
		known, err = p.KnownPlace(ctx, "wang", place)
		require.NoError(t, err)
		require.False(t, known)
	}
	u, err := p.User(ctx, "li")
	require.NoError(t, err)
	require.EqualValues(t, 10+mostPlaces, u.SignedInAt)
}

func tokensEnd(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	p := s.People()
	ctx := t.Context()
	first := people.Token{ID: "a", Name: "ci", Role: people.Viewer, CreatedAt: 1, CreatedBy: "Li", ExpiresAt: 100}
	second := people.Token{ID: "b", Name: "ci", Role: people.Operator, ActsAs: true, CreatedAt: 2, CreatedBy: "Li", ExpiresAt: 100}
	require.NoError(t, p.AddToken(ctx, "hash a", &first))
	require.NoError(t, p.AddToken(ctx, "hash b", &second))
	g, err := p.Grant(ctx, people.KindToken, "hash a")
	require.NoError(t, err)
	require.Equal(t, people.Grant{Name: "ci", Role: people.Viewer, Via: people.ViaToken, EndsAt: 100}, g)
	g, err = p.Grant(ctx, people.KindToken, "hash b")
	require.NoError(t, err)
	require.True(t, g.ActsAs)
	_, err = p.Grant(ctx, people.KindSession, "hash a")
	require.ErrorIs(t, err, people.ErrUnknown, "a token is no session")
	require.ErrorIs(t, p.RevokeToken(ctx, "c", "Li", 5), people.ErrUnknown)
	require.NoError(t, p.RevokeToken(ctx, "a", "Li", 5))
	require.NoError(t, p.RevokeToken(ctx, "a", "Wang", 6), "twice is once")
	_, err = p.Grant(ctx, people.KindToken, "hash a")
	require.ErrorIs(t, err, people.ErrUnknown)
	require.NoError(t, p.Touch(ctx, []people.Use{{Kind: people.KindToken, Hash: "hash b", At: 50}}))
	first.RevokedAt, first.RevokedBy, second.UsedAt = 5, "Li", 50
	all, err := p.Tokens(ctx)
	require.NoError(t, err)
	require.Equal(t, []people.Token{second, first}, all)
}
