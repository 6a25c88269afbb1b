package people_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/portal/internal/people"
	"industrial-iot-monitor/portal/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	waitTimeout = 180 * time.Second
	password    = "correct horse 电池"
	home        = "192.0.2.1"
)

// clock is set by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// database runs a store until the test ends, or stop is called.
func database(tb testing.TB) (s *store.Store, stop func()) {
	tb.Helper()
	s, err := store.New(store.Options{Path: filepath.Join(tb.TempDir(), "portal.db"), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(tb, err)
	stop = running(tb, s.Run)
	require.Eventually(tb, func() bool { return s.Up() == nil }, waitTimeout, time.Millisecond)
	return s, stop
}

// running runs something until the test ends, or stop is called.
func running(tb testing.TB, run func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it ends before what is below it
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(tb, <-done)
	})
	tb.Cleanup(stop)
	return stop
}

func directory(tb testing.TB, s people.Store, c *clock) *people.Directory {
	tb.Helper()
	d, err := people.New(people.Options{Store: s, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Now: c.Now, HashMemory: 64})
	require.NoError(tb, err)
	return d
}

// plant is a directory with an administrator Li and an operator Wang.
func plant(tb testing.TB) (d *people.Directory, s *store.Store, c *clock) {
	tb.Helper()
	s, _ = database(tb)
	c = &clock{at: time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)}
	d = directory(tb, s.People(), c)
	added, err := d.AddFirst(tb.Context(), "Li", password)
	require.NoError(tb, err)
	require.True(tb, added)
	require.NoError(tb, d.AddUser(tb.Context(), "Li", "Wang", people.Operator, password))
	return d, s, c
}

func signIn(tb testing.TB, d *people.Directory, name, place string) string {
	tb.Helper()
	credential, err := d.SignIn(tb.Context(), name, password, place)
	require.NoError(tb, err)
	return credential
}

func TestAHashTakesItsMemory(t *testing.T) {
	t.Parallel()
	s, _ := database(t)
	d, err := people.New(people.Options{Store: s.People(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	require.NoError(t, d.AddUser(t.Context(), "", "Li", people.Admin, password))
	u, err := s.People().User(t.Context(), people.Key("Li"))
	require.NoError(t, err)
	for _, hash := range []string{u.Password, d.Nobodys()} {
		require.True(t, strings.HasPrefix(hash, people.Cost), hash)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	d, s, _ := plant(t)
	added, err := d.AddFirst(t.Context(), "Zhang", password)
	require.NoError(t, err)
	require.False(t, added)
	credential := signIn(t, d, " wang ", home)
	for _, fresh := range []bool{false, true} {
		g, err := d.Check(t.Context(), credential, fresh)
		require.NoError(t, err)
		require.Equal(t, "Wang", g.Name)
		require.Equal(t, people.Operator, g.Role)
		require.Equal(t, people.ViaLocal, g.Via)
		require.NotContains(t, credential, g.ID)
	}
	another := signIn(t, d, "Wang", home)
	require.NotEqual(t, credential, another)
	all, err := s.People().Users(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, all[0].Password, all[1].Password, "salted")
}

func TestPasswordsCostToTry(t *testing.T) {
	t.Parallel()
	s, _ := database(t)
	d, err := people.New(people.Options{Store: s.People(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	added, err := d.AddFirst(t.Context(), "Li", password)
	require.NoError(t, err)
	require.True(t, added)
	u, err := s.People().User(t.Context(), "li")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(u.Password, people.Cost), u.Password)
	signIn(t, d, "Li", home)
}

// TestAnythingButTheCookieProvesNothing: one that was changed, cut, or has ended.
func TestAnythingButTheCookieProvesNothing(t *testing.T) {
	t.Parallel()
	d, _, _ := plant(t)
	credential := signIn(t, d, "Wang", home)
	wrong := []string{"", credential[1:], credential + "A", strings.ToLower(credential) + "x", "iotp_" + credential, strings.Repeat("x", 100_000), "\x00"}
	for i := range credential {
		changed := []byte(credential)
		changed[i] ^= 1
		wrong = append(wrong, string(changed))
	}
	for _, w := range wrong {
		_, err := d.Check(t.Context(), w, false)
		require.ErrorIs(t, err, people.ErrNotSignedIn, "%.100q", w)
	}
	require.NoError(t, d.SignOut(t.Context(), credential))
	_, err := d.Check(t.Context(), credential, false)
	require.ErrorIs(t, err, people.ErrNotSignedIn, "replayed after sign-out")
}

func TestSessionsEndByThemselves(t *testing.T) {
	t.Parallel()
	d, _, c := plant(t)
	running(t, d.Run)
	idle := signIn(t, d, "Wang", home)
	c.advance(people.LongestIdle - time.Second)
	_, err := d.Check(t.Context(), idle, false)
	require.NoError(t, err)
	c.advance(people.LongestIdle - time.Second) // since it was used
	_, err = d.Check(t.Context(), idle, false)
	require.NoError(t, err)
	c.advance(people.LongestIdle)
	_, err = d.Check(t.Context(), idle, false)
	require.ErrorIs(t, err, people.ErrNotSignedIn)

	busy := signIn(t, d, "Wang", home)
	for range people.LongestSession/(people.LongestIdle/2) - 1 {
		c.advance(people.LongestIdle / 2)
		_, err = d.Check(t.Context(), busy, false)
		require.NoError(t, err)
	}
	c.advance(people.LongestIdle / 2)
	_, err = d.Check(t.Context(), busy, false)
	require.ErrorIs(t, err, people.ErrNotSignedIn)
}

// TestAChangeHoldsOnTheOtherPortal: both portals remember the credential, one of them makes
// the change.
func TestAChangeHoldsOnTheOtherPortal(t *testing.T) {
	t.Parallel()
	here, s, c := plant(t)
	there := directory(t, s.People(), c)
	running(t, here.Run)
	running(t, there.Run)
	require.NoError(t, here.AddUser(t.Context(), "Li", "Zhang", people.Admin, password))
	viewer := people.Viewer
	disabled := true
	other := "another password"
	for name, change := range map[string]func() error{
		"disabled": func() error {
			return here.ChangeUser(t.Context(), "Li", "Wang", people.Change{Disabled: &disabled})
		},
		"signed out everywhere": func() error { return here.SignOutEverywhere(t.Context(), people.ViaLocal, "Wang") },
		"password": func() error {
			return here.ChangeUser(t.Context(), "Li", "Wang", people.Change{Password: &other})
		},
	} {
		enabled := false
		same := password
		require.NoError(t, here.ChangeUser(t.Context(), "Li", "Wang", people.Change{Disabled: &enabled, Password: &same}))
		credential := signIn(t, here, "Wang", home)
		bystander := signIn(t, here, "Zhang", home)
		for _, d := range []*people.Directory{here, there} {
			_, err := d.Check(t.Context(), credential, false)
			require.NoError(t, err, name)
		}
		connection := there.Watch(credential)
		another := there.Watch(bystander)
		require.False(t, connection.Ended())
		require.NoError(t, change(), name)
		_, err := here.Check(t.Context(), credential, false)
		require.ErrorIs(t, err, people.ErrNotSignedIn, "%s, on the portal that made the change, at once", name)
		_, err = there.Check(t.Context(), credential, true)
		require.ErrorIs(t, err, people.ErrNotSignedIn, "%s, for what changes something, at once", name)
		require.Eventually(t, func() bool {
			_, err := there.Check(t.Context(), credential, false)
			return errors.Is(err, people.ErrNotSignedIn) && connection.Ended()
		}, waitTimeout, time.Millisecond, name)
		require.False(t, another.Ended())
		connection.Close()
		another.Close()
	}
	credential := signIn(t, here, "Zhang", home)
	_, err := there.Check(t.Context(), credential, false)
	require.NoError(t, err)
	require.NoError(t, here.ChangeUser(t.Context(), "Li", "Zhang", people.Change{Role: &viewer}))
	require.Eventually(t, func() bool {
		g, err := there.Check(t.Context(), credential, false)
		return err == nil && g.Role == people.Viewer
	}, waitTimeout, time.Millisecond, "another role holds in the same session")
}

// TestNothingIsRememberedWithoutTheDatabase: a portal that cannot know of a change lets nobody in.
func TestNothingIsRememberedWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s, stop := database(t)
	c := &clock{at: time.Now()}
	d := directory(t, s.People(), c)
	running(t, d.Run)
	_, err := d.AddFirst(t.Context(), "Li", password)
	require.NoError(t, err)
	credential := signIn(t, d, "Li", home)
	w := d.Watch(credential)
	defer w.Close()
	stop()
	require.Eventually(t, func() bool {
		_, err := d.Check(t.Context(), credential, false)
		return errors.Is(err, store.ErrUnavailable)
	}, waitTimeout, time.Millisecond)
	require.False(t, w.Ended(), "screens stay")
	_, err = d.SignIn(t.Context(), "Li", password, home)
	require.ErrorIs(t, err, store.ErrUnavailable)
}

// TestWrongPasswordsOfManyAddresses: a name is tried from everywhere.
func TestWrongPasswordsOfManyAddresses(t *testing.T) {
	t.Parallel()
	d, _, c := plant(t)
	signIn(t, d, "Wang", home)
	before := d.Done()
	var delayed *people.DelayedError
	for i := range 1000 {
		_, err := d.SignIn(t.Context(), "wang", "wrong password", fmt.Sprintf("198.51.%d.%d", i/250, i%250))
		if i < people.FreeTries {
			require.ErrorIs(t, err, people.ErrWrong)
			continue
		}
		require.ErrorAs(t, err, &delayed)
	}
	require.EqualValues(t, people.FreeTries, d.Done()-before, "what is delayed costs no hash")
	longest := time.Duration(0)
	for range 8 {
		_, err := d.SignIn(t.Context(), "Wang", "wrong password", "203.0.113.5")
		require.ErrorAs(t, err, &delayed)
		require.Greater(t, delayed.Wait, longest/2)
		longest = max(longest, delayed.Wait)
		c.advance(delayed.Wait)
		_, err = d.SignIn(t.Context(), "Wang", "wrong password", fmt.Sprint("203.0.113.", 10+longest/time.Second))
		require.ErrorIs(t, err, people.ErrWrong)
	}
	require.Equal(t, people.LongestDelay, longest, "it doubles, up to a limit")
	_, err := d.SignIn(t.Context(), "Wang", password, "203.0.113.99")
	require.ErrorAs(t, err, &delayed)
	signIn(t, d, "Wang", home) // from where they were before it works all the time
	_, err = d.SignIn(t.Context(), "Wang", "wrong password", "198.51.100.1")
	require.ErrorIs(t, err, people.ErrWrong, "counted from the start")
}

// TestManyNamesFromOneAddress delays that address alone.
func TestManyNamesFromOneAddress(t *testing.T) {
	t.Parallel()
	d, _, c := plant(t)
	var delayed *people.DelayedError
	before := d.Done()
	for i := range 1000 {
		_, err := d.SignIn(t.Context(), fmt.Sprint("name", i), "wrong password", "198.51.100.1")
		require.Equal(t, i >= people.FreeTries, errors.As(err, &delayed), "%d: %v", i, err)
	}
	require.EqualValues(t, people.FreeTries, d.Done()-before)
	signIn(t, d, "Wang", home) // another address
	c.advance(delayed.Wait)
	signIn(t, d, "Wang", "198.51.100.1")
	c.advance(delayed.Wait)
	_, err := d.SignIn(t.Context(), "Li", "wrong password", "198.51.100.1")
	require.ErrorIs(t, err, people.ErrWrong)
	_, err = d.SignIn(t.Context(), "Li", password, "198.51.100.1")
	require.ErrorAs(t, err, &delayed, "one right password is no way to try others")
}

func TestManyAtOnceComputeTwoHashes(t *testing.T) {
	t.Parallel()
	d, _, _ := plant(t)
	before := d.Done()
	errs := make(chan error, 80)
	for i := range cap(errs) {
		go func() {
			_, err := d.SignIn(t.Context(), fmt.Sprint("name", i), "wrong password", fmt.Sprint("198.51.100.", i))
			errs <- err
		}()
	}
	wrong := int64(0)
	for range cap(errs) {
		err := <-errs
		if errors.Is(err, people.ErrWrong) {
			wrong++
			continue
		}
		require.ErrorIs(t, err, people.ErrBusy)
	}
	require.Equal(t, wrong, d.Done()-before)
	require.LessOrEqual(t, d.MostAtOnce(), int64(people.MostHashes))
	var delayed *people.DelayedError
	for range 10 { // at once, but one after the other would be delayed
		go func() {
			_, err := d.SignIn(t.Context(), "Wang", "wrong password", home)
			errs <- err
		}()
	}
	late := 0
	for range 10 {
		if err := <-errs; errors.As(err, &delayed) {
			late++
		}
	}
	require.Equal(t, 10-people.FreeTries, late, "each counts from its start")
}

// TestUnknownNameCostsWhatAWrongPasswordCosts: the time is that of the hash.
func TestUnknownNameCostsWhatAWrongPasswordCosts(t *testing.T) {
	t.Parallel()
	d, _, _ := plant(t)
	disabled := true
	require.NoError(t, d.AddUser(t.Context(), "Li", "Gone", people.Operator, password))
	require.NoError(t, d.ChangeUser(t.Context(), "Li", "Gone", people.Change{Disabled: &disabled}))
	for i, try := range [][2]string{{"Wang", "wrong password"}, {"nobody", password}, {"Gone", password}, {"", ""}, {"\x00", "x"}} {
		before := d.Done()
		_, err := d.SignIn(t.Context(), try[0], try[1], fmt.Sprint("198.51.100.", i))
		require.Equal(t, people.ErrWrong, err, try[0])
		require.EqualValues(t, 1, d.Done()-before, try[0])
	}
}

func TestOwnPassword(t *testing.T) {
	t.Parallel()
	d, _, _ := plant(t)
	here, there := signIn(t, d, "Wang", home), signIn(t, d, "Wang", home)
	set := func(old, to string) error {
		return d.SetOwnPassword(t.Context(), here, "Wang", old, to, home)
	}
	require.ErrorIs(t, set("wrong password", "quite another one"), people.ErrWrong)
	for _, bad := range []string{"", "short", "xxxxxxxxxxxxxxx", "it is wang himself", strings.Repeat("ab", 200)} {
		require.ErrorIs(t, set(password, bad), people.ErrInvalid, bad)
	}
	require.NoError(t, set(password, "quite another one"))
	_, err := d.Check(t.Context(), here, false)
	require.NoError(t, err)
	_, err = d.Check(t.Context(), there, false)
	require.ErrorIs(t, err, people.ErrNotSignedIn, "elsewhere another person may be signed in")
	_, err = d.SignIn(t.Context(), "Wang", password, home)
	require.ErrorIs(t, err, people.ErrWrong)
	_, err = d.SignIn(t.Context(), "Wang", "quite another one", home)
	require.NoError(t, err)
}

// TestTokens has bad, expired, revoked and unknown ones.
func TestTokens(t *testing.T) {
	t.Parallel()
	d, _, c := plant(t)
	for _, bad := range []struct {
		name string
		role people.Role
		ttl  time.Duration
	}{{"", people.Viewer, time.Hour}, {"ci", "root", time.Hour}, {"ci", "", time.Hour}, {"ci", people.Viewer, 0}, {"ci", people.Viewer, 10 * 366 * 24 * time.Hour}, {"a\nb", people.Viewer, time.Hour}} {
		_, _, err := d.AddToken(t.Context(), "Li", people.NewToken{Name: bad.name, Role: bad.role, TTL: bad.ttl})
		require.ErrorIs(t, err, people.ErrInvalid, "%+v", bad)
	}
	credential, token, err := d.AddToken(t.Context(), "Li", people.NewToken{Name: "ci", Role: people.Viewer, TTL: 48 * time.Hour, ActsAs: true})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(credential, "iotp_"))
	c.advance(47 * time.Hour) // it is never idle
	g, err := d.Check(t.Context(), credential, false)
	require.NoError(t, err)
	require.Equal(t, people.Grant{Name: "ci", Role: people.Viewer, Via: people.ViaToken, ID: token.ID, ActsAs: true, EndsAt: token.ExpiresAt}, g)
	c.advance(time.Hour)
	_, err = d.Check(t.Context(), credential, false)
	require.ErrorIs(t, err, people.ErrNotSignedIn, "expired")
	credential, token, err = d.AddToken(t.Context(), "Li", people.NewToken{Name: "ci", Role: people.Viewer, TTL: time.Hour})
	require.NoError(t, err)
	_, err = d.Check(t.Context(), credential, false)
	require.NoError(t, err)
	require.NoError(t, d.RevokeToken(t.Context(), "Li", token.ID))
	_, err = d.Check(t.Context(), credential, false)
	require.ErrorIs(t, err, people.ErrNotSignedIn, "revoked")
	_, err = d.Check(t.Context(), "iotp_unknown", false)
	require.ErrorIs(t, err, people.ErrNotSignedIn)
}

func TestUsersAreChecked(t *testing.T) {
	t.Parallel()
	d, _, _ := plant(t)
	for _, bad := range []struct {
		name     string
		role     people.Role
		password string
		err      error
	}{
		{"", people.Viewer, password, people.ErrInvalid},
		{" a", people.Viewer, password, people.ErrInvalid},
		{"a\x00", people.Viewer, password, people.ErrInvalid},
		{"<b>", people.Viewer, password, people.ErrInvalid},
		{strings.Repeat("a", 129), people.Viewer, password, people.ErrInvalid},
		{"a", "boss", password, people.ErrInvalid},
		{"a", people.Viewer, "short", people.ErrInvalid},
		{"WANG", people.Viewer, password, people.ErrTaken},
	} {
		require.ErrorIs(t, d.AddUser(t.Context(), "Li", bad.name, bad.role, bad.password), bad.err, "%+v", bad)
	}
	require.NoError(t, d.AddUser(t.Context(), "Li", "王工 (夜班)"[:6], people.Viewer, password))
	viewer, disabled := people.Viewer, true
	require.ErrorIs(t, d.ChangeUser(t.Context(), "Li", "Li", people.Change{Role: &viewer}), people.ErrLastAdmin)
	require.ErrorIs(t, d.ChangeUser(t.Context(), "Li", "Li", people.Change{Disabled: &disabled}), people.ErrLastAdmin)
	require.ErrorIs(t, d.ChangeUser(t.Context(), "Li", "nobody", people.Change{Disabled: &disabled}), people.ErrUnknown)
}

func TestProviderVouchesForPeople(t *testing.T) {
	t.Parallel()
	d, _, _ := plant(t)
	_, err := d.Begin(t.Context(), "WANG", people.Admin, home)
	require.ErrorIs(t, err, people.ErrTaken, "the name of another person")
	_, err = d.Begin(t.Context(), "zhao@example.com", "root", home)
	require.ErrorIs(t, err, people.ErrInvalid)
	_, err = d.Begin(t.Context(), "token:ci", people.Viewer, home)
	require.ErrorIs(t, err, people.ErrInvalid)
	credential, err := d.Begin(t.Context(), "zhao@example.com", people.Engineer, home)
	require.NoError(t, err)
	g, err := d.Check(t.Context(), credential, false)
	require.NoError(t, err)
	require.Equal(t, people.Grant{Name: "zhao@example.com", Role: people.Engineer, Via: people.ViaOIDC, ID: g.ID, UsedAt: g.UsedAt, EndsAt: g.EndsAt, Idle: people.LongestIdle.Milliseconds()}, g)
	require.NoError(t, d.SignOutEverywhere(t.Context(), people.ViaOIDC, "zhao@example.com"))
	_, err = d.Check(t.Context(), credential, false)
	require.ErrorIs(t, err, people.ErrNotSignedIn)
}
