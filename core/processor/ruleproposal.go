package processor

import (
	"encoding/json"
	"fmt"
	"slices"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// proposalAnswer answers whether a change of a rule can be proposed or approved.
func (p *Processor) proposalAnswer(request []byte) wire.RuleProposalAnswer {
	var q wire.RuleProposalRequest
	if json.Unmarshal(request, &q) != nil {
		return wire.RuleProposalAnswer{Error: "the request is not JSON"}
	}
	return p.rules.judge(&q)
}

// judge checks a change of a rule against the rules in force.
func (f *ruleFile) judge(q *wire.RuleProposalRequest) wire.RuleProposalAnswer {
	set := f.load()
	out := wire.RuleProposalAnswer{Rule: q.Rule, Version: set.version}
	wrong := func(field, format string, args ...any) {
		out.Problems = append(out.Problems, wire.RuleProblem{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	var changed alarm.Rule
	if q.Remove {
		changed.ID = q.Rule
	} else if changed, out.Problems = rules.Changed(set.source, q.Rule, q.Change, q.YAML); len(out.Problems) == 0 {
		if q.Rule != "" && q.Rule != changed.ID {
			wrong("id", "%q: want %q, or the id of no rule for a new one", changed.ID, q.Rule)
		}
		out.Rule = changed.ID
	}
	if telemetry.ValidDeviceID(out.Rule) {
		out.Before = textByID(set.source, set.Rules, out.Rule)
		out.Changed = q.Before != nil && *q.Before != out.Before || q.IfVersion != "" && f.differs(out.Rule, q.IfVersion, out.Before)
	}
	if len(out.Problems) > 0 {
		return out
	}
	if q.Remove {
		if set.page[q.Rule] == "" {
			wrong("remove", "%q: no change of it is in force; a rule of the file or a built-in one can be disabled", q.Rule)
			return out
		}
		if err := set.without(q.Rule); err != nil {
			out.Problems = rules.Problems(err)
		}
		return out
	}
	next := set.source.With(alarm.RuleSet{Rules: []alarm.Rule{changed}})
	compiled, err := alarm.Compile(next)
	switch {
	case err != nil:
		out.Problems = rules.Problems(err)
	case len(next.Rules) > rules.MaxRules:
		wrong("rule", "%d rules; want at most %d", len(next.Rules), rules.MaxRules)
	default:
		out.Text = textByID(next, compiled, changed.ID)
		if again, err := rules.LoadOne([]byte(out.Text), set.Catalogue()); err != nil || again.Version() != changed.Version() {
			wrong("", "the rule cannot be written as YAML: give its texts other words")
		} else if out.Text == out.Before {
			wrong("", "that is what is in force")
		}
	}
	return out
}

// without checks the set without the changes of a rule.
func (s *ruleSet) without(id string) error {
	set := s.source
	set.Rules = slices.DeleteFunc(slices.Clone(set.Rules), func(r alarm.Rule) bool { return r.ID == id })
	for _, r := range s.base.Rules {
		if r.ID == id {
			set.Rules = append(set.Rules, r)
		}
	}
	_, err := alarm.Compile(set)
	return err
}

// differs reports whether a rule is another one than in a former version of the rules. Of a
// version that is not known here nobody can say, which counts as another one.
func (f *ruleFile) differs(rule, version, now string) bool {
	f.mu.Lock()
	sets := append([]*ruleSet{f.load()}, f.past...)
	f.mu.Unlock()
	for _, s := range sets {
		if s.version == version {
			return textByID(s.source, s.Rules, rule) != now
		}
	}
	return true
}
