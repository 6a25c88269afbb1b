package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type withSecret struct {
	Token Secret `env:"CFGTEST_TOKEN" help:"a token"`
}

func TestSecretPrintsNowhere(t *testing.T) {
	c := withSecret{Token: "s3cret"}
	b, err := json.Marshal(c)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("started", "token", c.Token, "config", c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("started", "token", c.Token, "config", c)
	text := string(b) + log.String() + fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, c, c.Token, c.Token, c.Token, c.Token) + fmt.Sprint(&c, c.Token)
	require.NotContains(t, text, "s3cret")
	require.NotContains(t, text, "733363726574", "in hexadecimal")
	require.Contains(t, text, `"Token":"***"`)
	require.Equal(t, "s3cret", string(c.Token))
	require.Empty(t, Secret("").String(), "none is not hidden")
}

func TestSecretIsReadFromItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]Secret{"s3cret": "s3cret", "s3cret\n": "s3cret", "s3cret\r\n": "s3cret", " two words \n\n": " two words \n"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		var c withSecret
		require.NoError(t, parse(&c, map[string]string{"CFGTEST_TOKEN_FILE": file}))
		require.Equal(t, want, c.Token)
	}
	var c withSecret
	require.ErrorContains(t, parse(&c, map[string]string{"CFGTEST_TOKEN": "s3cret", "CFGTEST_TOKEN_FILE": file}), "CFGTEST_TOKEN and CFGTEST_TOKEN_FILE are both set")
	require.ErrorContains(t, parse(&c, map[string]string{"CFGTEST_TOKEN_FILE": file + "x"}), "CFGTEST_TOKEN_FILE: open")
	require.NoError(t, os.WriteFile(file, []byte("\n"), 0o600))
	require.ErrorContains(t, parse(&c, map[string]string{"CFGTEST_TOKEN_FILE": file}), "is empty")
	require.Equal(t, []string{"CFGTEST_TOKEN", "CFGTEST_TOKEN_FILE"}, []string{Describe(c)[0].Name, Describe(c)[1].Name})
}
