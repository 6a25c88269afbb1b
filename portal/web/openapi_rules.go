package web

import "github.com/gofiber/fiber/v2"

// ruleEndpoints are those of the rules that raise alarms.
var ruleEndpoints = []endpoint{
	{
		path: "/api/v1/rules", id: "listRules", tag: "rules", handle: (*Portal).listRules,
		summary: "The rules in force and what they did in the last 24 hours, or the rules of one device",
		about: "core lists the rules and decides which apply to a device: of several with one type the first that matches. While core is unreachable the last " +
			"known rules are answered with `stale` and their age. Limits are in canonical units. With `device` there are no figures of the day.",
		params: []parameter{textParameter("device", "Only the rules that apply to this device.", "device_001")},
		answers: []response{
			answered(rulesJSON{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
			failing(fiber.StatusServiceUnavailable, "core_unavailable"),
		},
	},
	{
		method: fiber.MethodPost,
		path:   "/api/v1/rules/dryrun", id: "dryRunRule", tag: "rules", handle: (*Portal).dryRun,
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
}
