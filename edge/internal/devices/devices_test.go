package devices

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"industrial-iot-monitor/internal/credential"
)

func newKey(t *testing.T) string {
	t.Helper()
	_, public, err := credential.NewKey()
	require.NoError(t, err)
	return public
}

// imported returns the hash of a password as other products export it, weak, so that it is fast.
func imported(password string) string {
	salt := []byte("saltsalt")
	sum := argon2.IDKey([]byte(password), salt, 1, 64, 1, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=64,t=1,p=1$" + b64(salt) + "$" + b64(sum)
}

// secretOf is a credential with a secret.
func secretOf(id, secret string, more ...string) Credential {
	return Credential{ID: id, Kind: Secret, Hashes: [][]byte{credential.HashOf(secret)}, Publishes: more}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func registry() *prometheus.Registry { return prometheus.NewRegistry() }

func line(t *testing.T, c Credential) string {
	t.Helper()
	data, err := json.Marshal(c)
	require.NoError(t, err)
	return string(data) + "\n"
}

func TestBadFileNamesTheLine(t *testing.T) {
	good := line(t, secretOf("d1", "s"))
	key := newKey(t)
	for want, text := range map[string]string{
		"line 2: not a credential: ":                         good + "{",
		"line 1: not a credential: id \"../x\"":              `{"id":"../x","kind":"secret"}`,
		"line 1: not a credential: d1 has kind \"magic\"":    `{"id":"d1","kind":"magic"}`,
		"line 1: not a credential: d1 has 0 hashes":          `{"id":"d1","kind":"secret"}`,
		"a hash of d1 is none":                               `{"id":"d1","kind":"secret","hashes":["AA=="]}`,
		"the key of d1 is no public nkey":                    `{"id":"d1","kind":"nkey","public":"x"}`,
		"d1 publishes for \"a*b\"":                           line(t, secretOf("d1", "s", "a*b")),
		"the password of d1: want an argon2id hash":          `{"id":"d1","kind":"password","password":"$1$x"}`,
		"unknown field":                                      `{"id":"d1","kind":"secret","colour":"red"}`,
		"something follows it":                               strings.TrimSpace(good) + " {}",
		"line 2: d1 has a credential already":                good + good,
		"the key of d2: d1 has a credential already":         line(t, Credential{ID: "d1", Kind: Nkey, Public: key}) + line(t, Credential{ID: "d2", Kind: Nkey, Public: key}),
		"publishes for 65 patterns":                          line(t, secretOf("d1", "s", make([]string, 65)...)),
		"after 1 credentials: bufio.Scanner: token too long": good + strings.Repeat("x", maxLine+1),
		"with at most 262144 KiB, 10 passes and 16 threads":  `{"id":"d1","kind":"password","password":"$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA"}`,
		"d1 has the subject \"devices.d2.telemetry\"":        `{"id":"d1","kind":"nkey","public":"` + key + `","subjects":["devices.d2.telemetry"]}`,
		"d1 has the subject \">\"":                           `{"id":"d1","kind":"nkey","public":"` + key + `","subjects":[">"]}`,
		"d1 has the subject \"$SYS.x\"":                      `{"id":"d1","kind":"nkey","public":"` + key + `","subjects":["$SYS.x"]}`,
	} {
		_, err := Parse([]byte(text))
		require.ErrorContains(t, err, want)
	}
	set, err := Parse([]byte("# devices of A栋\n\n" + good))
	require.NoError(t, err)
	require.Equal(t, 1, set.Len())
}

func TestDevicePublishesUnderItsOwnName(t *testing.T) {
	plain := Credential{ID: "d1"}
	concentrator := Credential{ID: "plc7", Publishes: []string{"plc7_*", "meter_1"}}
	all := Credential{ID: "gateway", Publishes: []string{"*"}}
	for device, may := range map[string][3]bool{
		"d1": {true, false, true}, "d10": {false, false, true}, "plc7": {false, true, true}, "plc7_1": {false, true, true},
		"plc70": {false, false, true}, "meter_1": {false, true, true}, "meter_10": {false, false, true},
	} {
		got := [3]bool{plain.MayPublish(device), concentrator.MayPublish(device), all.MayPublish(device)}
		require.Equal(t, may, got, device)
	}
}

func open(t *testing.T, mode Mode, text string) (*Store, string) {
	t.Helper()
	path := File(t.TempDir(), "gw-a")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	s, err := Open(Options{File: path, Gateway: "gw-a", Mode: mode, Log: discard(), Registry: registry()})
	require.NoError(t, err)
	return s, path
}

// rewrite puts other content into the file and makes the store look at it.
func rewrite(t *testing.T, s *Store, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.o.File, []byte(text), 0o600))
	s.file.Reread()
}

func TestWhoIsLetIn(t *testing.T) {
	key, strange := newKey(t), newKey(t)
	secret, second := credential.NewSecret(), credential.NewSecret()
	text := line(t, Credential{ID: "d1", Kind: Secret, Hashes: [][]byte{credential.HashOf(secret), credential.HashOf(second)}}) +
		line(t, Credential{ID: "d2", Kind: Nkey, Public: key}) + line(t, Credential{ID: "d3", Kind: Password, Password: imported("correct horse")}) +
		line(t, Credential{ID: "d4", Kind: Secret, Hashes: [][]byte{credential.HashOf(secret)}, Revoked: 1})
	required, _ := open(t, Required, text)
	observe, _ := open(t, Observe, text)
	for name, tt := range map[string]struct {
		p   Proof
		id  string
		err error
	}{
		"a secret":                 {Proof{ID: "d1", Secret: secret}, "d1", nil},
		"the other one":            {Proof{ID: "d1", Secret: second}, "d1", nil},
		"a wrong one":              {Proof{ID: "d1", Secret: credential.NewSecret()}, "", ErrWrong},
		"none":                     {Proof{ID: "d1"}, "", ErrNothing},
		"that of another":          {Proof{ID: "d2", Secret: secret}, "", ErrWrong},
		"nobody":                   {Proof{}, "", ErrNothing},
		"unknown":                  {Proof{ID: "d9", Secret: secret}, "", ErrUnknown},
		"a key":                    {Proof{Key: key}, "d2", nil},
		"a key under its name":     {Proof{ID: "d2", Key: key}, "d2", nil},
		"a key under another name": {Proof{ID: "d1", Key: key}, "", ErrWrong},
		"a strange key":            {Proof{ID: "d2", Key: strange}, "", ErrUnknown},
		"a password":               {Proof{ID: "d3", Secret: "correct horse"}, "d3", nil},
		"a wrong password":         {Proof{ID: "d3", Secret: "horse"}, "", ErrWrong},
		"its hash":                 {Proof{ID: "d3", Secret: imported("correct horse")}, "", ErrWrong},
		"revoked":                  {Proof{ID: "d4", Secret: secret}, "", ErrRevoked},
		"revoked, wrong":           {Proof{ID: "d4", Secret: second}, "", ErrWrong},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // a password is remembered
				pass, err := required.Admit(tt.p)
				require.ErrorIs(t, err, tt.err)
				require.Equal(t, tt.err == nil, pass != nil)
				if pass != nil {
					require.Equal(t, tt.id, pass.Device())
				}
			}
			pass, err := observe.Admit(tt.p)
			if tt.err == ErrRevoked { //nolint:errorlint // of the table
				require.ErrorIs(t, err, ErrRevoked)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.err == nil, pass != nil, "let in, but not as the device")
		})
	}
	require.True(t, observe.Holds(nil))
	require.False(t, required.Holds(nil))
	require.InDelta(t, 4, testutil.ToFloat64(required.refused.WithLabelValues("nothing")), 0)
	require.InDelta(t, 2, testutil.ToFloat64(observe.unproved.WithLabelValues("nothing")), 0)
	require.InDelta(t, 1, testutil.ToFloat64(observe.refused.WithLabelValues("revoked")), 0)
}

// TestFileThatCannotBeUsedChangesNothing: half written, empty, gone or open to others, it never lets
// everybody in, nor locks everybody out.
func TestFileThatCannotBeUsedChangesNothing(t *testing.T) {
	secret := credential.NewSecret()
	good := line(t, secretOf("d1", secret))
	s, path := open(t, Required, good)
	known, strange := Proof{ID: "d1", Secret: secret}, Proof{ID: "d2", Secret: secret}
	pass, err := s.Admit(known)
	require.NoError(t, err)
	unharmed := func() {
		t.Helper()
		_, err := s.Admit(known)
		require.NoError(t, err)
		_, err = s.Admit(strange)
		require.ErrorIs(t, err, ErrUnknown)
		require.True(t, s.Holds(pass))
		require.Error(t, s.Ready())
	}
	for _, bad := range []string{good[:20], "{}", good + "x", ""} {
		rewrite(t, s, bad)
		unharmed()
	}
	require.ErrorContains(t, s.Ready(), "the file is empty")
	rewrite(t, s, good)
	require.NoError(t, s.Ready())
	require.NoError(t, os.Rename(path, path+".away"))
	s.file.Reread()
	unharmed()
	require.ErrorContains(t, s.Ready(), "it cannot be read")
	require.NoError(t, os.Rename(path+".away", path))
	s.file.Reread()
	require.NoError(t, s.Ready())
	require.NoError(t, os.Chmod(path, 0o644)) //nolint:gosec // that is the point
	rewrite(t, s, line(t, secretOf("d2", secret)))
	unharmed()
	require.ErrorContains(t, s.Ready(), "0644")
}

func TestChangeOfTheFileHoldsAtOnce(t *testing.T) {
	first, second := credential.NewSecret(), credential.NewSecret()
	s, _ := open(t, Required, line(t, secretOf("d1", first)))
	pass := func(secret string) *Pass {
		t.Helper()
		p, err := s.Admit(Proof{ID: "d1", Secret: secret})
		require.NoError(t, err)
		return p
	}
	old, changed := pass(first), s.Changed()
	both := Credential{ID: "d1", Kind: Secret, Hashes: [][]byte{credential.HashOf(first), credential.HashOf(second)}}
	rewrite(t, s, line(t, both))
	<-changed
	young := pass(second)
	require.True(t, s.Holds(old))
	rewrite(t, s, line(t, secretOf("d1", second)))
	require.False(t, s.Holds(old), "its secret ended")
	require.True(t, s.Holds(young))
	rewrite(t, s, line(t, secretOf("d1", second, "d2")))
	require.False(t, s.Holds(young), "it has other rights")
	young = pass(second)
	require.True(t, young.MayPublish("d2"))
	rewrite(t, s, line(t, Credential{ID: "d1", Kind: Secret, Hashes: [][]byte{credential.HashOf(second)}, Revoked: 1}))
	require.False(t, s.Holds(young))
}

func TestWhoMayPublishByNATS(t *testing.T) {
	text := line(t, secretOf("plc7", "s", "plc7_*")) +
		line(t, Credential{ID: "kitchen", Kind: Secret, Hashes: [][]byte{credential.HashOf("s")}, Subjects: []string{"shellies.kitchen.>"}}) +
		line(t, Credential{ID: "hall", Kind: Secret, Hashes: [][]byte{credential.HashOf("s")}, Publishes: []string{"hall_*"}, Subjects: []string{"modbus.hall.*"}})
	s, _ := open(t, Required, text)
	require.True(t, s.Concentrates("plc7", "plc7_1"))
	require.False(t, s.Concentrates("plc7", "plc8_1"))
	require.False(t, s.Concentrates("plc9", "plc7_1"))
	require.True(t, s.Maps("shellies.kitchen.status.0", "kitchen"))
	require.False(t, s.Maps("shellies.kitchen.status.0", "hall"))
	require.True(t, s.Maps("modbus.hall.1", "hall_1"))
	require.False(t, s.Maps("modbus.hall.1", "plc7_1"), "allowed to another, which has other subjects")
	observe, _ := open(t, Observe, text)
	require.True(t, observe.Concentrates("plc9", "plc7_1"))
	require.True(t, observe.Maps("x", "y"))
}

// TestOnlyAFewPasswordsAreCheckedAtOnce: each costs as much memory as its hash says.
func TestOnlyAFewPasswordsAreCheckedAtOnce(t *testing.T) {
	s, _ := open(t, Required, line(t, Credential{ID: "d1", Kind: Password, Password: imported("right")}))
	for range maxChecks {
		s.checks <- struct{}{}
	}
	_, err := s.Admit(Proof{ID: "d1", Secret: "right"})
	require.ErrorIs(t, err, ErrBusy)
	<-s.checks
	_, err = s.Admit(Proof{ID: "d1", Secret: "right"})
	require.NoError(t, err)
	s.checks <- struct{}{}
	_, err = s.Admit(Proof{ID: "d1", Secret: "right"})
	require.NoError(t, err, "it is remembered")
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"id":"d1","kind":"secret","hashes":["` + base64.StdEncoding.EncodeToString(credential.HashOf("s")) + `"],"publishes":["a*"]}`))
	f.Add([]byte(`{"id":"d1","kind":"password","password":"` + imported("x") + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Parse(data)
		if err != nil {
			return
		}
		for id, c := range set.byID {
			require.NoError(t, c.Check())
			require.Equal(t, id, c.ID)
		}
	})
}
