package doctor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCertificatesAndKeysOfADirectory(t *testing.T) {
	today := time.Now()
	good, old, early := authority(t, "h", today), authority(t, "h", today.AddDate(-2, 0, 0)), authority(t, "h", today.AddDate(1, 0, 0))
	of := func(cert, key string) Options {
		return Options{Now: today, DataDir: good, Certificates: []File{{"EDGE_TLS_CERT_FILE", filepath.Join(cert, "hub.pem")}}, Key: File{"EDGE_TLS_KEY_FILE", filepath.Join(key, "hub.key")}}
	}
	for name, tt := range map[string]struct {
		o    Options
		want [2]Verdict
		says string
	}{
		"good":      {of(good, good), [2]Verdict{OK, OK}, "days left"},
		"expired":   {of(old, old), [2]Verdict{Fail, OK}, "expired on"},
		"not yet":   {of(early, early), [2]Verdict{Fail, OK}, "clock"},
		"other key": {of(good, old), [2]Verdict{OK, Fail}, ""},
		"no file":   {of("/none", good), [2]Verdict{Fail, Fail}, "/none/hub.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			got := examineFiles(tt.o)
			require.Len(t, got, 2)
			require.Equal(t, tt.want, [2]Verdict{got[0].Verdict, got[1].Verdict}, "%+v", got)
			require.Contains(t, got[0].Value+got[0].Advice, tt.says)
		})
	}
}

func TestSecretsAreReadByTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	o := Options{DataDir: dir, Secrets: []File{{"key", filepath.Join(dir, "gateway.nk")}, {"credentials", filepath.Join(dir, "none")}}}
	require.Empty(t, examineFiles(o), "files that are not there need no rights")
	require.NoError(t, os.WriteFile(o.Secrets[0].Name, []byte("x"), 0o600))
	got := examineFiles(o)
	require.Len(t, got, 1)
	require.Equal(t, OK, got[0].Verdict, "%+v", got)
	require.NoError(t, os.Chmod(o.Secrets[0].Name, 0o644)) //nolint:gosec // that is the fault
	require.Equal(t, Fail, examineFiles(o)[0].Verdict)
}

func TestAFileWithoutACertificateIsNone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.pem")
	for _, content := range []string{"", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		_, err := certificates(name)
		require.ErrorContains(t, err, name)
	}
}
