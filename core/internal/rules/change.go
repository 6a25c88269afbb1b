package rules

import (
	"errors"
	"fmt"
	"strings"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/internal/yamldoc"
)

// Changed returns the rule that somebody wants: text if there is one, else the rule of set
// with the id and other figures.
func Changed(set alarm.RuleSet, id string, change *wire.RuleChange, text string) (alarm.Rule, []wire.RuleProblem) {
	if text != "" {
		r, err := LoadOne([]byte(text), set.Catalogue)
		if err != nil {
			return r, Problems(err)
		}
		if r.Type == "" {
			r.Type = r.ID
		}
		return r, nil
	}
	for _, r := range set.Rules {
		if r.ID != id {
			continue
		}
		if change == nil {
			change = &wire.RuleChange{}
		}
		changed, wrong := r.Change(*change, set.Catalogue)
		problems := make([]wire.RuleProblem, len(wrong))
		for i, w := range wrong {
			problems[i] = wire.RuleProblem{Field: strings.TrimPrefix(w.Field, "if."), Message: w.Message}
		}
		return changed, problems
	}
	return alarm.Rule{}, []wire.RuleProblem{{Field: "rule", Message: fmt.Sprintf("%q: no such rule is in force", id)}}
}

// Problems returns what an error of Load, LoadOne or alarm.Compile says.
func Problems(err error) []wire.RuleProblem {
	wrong, ok := errors.AsType[*yamldoc.Error](err)
	if !ok {
		return []wire.RuleProblem{{Message: err.Error()}}
	}
	out := make([]wire.RuleProblem, len(wrong.Problems))
	for i, p := range wrong.Problems {
		out[i] = wire.RuleProblem{Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message}
	}
	return out
}
