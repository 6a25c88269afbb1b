package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write openapi.comments.json from the Go sources")

// commented are the packages with types of answers.
var commented = []string{
	".", "../internal/series", "../internal/audit", "../internal/metadata", "../internal/lag", "../internal/operators", "../internal/pipeline", "../internal/report", "../internal/share", "../internal/store", "../../internal/securityaudit", "../../internal/telemetry", "../../internal/wire", "../../internal/rulechange", "../../internal/ops",
}

func TestCommentsInTheDocumentAreThoseOfTheSources(t *testing.T) {
	s, err := newSchemas()
	require.NoError(t, err)
	s.comments = map[string]string{}
	for _, dir := range commented {
		readComments(t, dir, s.comments)
	}
	needed := map[string]string{}
	s.document(endpoints()...)
	for _, typ := range s.named {
		keep := func(key string) {
			if text := s.comments[key]; text != "" {
				needed[key] = text
			}
		}
		keep(commentKey(typ, ""))
		for _, f := range jsonFields(typ) {
			keep(f.key())
		}
	}
	require.Greater(t, len(needed), 50)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(needed))
	if *update {
		require.NoError(t, os.WriteFile("openapi.comments.json", b.Bytes(), 0o600))
		return
	}
	require.Equal(t, b.String(), string(commentsFile), "run go test ./portal/web -run TestComments -update")
}

// readComments files the comments of the structs in a folder's sources.
func readComments(t *testing.T, dir string, into map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, fs.ErrNotExist)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := goparser.ParseFile(token.NewFileSet(), name, nil, goparser.ParseComments|goparser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				for _, spec := range g.Specs {
					readType(file.Name.Name, g, spec, into)
				}
			}
		}
	}
}

func readType(pkg string, g *ast.GenDecl, spec ast.Spec, into map[string]string) {
	s, ok := spec.(*ast.TypeSpec)
	if !ok {
		return
	}
	key := pkg + "." + s.Name.Name
	put := func(key string, groups ...*ast.CommentGroup) {
		var parts []string
		for _, c := range groups {
			if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
				parts = append(parts, text)
			}
		}
		into[key] = strings.Join(parts, " ")
	}
	put(key, g.Doc)
	if s.Doc != nil {
		put(key, s.Doc)
	}
	if v, ok := s.Type.(*ast.StructType); ok {
		for _, f := range v.Fields.List {
			for _, name := range f.Names {
				put(key+"."+name.Name, f.Doc, f.Comment)
			}
		}
	}
}
