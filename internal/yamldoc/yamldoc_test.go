package yamldoc

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/stretchr/testify/require"
)

// load reads a list of things with one field of each type.
func load(text string) (list []string, err error) {
	f := Format{MaxBytes: 1000, List: "things", MaxItems: 2, Others: []string{"title"}}
	err = f.Load([]byte(text), func(p *Reader, top *Map, items []ast.Node) {
		p.Text(top, "title", false, "a title")
		for _, n := range items {
			m, ok := p.Map(n, "things[0]")
			if !ok {
				continue
			}
			p.Only(m, "word", "size", "wait", "on", "tags", "kind")
			list = append(list, p.Text(m, "word", true, "a word"), p.Choice(m, "kind", "a", "a", "b"))
			list = append(list, Many(p, m, "tags", Word, "a tag")...)
			size, wait, on := p.Number(m, "size", false), p.Duration(m, "wait", false), p.Boolean(m, "on")
			if size == 2.5 && wait == time.Minute && on {
				list = append(list, "all")
			}
		}
	})
	return list, err
}

func TestLoad(t *testing.T) {
	got, err := load("version: 1\ntitle: x\nthings:\n  - {word: w, size: 2.5, wait: 1m, on: true, tags: [t, u], kind: b}\n")
	require.NoError(t, err)
	require.Equal(t, []string{"w", "b", "t", "u", "all"}, got)
}

func TestProblemsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"things: [":                "line 1: this is not YAML",
		"":                         "the file has 0 documents; want one with the key things",
		"- a\n":                    "line 1: a list: want keys and values",
		"title: x\n":               "things: missing; want a list of things",
		"version: 3\nthings: []\n": "line 1: version: 3: want 1",
		"thing: 1\nthings: []\n":   "line 1: thing: unknown field; want one of version, things, title",
		"things: [{word: a}, {word: b}, {word: c}]": "line 1: things: 3 things; want at most 2",
		"things:\n  - word: [a]\n":                  "line 2: things[0].word: a list: want a word",
		"things:\n  - word: a\n    size: .nan\n":    "line 3: things[0].size: .nan: want a number",
		"things:\n  - word: a\n    wait: 30\n":      "line 3: things[0].wait: 30: want a time with its unit",
		"things:\n  - word: a\n    on: 1\n":         "line 3: things[0].on: 1: want true or false",
		"things:\n  - word: a\n    kind: c\n":       `line 3: things[0].kind: "c": want a or b`,
		"things:\n  - word: a\n    tags: []\n":      "line 3: things[0].tags: the list is empty; want a tag, or leave it out",
		strings.Repeat("#", 1001):                   "the file has 1001 bytes; want at most 1000",
	} {
		_, err := load(text)
		var all *Error
		require.ErrorAs(t, err, &all, text)
		require.Contains(t, err.Error(), want)
	}
}
