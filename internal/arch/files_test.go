package arch_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	mainLines = 60
	fileLines = 500
)

// TestEveryPackageSaysWhatItIsFor enforces package comments, the first thing go doc shows.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t, "") {
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + filepath.Base(p.Dir) + " "
		}
		require.True(t, strings.HasPrefix(p.Doc, want), "%s: the package comment starts %q, want %q", p.path(), p.Doc, want+"…")
	}
}

// TestFilesAreShort counts every Go file, whatever its build tags.
func TestFilesAreShort(t *testing.T) {
	files := goFiles(t)
	mains := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		lines := bytes.Count(b, []byte("\n"))
		if filepath.Base(file) == "main.go" && !judges(relative(t, abs(t, file))) {
			mains++
			require.LessOrEqual(t, lines, mainLines, "%s: main starts things, the app package does them", file)
		}
		require.LessOrEqual(t, lines, fileLines, "%s: one concept a file", file)
	}
	require.GreaterOrEqual(t, mains, len(programs), "main.go of each program")
}

func goFiles(t *testing.T) []string {
	t.Helper()
	skip := []string{".git", "node_modules", "bin", "data", "dist"}
	var files []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(skip, d.Name()) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			files = append(files, path)
		}
		return nil
	}))
	require.Greater(t, len(files), 50, "the tree is here")
	return files
}

func abs(t *testing.T, file string) string {
	t.Helper()
	a, err := filepath.Abs(file)
	require.NoError(t, err)
	return a
}

// judges reports whether a path belongs to the packages that load or test the product.
func judges(path string) bool { return within(path, "loadtest") || within(path, "test") }
