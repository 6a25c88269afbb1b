package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplaceLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "key")
	for _, content := range []string{"a long first one", "second"} {
		require.NoError(t, Replace(name, []byte(content), 0o600))
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestFailureLeavesTheOldFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	require.NoError(t, Write(name, []byte("first"), 0o600))
	require.NoError(t, os.Mkdir(name+".new", 0o700))
	require.Error(t, Replace(name, []byte("second"), 0o600))
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "first", string(got))
}

func TestErrorsNameTheFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "such")
	for _, err := range []error{Write(missing, nil, 0o600), Replace(missing, nil, 0o600), Rename(missing, missing+"2"), Sync(missing)} {
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, missing)
	}
}
