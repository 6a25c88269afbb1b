package processor

import (
	"crypto/sha256"
	"encoding/hex"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/wire"
)

// layers are approved changes on top of the rules of the file.
type layers struct {
	set      alarm.RuleSet
	compiled *alarm.Rules
	changes  []rulechange.Change // in force, at most one for each rule
	out      []wire.RuleOutOfForce
}

// candidate is a change that may come into force.
type candidate struct {
	change rulechange.Change
	rule   alarm.Rule
}

// layer puts approved changes on top of base, which compiles. Of each rule the newest change
// counts that fits the catalogue and the other rules: one that does not must never keep core
// from starting, or the other changes from being in force. A rule that only exists by changes
// keeps the place of its first one, because of several rules with one type the first that
// matches a device applies.
func layer(base alarm.RuleSet, approved []rulechange.Change) (*layers, error) {
	stacks, order := make(map[string][]rulechange.Change), []string(nil)
	for _, c := range approved {
		if stacks[c.Rule] == nil {
			order = append(order, c.Rule)
		}
		stacks[c.Rule] = append(stacks[c.Rule], c)
	}
	alone := func(alarm.Rule) error { return nil }
	l := &layers{set: base}
	for _, id := range order {
		l.settle(stacks[id], base.Catalogue, alone)
	}
	var err error
	if l.compiled, err = alarm.Compile(l.set); err == nil {
		return l, nil
	}
	// They do not fit together, or no longer fit the file: one after the other.
	l = &layers{set: base}
	for _, id := range order {
		l.settle(stacks[id], base.Catalogue, func(r alarm.Rule) error {
			_, err := alarm.Compile(l.set.With(alarm.RuleSet{Rules: []alarm.Rule{r}}))
			return err
		})
	}
	l.compiled, err = alarm.Compile(l.set)
	return l, err
}

// settle adds the newest change of a rule that fits.
func (l *layers) settle(stack []rulechange.Change, catalogue *sensors.Catalogue, fits func(alarm.Rule) error) {
	for i := len(stack) - 1; i >= 0 && !stack[i].Remove; i-- {
		c := candidate{change: stack[i]}
		var err error
		if c.rule, err = rules.LoadOne([]byte(c.change.YAML), catalogue); err == nil {
			err = fits(c.rule)
		}
		if err != nil {
			l.out = append(l.out, wire.RuleOutOfForce{Rule: c.change.Rule, ChangeID: c.change.ID, Problems: rules.Problems(err)})
			continue
		}
		l.set = l.set.With(alarm.RuleSet{Rules: []alarm.Rule{c.rule}})
		l.changes = append(l.changes, c.change)
		return
	}
}

// versionOf returns the version of the rules in a file with changes on top: without any that
// of the file, so that the same rules have the same version again once the changes are gone.
func versionOf(file string, changes []rulechange.Change) string {
	if len(changes) == 0 {
		return file
	}
	h := sha256.New()
	h.Write([]byte(file))
	for _, c := range changes {
		h.Write([]byte("\x00" + c.ID + "\x00" + c.YAML))
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}
