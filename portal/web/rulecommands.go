package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/feed"
)

// proposeRule handles POST /api/v1/rules/changes.
func (p *Portal) proposeRule(c *fiber.Ctx) error {
	var body proposalBody
	by, err := decodeBy(c, &body, &body.By)
	if err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	known, repeated, err := p.ruleChange(body.ChangeID)
	if err != nil {
		return err
	}
	judged, err := p.judgeRule(&wire.RuleProposalRequest{
		Rule: body.Rule, Change: body.Change, YAML: body.YAML, Remove: body.Remove, IfVersion: body.IfVersion,
	})
	if repeated && judged.Rule != "" { // whatever core says to it now
		if !body.repeats(&known, by, &judged) {
			return errChangeIDUsed
		}
		return p.answerRuleChange(c, fiber.StatusCreated, &known)
	}
	if err != nil {
		return err
	}
	r := rulechange.Record{Act: rulechange.Propose, Change: body.ChangeID, By: by, At: p.model.Now(), Proposal: &rulechange.Proposal{
		Rule: judged.Rule, YAML: judged.Text, Remove: body.Remove, Before: judged.Before, Base: judged.Version, Reason: body.Reason, Trial: body.Trial,
	}}
	if r.Change == "" {
		r.Change = "p-" + rand.Text()
	}
	p.changes.View(func(b *rulechange.Book) { r.Proposal.After = b.Newest(judged.Rule) })
	made, err := p.writeRuleChange(who(c), &r)
	switch {
	case err != nil:
		return err
	case made == nil:
		pending := rulechange.Change{Proposal: *r.Proposal, ID: r.Change, By: r.By, At: r.At, State: statePending}
		return p.answerRuleChange(c, fiber.StatusAccepted, &pending)
	case !made.Repeats(&r):
		return errChangeIDUsed
	case made.State == rulechange.Refused:
		return errRuleChanged
	}
	return p.answerRuleChange(c, fiber.StatusCreated, made)
}

// check checks what needs neither core nor Kafka.
func (b *proposalBody) check() error {
	ways := 0
	for _, used := range []bool{b.Change != nil, b.YAML != "", b.Remove} {
		if used {
			ways++
		}
	}
	switch {
	case b.ChangeID != "" && !rulechange.ValidID(b.ChangeID):
		return badField("change_id", "1 to 64 letters, digits, _ or -")
	case ways != 1:
		return badField("change", "one of change, yaml and remove")
	case b.Rule == "" && b.YAML == "":
		return badField("rule", "the id of a rule, or the whole rule in yaml")
	case len(b.YAML) > maxRuleText:
		return badField("yaml", "at most 16 KiB")
	case strings.TrimSpace(b.Reason) == "" || len(b.Reason) > rulechange.MaxReason:
		return badField("reason", "1 to 1024 bytes: no rule is changed without one")
	case b.Trial != nil && (b.Trial.Hours <= 0 || b.Trial.Hours > mostHours || b.Trial.Before < 0 || b.Trial.After < 0):
		return badField("trial", "hours, before and after of a dry run")
	}
	return nil
}

// repeats reports whether the body, which core has judged, was sent before as change c.
func (b *proposalBody) repeats(c *rulechange.Change, by string, judged *wire.RuleProposalAnswer) bool {
	return rulechange.SamePerson(by, c.By) && judged.Rule == c.Rule && b.Reason == c.Reason && b.Remove == c.Remove && judged.Text == c.YAML
}

// judgeRule asks core whether a change can be made.
func (p *Portal) judgeRule(q *wire.RuleProposalRequest) (a wire.RuleProposalAnswer, err error) {
	question, err := json.Marshal(q)
	if err != nil {
		return a, fmt.Errorf("encoding a change of a rule: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), rulesWithin)
	defer cancel()
	data, err := p.feed.Ask(ctx, wire.RuleProposalSubject, question)
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	switch {
	case errors.Is(err, feed.ErrNoResponder), errors.Is(err, context.DeadlineExceeded):
		return a, refuse(fiber.StatusServiceUnavailable, "core_unavailable", "core is unreachable, it checks every change; try again later")
	case err != nil:
		return a, fmt.Errorf("reading what core says to a change of a rule: %w", err)
	case a.Error != "":
		return a, fmt.Errorf("asking core about a change of a rule: %s", a.Error)
	case a.Changed:
		return a, errRuleChanged
	case len(a.Problems) > 0:
		return a, refuse(fiber.StatusUnprocessableEntity, "rule_invalid", "core cannot take the rule over; see problems").because(a.Problems)
	}
	return a, nil
}

// writeRuleChange writes a record into Kafka and waits until it was read back; the change is
// nil if that takes too long.
func (p *Portal) writeRuleChange(id identity, r *rulechange.Record) (c *rulechange.Change, err error) {
	if err := r.Check(); err != nil {
		text := strings.TrimPrefix(err.Error(), rulechange.ErrInvalid.Error()+": ")
		field, _, _ := strings.Cut(text, ": ")
		return nil, refuse(fiber.StatusBadRequest, "bad_field", text).at(field)
	}
	value, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a change of a rule: %w", err)
	}
	key := rulechange.NewKey(r.Change)
	if err := p.commands.Put(context.Background(), p.cfg.Topics.Rules, key, value); err != nil {
		return nil, errChangeKafka
	}
	note := id.record(securityaudit.RuleChange, r.Change, string(r.Act))
	note.Who, note.Outcome = r.By, securityaudit.Done
	if r.Proposal != nil {
		note.Detail += " " + r.Proposal.Rule
	}
	p.audit.Note(note)
	ctx, cancel := context.WithTimeout(context.Background(), p.changeWithin)
	defer cancel()
	p.changes.Await(ctx, func(b *rulechange.Book) bool {
		if !b.Has(key) {
			return false
		}
		if found, ok := b.Change(r.Change); ok {
			c = &found
		}
		return true
	})
	return c, nil
}

// approveRule handles POST /api/v1/rules/changes/{id}/approve.
func (p *Portal) approveRule(c *fiber.Ctx) error {
	return p.decideRule(c, rulechange.Approve, func(x *rulechange.Change, by, _ string) error {
		switch {
		case x.State == rulechange.Refused:
			return errRuleChanged
		case x.State != rulechange.Proposed:
			return errNotProposed(x)
		case rulechange.SamePerson(x.By, by):
			return errSamePerson
		}
		_, err := p.judgeRule(&wire.RuleProposalRequest{Rule: x.Rule, YAML: x.YAML, Remove: x.Remove, Before: &x.Before})
		return err
	})
}

// withdrawRule handles POST /api/v1/rules/changes/{id}/withdraw.
func (p *Portal) withdrawRule(c *fiber.Ctx) error {
	return p.decideRule(c, rulechange.Withdraw, func(x *rulechange.Change, by, note string) error {
		switch {
		case x.State != rulechange.Proposed:
			return errNotProposed(x)
		case !rulechange.SamePerson(x.By, by) && strings.TrimSpace(note) == "":
			return badField("note", "the reason: "+x.By+" proposed it")
		}
		return nil
	})
}

// decideRule decides on a change that check does not refuse. Who decided it that way before gets
// the same answer again.
func (p *Portal) decideRule(c *fiber.Ctx, act rulechange.Act, check func(x *rulechange.Change, by, note string) error) error {
	var body decisionBody
	by, err := decodeBy(c, &body, &body.By)
	if err != nil {
		return err
	}
	change, known, err := p.ruleChange(c.Params("id"))
	switch {
	case err != nil:
		return err
	case !known:
		return errNoChange
	case decidedBy(&change, act, by):
		return p.answerRuleChange(c, fiber.StatusOK, &change)
	}
	if err := check(&change, by, body.Note); err != nil {
		return err
	}
	after, err := p.writeRuleChange(who(c), &rulechange.Record{Act: act, Change: change.ID, By: by, At: p.model.Now(), Note: body.Note})
	switch {
	case err != nil:
		return err
	case after == nil:
		change.State = statePending
		return p.answerRuleChange(c, fiber.StatusAccepted, &change)
	case after.State == rulechange.Refused:
		return errRuleChanged
	case !decidedBy(after, act, by):
		return errNotProposed(after)
	}
	if act == rulechange.Approve {
		p.awaitRules()
	}
	return p.answerRuleChange(c, fiber.StatusOK, after)
}

// decidedBy reports whether somebody decided that way on a change.
func decidedBy(c *rulechange.Change, act rulechange.Act, by string) bool {
	if act == rulechange.Approve {
		return c.State == rulechange.Approved && rulechange.SamePerson(c.ApprovedBy, by)
	}
	return c.State == rulechange.Withdrawn && rulechange.SamePerson(c.WithdrawnBy, by)
}

// awaitRules waits a moment until a core has the changes that this portal has.
func (p *Portal) awaitRules() {
	ctx, cancel := context.WithTimeout(context.Background(), takenOverWithin)
	defer cancel()
	for {
		if a, err := p.askRules(ctx, nil); err != nil || a.Position >= p.changesPosition() {
			return
		}
		if !lifecycle.Pause(ctx, lookAgain) {
			return
		}
	}
}

// changesPosition returns how far the changes of rules were read.
func (p *Portal) changesPosition() (position int64) {
	p.changes.View(func(b *rulechange.Book) { position = b.Position() })
	return position
}
