// Package rules parses and formats alarm rules in YAML. Errors name the line, the value
// found and the values wanted. deploy/rules/rules.schema.json describes the same format
// for editors. It does no I/O: the caller reads the file. Nothing here blocks.
package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"industrial-iot-monitor/core/internal/alarm"
)

// Bounds of a file.
const (
	MaxBytes = 1 << 20
	MaxRules = 1000
	// maxProblems is the most errors reported at once.
	maxProblems = 20
)

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

// Load parses and checks a rules file. The error is an *Error.
func Load(data []byte) (alarm.RuleSet, error) {
	if len(data) > MaxBytes {
		return alarm.RuleSet{}, &Error{[]Problem{{Message: fmt.Sprintf("the file has %d bytes; want at most %d", len(data), MaxBytes)}}}
	}
	f, err := parser.ParseBytes(data, 0)
	if err != nil {
		return alarm.RuleSet{}, &Error{[]Problem{syntax(err)}}
	}
	p := &reader{}
	set := p.file(f)
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
		if more := len(p.problems) - maxProblems; more > 0 {
			p.problems = append(p.problems[:maxProblems], Problem{Message: fmt.Sprintf("and %d more", more)})
		}
		return alarm.RuleSet{}, &Error{p.problems}
	}
	if _, err := alarm.Compile(set); err != nil { // errors that involve several rules
		return alarm.RuleSet{}, &Error{[]Problem{{Message: err.Error()}}}
	}
	return set, nil
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

// reader walks over a file and collects errors.
type reader struct {
	problems []Problem
}

func (p *reader) wrong(n ast.Node, field, format string, args ...any) {
	x := Problem{Field: field, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			x.Line, x.Column = t.Position.Line, t.Position.Column
		}
	}
	p.problems = append(p.problems, x)
}

// file reads the document.
func (p *reader) file(f *ast.File) alarm.RuleSet {
	var docs []ast.Node
	for _, d := range f.Docs {
		if d.Body != nil {
			docs = append(docs, d.Body)
		}
	}
	if len(docs) != 1 {
		p.wrong(nil, "", "the file has %d documents; want one with the key rules", len(docs))
		return alarm.RuleSet{}
	}
	top, ok := p.mapping(docs[0], "")
	if !ok {
		return alarm.RuleSet{}
	}
	p.only(top, "version", "rules")
	if n, ok := top.get("version"); ok {
		if v, isInt := integer(n); !isInt || v != 1 {
			p.wrong(n, "version", "%s: want 1, the only version there is", show(n))
		}
	}
	list, ok := top.get("rules")
	if !ok {
		p.wrong(docs[0], "rules", "missing; want a list of rules")
		return alarm.RuleSet{}
	}
	items, ok := p.sequence(list, "rules")
	if !ok {
		return alarm.RuleSet{}
	}
	if len(items) > MaxRules {
		p.wrong(list, "rules", "%d rules; want at most %d", len(items), MaxRules)
		return alarm.RuleSet{}
	}
	return p.rules(items)
}

// rules reads the list of rules.
func (p *reader) rules(items []ast.Node) alarm.RuleSet {
	var set alarm.RuleSet
	lines := make(map[string]int)
	for i, n := range items {
		r, at := p.rule(n, fmt.Sprintf("rules[%d]", i))
		if first, ok := lines[r.ID]; ok && r.ID != "" {
			p.wrong(at, fmt.Sprintf("rules[%d].id", i), "%q is the id of the rule in line %d too; want another", r.ID, first)
		} else if at != nil {
			lines[r.ID] = at.GetToken().Position.Line
		}
		set.Rules = append(set.Rules, r)
	}
	return set
}
