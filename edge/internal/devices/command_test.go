package devices

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
)

// tool runs "edge device" on one file.
type tool struct {
	t    *testing.T
	file string
	csv  string
}

func newTool(t *testing.T) *tool {
	t.Helper()
	return &tool{t: t, file: File(t.TempDir(), "gw-a")}
}

func (x *tool) run(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	c := Command{File: x.file, Out: &o, Err: &e, Now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), In: func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(x.csv)), nil
	}}
	code = c.Run(args)
	return code, o.String(), e.String()
}

func (x *tool) ok(args ...string) string {
	x.t.Helper()
	code, out, errs := x.run(args...)
	require.Zero(x.t, code, errs)
	return out
}

func (x *tool) fails(code int, text string, args ...string) {
	x.t.Helper()
	got, _, errs := x.run(args...)
	require.Equal(x.t, code, got)
	require.Contains(x.t, errs, text)
}

func secretIn(out string) string { return regexp.MustCompile(`iotd_\S+`).FindString(out) }

func TestDeviceOnTheCommandLine(t *testing.T) {
	x := newTool(t)
	first := secretIn(x.ok("add", "d1"))
	require.NotEmpty(t, first)
	x.fails(1, "d1 has a credential already; rotate", "add", "d1")
	x.ok("add", "-publishes", "plc7_*, meter_1", "plc7")
	require.NoError(t, os.WriteFile(x.file, append([]byte("# A栋\n"), x.content()...), 0o600))

	s, err := Open(Options{File: x.file, Gateway: "gw-a", Mode: Required, Log: discard(), Registry: registry()})
	require.NoError(t, err)
	admit := func(id, secret string) (*Pass, error) {
		s.file.Reread()
		return s.Admit(Proof{ID: id, Secret: secret})
	}
	_, err = admit("d1", first)
	require.NoError(t, err)

	second := secretIn(x.ok("rotate", "d1"))
	for _, secret := range []string{first, second} {
		_, err = admit("d1", secret)
		require.NoError(t, err)
	}
	x.ok("rotate", "d1", "-end")
	_, err = admit("d1", first)
	require.ErrorIs(t, err, ErrWrong)
	x.fails(1, "one secret or certificate alone", "rotate", "-end", "d1")
	x.ok("revoke", "d1")
	_, err = admit("d1", second)
	require.ErrorIs(t, err, ErrRevoked)
	x.fails(1, "no credential in force", "rotate", "d1")
	list := x.ok("list")
	require.Regexp(t, `d1 +secret +- +2026-05-04 +here +revoked 2026-05-04`, list)
	require.Regexp(t, `plc7 +secret +plc7_\* meter_1 +2026-05-04 +here +in force`, list)
	_, err = admit("d1", secretIn(x.ok("add", "d1")))
	require.NoError(t, err, "added again")

	require.NotContains(t, string(x.content()), "iotd_", "secrets are not kept")
	require.True(t, strings.HasPrefix(string(x.content()), "# A栋\n"), "comments are")
	info, err := os.Stat(x.file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func (x *tool) content() []byte {
	data, err := os.ReadFile(x.file)
	require.NoError(x.t, err)
	return data
}

func TestKeysOnTheCommandLine(t *testing.T) {
	x := newTool(t)
	require.Contains(t, x.ok("add", "d1", "-kind", "nkey"), "nkey seed  SU")
	key := newKey(t)
	require.Contains(t, x.ok("add", "d2", "-key", key), "d2 may connect")
	_, set, err := read(x.file)
	require.NoError(t, err)
	require.Equal(t, "d2", set.byKey[key].ID)
	before := set.Of("d1").Public
	x.ok("rotate", "d1")
	_, set, err = read(x.file)
	require.NoError(t, err)
	require.NotEqual(t, before, set.Of("d1").Public)
}

func TestImportIsWholeOrNot(t *testing.T) {
	x := newTool(t)
	hash := imported("correct horse")
	x.csv = "id,argon2id,publishes\nd1,\"" + hash + "\",\nplc7,\"" + hash + "\",plc7_* meter_1\n"
	x.ok("import", "f.csv")
	x.ok("import", "f.csv") // again: the same
	_, set, err := read(x.file)
	require.NoError(t, err)
	require.Equal(t, []string{"d1", "plc7"}, set.IDs())
	require.Equal(t, []string{"plc7_*", "meter_1"}, set.Of("plc7").Publishes)
	before := x.content()
	for want, csv := range map[string]string{
		"the first line is":                            "d3;x\n",
		"line 3: not a credential: the password of d5": "id,argon2id\nd4,\"" + hash + "\"\nd5,plain\n",
		"line 3: d4 stands there twice":                "id,argon2id\nd4,\"" + hash + "\"\nd4,\"" + hash + "\"\n",
		"record on line 2: wrong number":               "id,argon2id\nd4\n",
	} {
		x.csv = csv
		x.fails(1, want, "import", "f.csv")
	}
	x.ok("add", "d6")
	x.csv = "id,argon2id\nd6,\"" + hash + "\"\n"
	x.fails(1, "d6 has a credential already of kind secret", "import", "f.csv")
	require.True(t, bytes.HasPrefix(x.content(), before))
}

func TestWrongUsage(t *testing.T) {
	x := newTool(t)
	for _, args := range [][]string{{}, {"fly"}, {"add"}, {"add", "a", "b"}, {"add", "-colour", "red", "a"}, {"list", "a"}, {"revoke"}, {"import"}} {
		x.fails(2, "usage: edge device add", args...)
	}
	x.fails(1, `id "../x"`, "add", "../x")
	x.fails(1, "want -kind secret, nkey or x509", "add", "d1", "-kind", "password")
	x.fails(1, "no public nkey", "add", "d1", "-key", "x")
}

// TestCertificateOnTheCommandLine pins the keys of a device's certificates.
func TestCertificateOnTheCommandLine(t *testing.T) {
	x := newTool(t)
	dir := filepath.Join(t.TempDir(), "ca")
	require.NoError(t, ca.Init(dir, []string{"x"}, time.Now()))
	issue := func(id string) string {
		out := filepath.Join(t.TempDir(), id)
		require.NoError(t, ca.IssueDevice(dir, out, id, time.Now()))
		data, err := os.ReadFile(out + ".pem")
		require.NoError(t, err)
		return string(data)
	}
	x.ok("revoke", "d1", "-kind", "x509")
	x.fails(1, "d1 was revoked: its certificates of before would hold again", "add", "d1", "-kind", "x509")
	x.csv = issue("d2")
	x.fails(1, `is the certificate of "d2", not of d1`, "add", "d1", "-cert", "d1.pem")
	x.csv = "nothing"
	x.fails(1, "want the device's certificate in PEM", "add", "d1", "-cert", "d1.pem")
	x.csv = issue("d1")
	require.Equal(t, "d1 may connect with its certificate.\n", x.ok("add", "d1", "-cert", "d1.pem"))
	x.fails(1, "d1 has one secret or certificate alone", "rotate", "d1", "-end")
	x.csv = issue("d1")
	require.Contains(t, x.ok("rotate", "d1", "-cert", "d1.pem"), "The one of before holds until: edge device rotate d1 -end")
	require.Regexp(t, `(?m)^d1 +x509 +- .*two hold, until rotate -end`, x.ok("list"))
	x.ok("rotate", "d1", "-end")
	x.ok("add", "d3", "-kind", "x509", "-publishes", "d3_*")
	x.fails(1, "d3: want -cert for a device that was added with -cert", "rotate", "d3")
	x.ok("add", "d4")
	x.fails(1, "d4: want -cert for a device that was added with -cert", "rotate", "d4", "-cert", "d1.pem")
	x.fails(2, "usage:", "revoke", "d4", "-kind", "secret")
}
