package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
)

// alarmEndpoints are those about alarms. The order counts: an address with a parameter comes
// after those that it would take too.
var alarmEndpoints = []endpoint{
	{
		path: "/api/v1/alerts", id: "listAlerts", tag: "alarms", handle: (*Portal).listAlerts,
		summary: "Each alarm once, as its newest record tells it",
		about: "In the order `attention`, the usual one: what nobody has acknowledged, then what was, then what is put aside, then what is over; " +
			"in each the higher priority first, then the newer. All alarms that are not normal are kept, and the newest 10,000 that are.",
		params:  join(alertFilterParameters, []parameter{sortParameter("attention unless told.", alertSorts...)}, pagingParameters),
		answers: []response{answered(list[alertJSON]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/alerts/trend", id: "getAlertTrend", tag: "alarms", handle: (*Portal).getAlertTrend,
		summary: "How many alarms were raised in each hour, by severity",
		params:  []parameter{numberParameter("hours", "How many hours, the present one included.", 24, 1, 168)},
		answers: []response{answered(alertTrend{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/alerts/summary", id: "getAlertSummary", tag: "alarms", handle: (*Portal).alertSummary,
		summary: "Counts by state, severity and building, flood, chattering, stale, bad actors",
		params: []parameter{
			textParameter("building", "Only this building.", "A栋"), floorParameter,
			textParameter("window", "Over how long bad actors are looked for, 1m to 24h; 24h unless told.", "24h"),
		},
		answers: []response{answered(summaryAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/alerts/{id}", id: "getAlert", tag: "alarms", handle: (*Portal).getAlert,
		summary: "One alarm",
		params:  []parameter{alertInPath},
		answers: []response{answered(alertAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), noAlert},
	},
	{
		path: "/api/v1/alerts/{id}/history", id: "getAlertHistory", tag: "alarms", handle: (*Portal).getHistory,
		summary: "What happened to an alarm, oldest first, from the audit trail",
		params:  []parameter{alertInPath},
		answers: []response{answered(historyAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), noAlert},
	},
	{
		path: "/api/v1/alerts/{id}/explain", id: "explainAlert", tag: "alarms", handle: (*Portal).explain,
		summary: "Why an alarm was raised: rule, conditions, and the readings as the rule saw them",
		about:   "core reads the readings from Kafka again; `error` says when nothing could be found out.",
		params:  []parameter{alertInPath},
		answers: []response{
			answered(explainAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), noAlert,
			failing(fiber.StatusServiceUnavailable, "explain_unavailable"),
		},
	},
	{
		path: "/api/v1/audit", id: "listAudit", tag: "alarms", handle: (*Portal).listAudit,
		summary: "The newest entries of the audit trail: who did what, and what happened by itself",
		params: join([]parameter{
			textParameter("device_id", "Id of the device.", "device_001"), textParameter("alert_id", "Id of the alarm.", "a1"),
			textParameter("alert_type", "Type of the alarm.", "temperature_high"), textParameter("by", "Name of the operator.", "李工"),
			wordsParameter("action", "What was commanded.", actionWords...), wordsParameter("outcome", "What became of it.", auditOutcomes...),
			textParameter("command_id", "Id of the command.", "c-1"),
			timeParameter("from", "Recorded at or after this time."), timeParameter("to", "Recorded before this time."),
			sortParameter("-recorded_at unless told: the newest first.", "-recorded_at", "recorded_at"),
		}, pagingParameters),
		answers: []response{answered(auditAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		method: fiber.MethodPost, need: alarmCommand,
		path: "/api/v1/alerts/commands", id: "commandAlerts", tag: "commands", handle: (*Portal).commandMany,
		summary: "A command to many alarms",
		about: "Names them by one of `filter`, `alert_ids`, or `device_id` with `alert_type`. By a filter only those are commanded that the action " +
			"can mean something to. Sent again with the same command_id it is done once.",
		params: []parameter{operatorHeader}, body: commandsBody{},
		example: object{
			{"action", "acknowledge"},
			{"by", "李工"},
			{"note", "on my way"},
			{"filter", object{{"state", []string{"unacknowledged"}}, {"severity", []string{"critical", "high"}}, {"building", "A栋"}}},
		},
		answers: []response{
			answered(commandsAnswer{}),
			{status: fiber.StatusAccepted, about: "Stored in Kafka; of some it is not known yet what became of them.", body: commandsAnswer{}},
			failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter", "operator_missing", "too_many_alerts"),
			foreign, notJSON, failing(fiber.StatusServiceUnavailable, "kafka_unavailable"),
		},
	},
	{
		method: fiber.MethodPost, need: alarmCommand,
		path: "/api/v1/alerts/{id}/{action}", id: "commandAlert", tag: "commands", handle: (*Portal).commandOne,
		summary: "A command to one alarm",
		about:   "Sent again with the same command_id it is done once. shelve needs `until` or `duration`, 30 days at most; comment needs `note`.",
		params: []parameter{
			alertInPath, wordParameter("action", "What to do.", actionWords...), operatorHeader,
		},
		body:    commandBody{},
		example: object{{"by", "李工"}, {"note", "on my way"}},
		answers: []response{
			answered(commandAnswer{}),
			{status: fiber.StatusAccepted, about: "Stored in Kafka; core has not answered within 2 s. Ask again with the same command_id.", body: commandAnswer{}},
			failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter", "operator_missing"),
			foreign, failing(fiber.StatusNotFound, "alert_not_found", "not_found"),
			failing(fiber.StatusConflict, "command_refused", "command_id_reused"),
			notJSON, failing(fiber.StatusServiceUnavailable, "kafka_unavailable"),
		},
	},
}

var (
	alertInPath = inPath("id", "Id of the alarm.", "a1")
	noAlert     = failing(fiber.StatusNotFound, "alert_not_found")
	foreign     = failing(fiber.StatusForbidden, "origin_not_allowed", "forbidden")
	notJSON     = failing(fiber.StatusUnsupportedMediaType, "unsupported_media_type")
	// operatorHeader goes before the name in the body.
	operatorHeader = parameter{
		name: headerOperator, about: "Who does it; a proxy that signs people in can set it. It goes before `by` of the body; one of them is needed.",
		schema: typed("string").with("maxLength", telemetry.MaxOperator), header: true,
	}
)
