package arch_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTriedAttemptsHaveTheirTests looks for the tests that docs/security-tests.md names.
func TestTriedAttemptsHaveTheirTests(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs", "security-tests.md"))
	require.NoError(t, err)
	there := allTests(t)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(doc), -1)
	require.Greater(t, len(named), 60)
	for _, m := range named {
		require.Contains(t, there, m[1], "docs/security-tests.md names a test that there is not")
	}
}

// allTests returns the names of all tests.
func allTests(t *testing.T) (names []string) {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "data"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		code, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(code, -1) {
			names = append(names, string(m[1]))
		}
		return err
	}))
	return names
}

// TestActionsStandByTheirHash keeps what CI runs from being replaced under its name.
func TestActionsStandByTheirHash(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses:\s*(.*)$`).FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, uses, file)
		for _, m := range uses {
			require.Regexp(t, pinned, m[1], file)
		}
	}
}
