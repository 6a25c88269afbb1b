package main

import (
	"fmt"
	"go/token"
	"os"
	"path"
	"strings"
)

// block is one entry of a coverage profile.
type block struct {
	startLine, startColumn, endLine, endColumn int
	executed                                   bool
}

func (b block) contains(p token.Position) bool {
	after := p.Line > b.startLine || p.Line == b.startLine && p.Column >= b.startColumn
	before := p.Line < b.endLine || p.Line == b.endLine && p.Column < b.endColumn
	return after && before
}

// coverage has a package's blocks by the base name of the file.
type coverage map[string][]block

// readCoverage reads what go test -coverprofile wrote for one package.
func readCoverage(name string) (coverage, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	c := coverage{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "mode:") {
			continue
		}
		file, rest, _ := strings.Cut(line, ":")
		var b block
		var statements, count int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.startLine, &b.startColumn, &b.endLine, &b.endColumn, &statements, &count); err != nil {
			return nil, fmt.Errorf("coverage profile, %q: %w", line, err)
		}
		b.executed = count > 0
		c[path.Base(file)] = append(c[path.Base(file)], b)
	}
	return c, nil
}

// executes reports whether a test executed the mutant's place.
func (c coverage) executes(m mutant) bool {
	for _, b := range c[path.Base(m.file)] {
		if b.executed && b.contains(m.at) {
			return true
		}
	}
	return false
}
