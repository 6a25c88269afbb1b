// Package yamldoc reads YAML settings files strictly: unknown and repeated keys are
// errors, and every error names the line, the value found and the values wanted. It does
// no I/O: the caller reads the file. Nothing here blocks.
package yamldoc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxProblems is the most errors reported at once.
const maxProblems = 20

// Error has all errors in a file.
type Error struct {
	Problems []Problem
}

// Problem is one error.
type Problem struct {
	Line, Column int    // from 1; 0 when the whole file is meant
	Field        string // for example "rules[2].limit"
	Message      string // the value found, and the values wanted
}

// String returns the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	return b.String() + p.Message
}

// Error implements error, a line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Format is the frame of a file: one document with a version and a list.
type Format struct {
	MaxBytes int
	List     string   // the key of the list, required
	MaxItems int      // of the list
	Others   []string // further keys of the document
}

// Load parses data and passes the document and the items of its list to read, which
// reports problems to the Reader. The error is an *Error.
func (f Format) Load(data []byte, read func(p *Reader, top *Map, items []ast.Node)) error {
	if len(data) > f.MaxBytes {
		return &Error{[]Problem{{Message: fmt.Sprintf("the file has %d bytes; want at most %d", len(data), f.MaxBytes)}}}
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return &Error{[]Problem{syntax(err)}}
	}
	p := &Reader{}
	if top, items, ok := f.document(p, file); ok {
		read(p, top, items)
	}
	if len(p.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
	if more := len(p.problems) - maxProblems; more > 0 {
		p.problems = append(p.problems[:maxProblems], Problem{Message: fmt.Sprintf("and %d more", more)})
	}
	return &Error{p.problems}
}

// document checks the frame and returns the document and the items of its list.
func (f Format) document(p *Reader, file *ast.File) (*Map, []ast.Node, bool) {
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d.Body)
		}
	}
	if len(docs) != 1 {
		p.Wrong(nil, "", "the file has %d documents; want one with the key %s", len(docs), f.List)
		return nil, nil, false
	}
	top, ok := p.Map(docs[0], "")
	if !ok {
		return nil, nil, false
	}
	p.Only(top, slices.Concat([]string{"version", f.List}, f.Others)...)
	if n, ok := top.Get("version"); ok {
		if v, isInt := Integer(n); !isInt || v != 1 {
			p.Wrong(n, "version", "%s: want 1, the only version there is", Show(n))
		}
	}
	list, ok := top.Get(f.List)
	if !ok {
		p.Wrong(docs[0], f.List, "missing; want a list of %s", f.List)
		return nil, nil, false
	}
	items, ok := p.Sequence(list, f.List)
	if !ok {
		return nil, nil, false
	}
	if len(items) > f.MaxItems {
		p.Wrong(list, f.List, "%d %s; want at most %d", len(items), f.List, f.MaxItems)
		return nil, nil, false
	}
	return top, items, true
}

// syntax returns the error of a file that is not YAML.
func syntax(err error) Problem {
	if at, ok := errors.AsType[yaml.Error](err); ok {
		p := Problem{Message: "this is not YAML: " + at.GetMessage()}
		if t := at.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
		return p
	}
	return Problem{Message: "this is not YAML: " + err.Error()}
}

// Reader walks over a file and collects problems.
type Reader struct {
	problems []Problem
}

// Problems returns the number of problems so far.
func (p *Reader) Problems() int { return len(p.problems) }

// Wrong reports a problem at n, nil when the whole file is meant.
func (p *Reader) Wrong(n ast.Node, field, format string, args ...any) {
	x := Problem{Field: field, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			x.Line, x.Column = t.Position.Line, t.Position.Column
		}
	}
	p.problems = append(p.problems, x)
}
