// Package rules parses and formats alarm rules in YAML. Errors name the line, the value
// found and the values wanted. deploy/rules/rules.schema.json describes the same format
// for editors. It does no I/O: the caller reads the file. Nothing here blocks.
package rules

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/yamldoc"
)

// Bounds of a file.
const (
	MaxBytes = 1 << 20
	MaxRules = 1000
)

// Load parses and checks a rules file, whose units are converted by the catalogue. The
// error is a *yamldoc.Error.
func Load(data []byte, catalogue *sensors.Catalogue) (alarm.RuleSet, error) {
	var set alarm.RuleSet
	format := yamldoc.Format{MaxBytes: MaxBytes, List: "rules", MaxItems: MaxRules}
	err := format.Load(data, func(p *yamldoc.Reader, _ *yamldoc.Map, items []ast.Node) {
		set = (&reader{p, catalogue}).rules(items)
	})
	if err != nil {
		return alarm.RuleSet{}, err
	}
	set.Catalogue = catalogue
	if _, err := alarm.Compile(set); err != nil { // errors that involve several rules
		return alarm.RuleSet{}, &yamldoc.Error{Problems: []yamldoc.Problem{{Message: err.Error()}}}
	}
	return set, nil
}

// reader reads rules and collects problems.
type reader struct {
	*yamldoc.Reader
	catalogue *sensors.Catalogue
}

// rules reads the list of rules.
func (p *reader) rules(items []ast.Node) alarm.RuleSet {
	var set alarm.RuleSet
	lines := make(map[string]int)
	for i, n := range items {
		r, at := p.rule(n, fmt.Sprintf("rules[%d]", i))
		if first, ok := lines[r.ID]; ok && r.ID != "" {
			p.Wrong(at, fmt.Sprintf("rules[%d].id", i), "%q is the id of the rule in line %d too; want another", r.ID, first)
		} else if at != nil {
			lines[r.ID] = at.GetToken().Position.Line
		}
		set.Rules = append(set.Rules, r)
	}
	return set
}
