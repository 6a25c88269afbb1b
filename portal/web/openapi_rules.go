package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/rulechange"
)

// ruleStateWords are the states that changes of rules are asked for by.
var ruleStateWords = []string{string(rulechange.Proposed), string(rulechange.Approved), string(rulechange.Withdrawn), string(rulechange.Refused)}

var (
	changeInPath = inPath("id", "Id of the change.", "p-1")
	noChange     = failing(fiber.StatusNotFound, "change_not_found")
	pendingRule  = response{status: fiber.StatusAccepted, about: "It is in Kafka and cannot be lost; it was not read back within 5 s.", body: ruleChangeItem{}}
	invalidRule  = failing(fiber.StatusUnprocessableEntity, "rule_invalid")
)

// ruleEndpoints are those of the rules that raise alarms.
var ruleEndpoints = []endpoint{
	{
		path: "/api/v1/rules", id: "listRules", need: viewPlant, tag: "rules", handle: (*Portal).listRules,
		summary: "The rules in force and what they did in the last 24 hours, or the rules of one device",
		about: "core lists the rules and decides which apply to a device: of several with one type the first that matches. While core is unreachable the last " +
			"known rules are answered with `stale` and their age. Limits are in canonical units. `origin` is where the rule in force comes from, `source` where the one would come from without changes on the page. With `device` there are no figures of the day.",
		params: []parameter{textParameter("device", "Only the rules that apply to this device.", "device_001")},
		answers: []response{
			answered(rulesJSON{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
			failing(fiber.StatusServiceUnavailable, "core_unavailable"),
		},
	},
	{
		method: fiber.MethodPost, need: ruleChange,
		path: "/api/v1/rules/dryrun", id: "dryRunRule", tag: "rules", cost: sorting, handle: (*Portal).dryRun,
		summary: "What a changed rule would have done with past readings",
		about: "core sends the readings that Kafka has through the alarm engine twice, with the rules in force and with the change, for at most 25 s, one dry run at a time. " +
			"`problems` has errors in the rule, `incomplete` and `held_since` tell what is not covered. Nothing is changed. At most 200 alarms of each side are listed.",
		body:    dryRunBody{},
		example: object{{"rule", "temperature_high"}, {"change", object{{"limit", 78.5}, {"on_delay_ms", 10_000}}}, {"hours", 24}},
		answers: []response{
			answered(ruleTrial{}), failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter"), foreign, failing(fiber.StatusConflict, "dry_run_busy"),
			notJSON, failing(fiber.StatusServiceUnavailable, "core_unavailable", "dry_run_failed"),
		},
	},
	{
		path: "/api/v1/rules/changes", id: "listRuleChanges", need: viewPlant, tag: "rules", handle: (*Portal).listRuleChanges,
		summary: "Changes of rules made on the page: who, when, why, and who approved them; newest first",
		about:   "All there ever were: Kafka keeps them for ever, and they are the record of who changed a rule.",
		params: join([]parameter{
			textParameter("rule", "Only of this rule.", "temperature_high"),
			wordParameter("state", "How far it has come. refused: another change of the rule was approved first.", ruleStateWords...),
		}, pagingParameters),
		answers: []response{answered(ruleChanges{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusServiceUnavailable, "kafka_unavailable")},
	},
	{
		method: fiber.MethodPost, need: ruleChange,
		path: "/api/v1/rules/changes", id: "proposeRuleChange", tag: "rules", handle: (*Portal).proposeRule,
		summary: "Proposes to change, add or remove a rule",
		about: "core checks the rule; errors are in `problems` of the error, with line and field. A second person has to approve. Sent again with the same change_id " +
			"it is proposed once. `if_version`: 409 if the rule is another one than in that version of the rules.",
		params: []parameter{operatorHeader}, body: proposalBody{},
		example: object{
			{"rule", "temperature_high"},
			{"change", object{{"limit", 78.5}, {"on_delay_ms", 10_000}}},
			{"reason", "夏季误报过多"},
			{"by", "李工"},
			{"trial", object{{"hours", 24}, {"before", 253}, {"after", 14}}},
		},
		answers: []response{
			{status: fiber.StatusCreated, about: "The change, proposed.", body: ruleChangeItem{}},
			pendingRule, badChange, foreign,
			failing(fiber.StatusConflict, "rule_changed", "id_used"), notJSON, invalidRule,
			failing(fiber.StatusServiceUnavailable, "core_unavailable", "kafka_unavailable"),
		},
	},
	{
		method: fiber.MethodPost, need: ruleChange,
		path: "/api/v1/rules/changes/{id}/approve", id: "approveRuleChange", tag: "rules", handle: (*Portal).approveRule,
		summary: "Approves a change: core takes it over",
		about: "By another person than its author. Sent again by the same person it is done once. rule_changed: the rule in force is not the one that the change was " +
			"made to. The other proposals for the rule are refused by it.",
		params: []parameter{changeInPath, operatorHeader}, body: decisionBody{}, example: object{{"by", "王工"}, {"note", "与工艺确认过"}},
		answers: []response{
			answered(ruleChangeItem{}), pendingRule, badChange, foreign, noChange,
			failing(fiber.StatusConflict, "same_person", "not_proposed", "rule_changed"), notJSON, invalidRule,
			failing(fiber.StatusServiceUnavailable, "core_unavailable", "kafka_unavailable"),
		},
	},
	{
		method: fiber.MethodPost, need: ruleChange,
		path: "/api/v1/rules/changes/{id}/withdraw", id: "withdrawRuleChange", tag: "rules", handle: (*Portal).withdrawRule,
		summary: "Withdraws a change that was proposed",
		about:   "By anybody: who did not propose it gives a note.",
		params:  []parameter{changeInPath, operatorHeader}, body: decisionBody{}, example: object{{"by", "李工"}, {"note", ""}},
		answers: []response{
			answered(ruleChangeItem{}), pendingRule, badChange, foreign, noChange,
			failing(fiber.StatusConflict, "not_proposed", "rule_changed"), notJSON, failing(fiber.StatusServiceUnavailable, "kafka_unavailable"),
		},
	},
}
