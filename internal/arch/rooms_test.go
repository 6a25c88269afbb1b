package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestArchitectureNamesEveryPackage compares the tables of ARCHITECTURE.md with the tree,
// both ways: a reader finds every package there, and nothing that has gone.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	require.NoError(t, err)
	var listed []string
	for line := range strings.Lines(string(b)) {
		if cell, _, found := strings.Cut(strings.TrimPrefix(line, "| "), " |"); found && strings.HasPrefix(line, "| `") {
			listed = append(listed, paths(cell)...)
		}
	}
	for _, p := range packages(t, "") {
		require.Contains(t, listed, p.path(), "ARCHITECTURE.md does not name this package")
	}
	for _, path := range listed {
		require.DirExists(t, filepath.Join(root, path), "ARCHITECTURE.md names a directory that does not exist")
	}
}

var (
	quoted = regexp.MustCompile("`([a-z0-9_/{},]+)`")
	braces = regexp.MustCompile(`^(.*)\{(.*)\}(.*)$`)
)

// paths returns the directories named in one cell; a/{b,c} stands for a/b and a/c.
func paths(cell string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		b := braces.FindStringSubmatch(m[1])
		if b == nil {
			out = append(out, m[1])
			continue
		}
		for part := range strings.SplitSeq(b[2], ",") {
			out = append(out, b[1]+part+b[3])
		}
	}
	return slices.Compact(out)
}
