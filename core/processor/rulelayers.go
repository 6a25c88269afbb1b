package processor

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

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
	l, top := &layers{}, alarm.RuleSet{}
	for _, id := range order {
		if r, ok := l.settle(stacks[id], base.Catalogue, func(alarm.Rule) error { return nil }); ok {
			top.Rules = append(top.Rules, r)
		}
	}
	var err error
	l.set = base.With(top)
	if l.compiled, err = alarm.Compile(l.set); err == nil {
		return l, nil
	}
	// They do not fit together, or no longer fit the file: one after the other.
	l = &layers{set: base}
	for _, id := range order {
		with := func(r alarm.Rule) alarm.RuleSet { return l.set.With(alarm.RuleSet{Rules: []alarm.Rule{r}}) }
		r, ok := l.settle(stacks[id], base.Catalogue, func(r alarm.Rule) error {
			_, err := alarm.Compile(with(r))
			return err
		})
		if ok {
			l.set = with(r)
		}
	}
	l.compiled, err = alarm.Compile(l.set)
	return l, err
}

// settle returns the rule of the newest change in a stack that fits, if there is one, and notes
// what became of the changes.
func (l *layers) settle(stack []rulechange.Change, catalogue *sensors.Catalogue, fits func(alarm.Rule) error) (alarm.Rule, bool) {
	for _, c := range slices.Backward(stack) {
		if c.Remove {
			break
		}
		r, err := rules.LoadOne([]byte(c.YAML), catalogue)
		if err == nil {
			err = fits(r)
		}
		if err == nil {
			l.changes = append(l.changes, c)
			return r, true
		}
		l.out = append(l.out, wire.RuleOutOfForce{Rule: c.Rule, ChangeID: c.ID, Problems: rules.Problems(err)})
	}
	return alarm.Rule{}, false
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
