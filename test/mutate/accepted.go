package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// accepted holds the reasons for survivors, by file and by key of the mutant.
type accepted map[string]map[string]string

// acceptedLine is a survivor as it is printed, the line number left out or not, and the
// reason behind a "#".
var acceptedLine = regexp.MustCompile(`^(\S+\.go):(?:\d+:)? (.+) # (\S.*)$`)

// readAccepted reads the list. A file that does not exist accepts nothing.
func readAccepted(name string) (accepted, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := accepted{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := acceptedLine.FindStringSubmatch(line)
		if parts == nil {
			return nil, fmt.Errorf("%s:%d: want FILE: FUNCTION: CHANGE # REASON", name, n)
		}
		if a[parts[1]] == nil {
			a[parts[1]] = map[string]string{}
		}
		a[parts[1]][parts[2]] = parts[3]
	}
	return a, nil
}

// gone returns the entries of a file that fit no mutant any more.
func (a accepted) gone(file string, mutants []mutant) []string {
	left := map[string]bool{}
	for key := range a[file] {
		left[key] = true
	}
	for _, m := range mutants {
		delete(left, m.key())
	}
	var out []string
	for key := range left {
		out = append(out, file+": "+key)
	}
	return out
}
