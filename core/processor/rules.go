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

// answerRules answers requests for the rules in force, and for which of them apply to
// devices, until ctx ends. One member of core answers each; they have the same rules, and
// the request says all that rules choose devices by.
func (p *Processor) answerRules(ctx context.Context, nc *nats.Conn) error {
	sub, err := nc.QueueSubscribe(wire.RulesSubject, "core", func(m *nats.Msg) {
		data, err := json.Marshal(p.rulesAnswer(m.Data))
		if err == nil {
			err = m.Respond(data)
		}
		if err != nil {
			p.log.Debug("rules not sent", "err", err)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.RulesSubject, err)
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // the connection is closed next
	return nil
}

func (p *Processor) rulesAnswer(request []byte) wire.RulesAnswer {
	var q wire.RulesRequest
	if len(request) > 0 && json.Unmarshal(request, &q) != nil {
		return wire.RulesAnswer{Rules: []wire.Rule{}, Error: "the request is not JSON"}
	}
	if len(q.Devices) > wire.MaxRuleDevices {
		return wire.RulesAnswer{Rules: []wire.Rule{}, Error: fmt.Sprintf("%d devices; want at most %d", len(q.Devices), wire.MaxRuleDevices)}
	}
	return p.rules.load().list(q.Devices)
}

// list describes the rules, the disabled ones last.
func (s *ruleSet) list(devices []wire.RuleDevice) wire.RulesAnswer {
	holds := s.Holds(devices)
	out := wire.RulesAnswer{Version: s.version, Rules: make([]wire.Rule, 0, len(s.source.Rules))}
	for _, disabled := range []bool{false, true} {
		for _, r := range s.source.Rules {
			if r.Disabled != disabled {
				continue
			}
			x := alarm.Describe(r, s.Catalogue())
			x.Source = wire.RuleBuiltIn
			if s.own[r.ID] {
				x.Source = wire.RuleInFile
			}
			if full, version, ok := s.Rule(r.ID); ok {
				x.Version, r = version, full
			}
			x.Text, x.Devices = rules.Format(r), holds[r.ID]
			out.Rules = append(out.Rules, x)
		}
	}
	return out
}
