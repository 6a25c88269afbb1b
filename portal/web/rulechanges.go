package web

import (
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/wire"
)

const (
	// changeWithin is how long a change of a rule waits until it comes back from Kafka.
	changeWithin = 5 * time.Second
	// takenOverWithin is how long an approval then waits until core has it in force, so that who
	// looks at the rules next sees them.
	takenOverWithin = time.Second
)

// statePending: the record is in Kafka and was not read back yet.
const statePending rulechange.State = "pending"

// ruleChangeItem is a change of a rule that somebody proposed.
type ruleChangeItem struct {
	ID     string `json:"id"`
	Rule   string `json:"rule"`   // id of the rule
	YAML   string `json:"yaml"`   // the whole rule; empty with remove
	Remove bool   `json:"remove"` // the rule goes, or the one of the file or the built-in one is in force again
	Before string `json:"before"` // the rule in force when it was proposed; empty: there was none
	Base   string `json:"base"`   // version of the rules then
	By     string `json:"by"`
	At     int64  `json:"at"` // ms since 1970
	Reason string `json:"reason"`
	// State is proposed, approved, withdrawn, refused (see Why), or pending: it is in Kafka and
	// cannot be lost, it is not known yet what came of it.
	State       rulechange.State  `json:"state"`
	ApprovedBy  string            `json:"approved_by"`
	ApprovedAt  int64             `json:"approved_at"` // ms since 1970, 0: not approved
	WithdrawnBy string            `json:"withdrawn_by"`
	WithdrawnAt int64             `json:"withdrawn_at"`    // ms since 1970, 0: not withdrawn
	Note        string            `json:"note"`            // of who approved or withdrew
	Why         string            `json:"why,omitempty"`   // of refused: stale, another change of the rule was approved first
	Trial       *rulechange.Trial `json:"trial,omitempty"` // the dry run that its author made
	InForce     bool              `json:"in_force"`        // it is the change of its rule that counts
}

// ruleChanges are changes of rules, the newest first; total counts all that match.
type ruleChanges struct {
	Time    int64            `json:"time"`
	Total   int              `json:"total"`
	Changes []ruleChangeItem `json:"changes"`
}

// proposalBody is a change of a rule to propose: figures, the whole rule, or its removal.
type proposalBody struct {
	ChangeID  string            `json:"change_id"` // chosen by the sender, it makes a retry safe
	Rule      string            `json:"rule"`      // id of the rule; with yaml optional
	Change    *wire.RuleChange  `json:"change"`    // new figures; limit and deadband in the unit of the list of rules
	YAML      string            `json:"yaml"`      // the whole rule, as in a rules file; with an id that no rule has a new one
	Remove    bool              `json:"remove"`    // takes back what was changed: the rule goes, or the one of the file or the built-in one is in force again
	Reason    string            `json:"reason"`
	By        string            `json:"by"`         // operator; see access.go
	IfVersion string            `json:"if_version"` // version of the rules that the operator saw
	Trial     *rulechange.Trial `json:"trial"`      // result of the dry run of this change
}

// decisionBody is who decides on a change.
type decisionBody struct {
	By   string `json:"by"`   // operator; see access.go
	Note string `json:"note"` // required to withdraw the change of another
}

var (
	errNoChange      = refuse(fiber.StatusNotFound, "change_not_found", "there is no change of a rule with this id")
	errRuleChanged   = refuse(fiber.StatusConflict, "rule_changed", "the rule is another one by now; look at it and propose anew")
	errSamePerson    = refuse(fiber.StatusConflict, "same_person", "a second person approves a change, not the one who proposed it")
	errChangeIDUsed  = refuse(fiber.StatusConflict, "id_used", "this change_id was used for something else").at("change_id")
	errChangeKafka   = refuse(fiber.StatusServiceUnavailable, "kafka_unavailable", "not stored, or not for certain; send it again, a proposal with the same change_id")
	errChangesUnread = refuse(fiber.StatusServiceUnavailable, "kafka_unavailable", "the changes of rules have not been read from Kafka yet; try again later")
)

func errNotProposed(c *rulechange.Change) error {
	return refuse(fiber.StatusConflict, "not_proposed", "the change is "+string(c.State)+" already")
}

// listRuleChanges handles GET /api/v1/rules/changes.
func (p *Portal) listRuleChanges(c *fiber.Ctx) error {
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	state, err := oneOf(c, "state", ruleStateWords...)
	if err != nil {
		return err
	}
	rule := strings.Clone(c.Query("rule"))
	out := ruleChanges{Time: p.model.Now(), Changes: []ruleChangeItem{}}
	outOfForce := p.rules.outOfForce()
	read := p.changes.View(func(b *rulechange.Book) {
		found := b.Changes(func(x *rulechange.Change) bool {
			return (rule == "" || x.Rule == rule) && (state == "" || string(x.State) == state)
		})
		out.Total = len(found)
		for i := at.Offset; i < min(at.Offset+at.Limit, len(found)); i++ {
			out.Changes = append(out.Changes, itemOf(b, &found[i], outOfForce))
		}
	})
	if !read {
		return errChangesUnread
	}
	return c.JSON(out)
}

// itemOf describes a change; outOfForce are those that core cannot take over.
func itemOf(b *rulechange.Book, c *rulechange.Change, outOfForce map[string]bool) ruleChangeItem {
	return ruleChangeItem{
		ID: c.ID, Rule: c.Rule, YAML: c.YAML, Remove: c.Remove, Before: c.Before, Base: c.Base, By: c.By, At: c.At, Reason: c.Reason,
		State: c.State, ApprovedBy: c.ApprovedBy, ApprovedAt: c.ApprovedAt, WithdrawnBy: c.WithdrawnBy, WithdrawnAt: c.WithdrawnAt,
		Note: c.Note, Why: c.Why, Trial: c.Trial,
		InForce: c.State == rulechange.Approved && b.Newest(c.Rule) == c.ID && !outOfForce[c.ID],
	}
}

// ruleChange returns a change by its id.
func (p *Portal) ruleChange(id string) (c rulechange.Change, known bool, err error) {
	if !p.changes.View(func(b *rulechange.Book) { c, known = b.Change(id) }) {
		err = errChangesUnread
	}
	return c, known, err
}

func (p *Portal) answerRuleChange(c *fiber.Ctx, status int, x *rulechange.Change) error {
	var out ruleChangeItem
	outOfForce := p.rules.outOfForce()
	p.changes.View(func(b *rulechange.Book) { out = itemOf(b, x, outOfForce) })
	return c.Status(status).JSON(out)
}
