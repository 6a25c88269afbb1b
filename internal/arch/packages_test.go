package arch_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "industrial-iot-monitor"
	root   = "../.."
)

// pkg describes one of our packages as reported by go list.
type pkg struct {
	ImportPath, Dir, Name, Doc         string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
	Deps                               []string // everything Imports pull in
}

// path is the import path below the module, for example "edge/gateway".
func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// allImports are the direct imports of the code and its tests.
func (p pkg) allImports() []string { return slices.Concat(p.Imports, p.TestImports, p.XTestImports) }

var list = sync.OnceValues(func() ([]pkg, error) {
	const fields = "-json=ImportPath,Dir,Name,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports,Deps"
	cmd := exec.Command("go", "list", fields, "-tags=e2e", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
})

// packages returns our packages whose path below the module has one of the prefixes;
// it fails if there are none, since the test would then check nothing.
func packages(t *testing.T, prefixes ...string) []pkg {
	t.Helper()
	all, err := list()
	require.NoError(t, err, "go list")
	var out []pkg
	for _, p := range all {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return prefix == "" || within(p.path(), prefix) }) {
			out = append(out, p)
		}
	}
	require.NotEmpty(t, out, "no package below %v: update this test if it moved", prefixes)
	return out
}

// within reports whether an import path is the package named or is below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

// ours turns a path below the module into an import path; others stay as they are.
func ours(path string) string {
	first, _, _ := strings.Cut(path, "/")
	if slices.Contains([]string{"edge", "bridge", "core", "portal", "sim", "deploy", "loadtest", "test", "internal"}, first) {
		return module + "/" + path
	}
	return path
}

// standard reports whether an import path is of the standard library: its first part
// has no dot, and it is not ours.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != module
}

// relative shortens a file's path for messages.
func relative(t *testing.T, file string) string {
	t.Helper()
	base, err := filepath.Abs(root)
	require.NoError(t, err)
	short, err := filepath.Rel(base, file)
	require.NoError(t, err)
	return short
}
