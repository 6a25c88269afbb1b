package processor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/wire"
)

// answerRules answers requests about the rules until ctx ends: which are in force and apply to
// devices, which limits they have, whether one can be changed. One member of core answers each;
// they have the same rules, and the request says all that rules choose devices by. It starts
// when all approved changes are in force: before, another member answers or nobody.
func (p *Processor) answerRules(ctx context.Context, nc *nats.Conn) error {
	if !p.changesRead(ctx) {
		return nil
	}
	var subs []*nats.Subscription
	for subject, answer := range map[string]func([]byte) any{
		wire.RulesSubject:        func(q []byte) any { return p.rulesAnswer(q) },
		wire.RuleProposalSubject: func(q []byte) any { return p.proposalAnswer(q) },
		wire.LimitsSubject:       func([]byte) any { return p.rules.load().ValueLimits() },
	} {
		sub, err := nc.QueueSubscribe(subject, "core", func(m *nats.Msg) {
			data, err := json.Marshal(answer(m.Data))
			if err == nil {
				err = m.Respond(data)
			}
			if err != nil {
				p.log.Debug("answer about rules not sent", "subject", m.Subject, "err", err)
			}
		})
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	<-ctx.Done()
	for _, sub := range subs {
		_ = sub.Unsubscribe() // the connection is closed next
	}
	return nil
}

// changesRead waits until all approved changes of rules are in force.
func (p *Processor) changesRead(ctx context.Context) bool {
	select {
	case <-p.changes.Read():
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *Processor) rulesAnswer(request []byte) wire.RulesAnswer {
	var q wire.RulesRequest
	if len(request) > 0 && json.Unmarshal(request, &q) != nil {
		return wire.RulesAnswer{Rules: []wire.Rule{}, Error: "the request is not JSON"}
	}
	if len(q.Devices) > wire.MaxRuleDevices {
		return wire.RulesAnswer{Rules: []wire.Rule{}, Error: fmt.Sprintf("%d devices; want at most %d", len(q.Devices), wire.MaxRuleDevices)}
	}
	return p.rules.list(q.Devices)
}

// list describes the rules in force.
func (f *ruleFile) list(devices []wire.RuleDevice) wire.RulesAnswer {
	f.mu.Lock()
	set, position := f.load(), f.position
	f.mu.Unlock()
	out := set.list(devices)
	out.Position = position
	return out
}

// list describes the rules, the disabled ones last.
func (s *ruleSet) list(devices []wire.RuleDevice) wire.RulesAnswer {
	holds := s.Holds(devices)
	out := wire.RulesAnswer{Version: s.version, Rules: make([]wire.Rule, 0, len(s.source.Rules)), Problems: s.out}
	inBase := s.withoutChanges()
	for _, disabled := range []bool{false, true} {
		for _, r := range s.source.Rules {
			if r.Disabled != disabled {
				continue
			}
			x := alarm.Describe(r, s.Catalogue())
			x.Source = inBase[r.ID]
			if x.Source == "" {
				x.Source = wire.RuleOnPage
			}
			x.Origin = x.Source
			if s.page[r.ID] != "" {
				x.Origin = wire.RuleOnPage
			}
			_, x.Version, _ = s.Rule(r.ID)
			x.Text, x.Devices = s.text(r), holds[r.ID]
			out.Rules = append(out.Rules, x)
		}
	}
	return out
}

// withoutChanges returns where each rule comes from that is not by changes alone.
func (s *ruleSet) withoutChanges() map[string]string {
	out := make(map[string]string, len(s.base.Rules))
	for _, r := range s.base.Rules {
		out[r.ID] = wire.RuleBuiltIn
		if s.own[r.ID] {
			out[r.ID] = wire.RuleInFile
		}
	}
	return out
}

// text returns a rule of the set in YAML, if it is enabled with its defaults.
func (s *ruleSet) text(r alarm.Rule) string { return textOf(s.Rules, r) }

func textOf(compiled *alarm.Rules, r alarm.Rule) string {
	if full, _, ok := compiled.Rule(r.ID); ok {
		r = full
	}
	return rules.Format(r)
}

// textByID returns the rule with an id in YAML, empty if there is none.
func textByID(set alarm.RuleSet, compiled *alarm.Rules, id string) string {
	for _, r := range set.Rules {
		if r.ID == id {
			return textOf(compiled, r)
		}
	}
	return ""
}
