package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
)

// alarmEndpoints are those of alarms. The order matters: a path with a parameter comes after the
// paths that it also matches.
var alarmEndpoints = []endpoint{
	{
		path: "/api/v1/alerts", id: "listAlerts", need: viewPlant, tag: "alarms", cost: sorting, handle: (*Portal).listAlerts,
		summary: "Each alarm once, by its newest record",
		about: "Sorted by `attention` by default: unacknowledged, acknowledged, set aside, closed; " +
			"in each group by priority, then newest first. The portal keeps all alarms that are not normal and the newest 10,000 that are.",
		params:  join(alertFilterParameters, []parameter{sortParameter("attention by default.", alertSorts...)}, pagingParameters),
		answers: []response{answered(list[alertJSON]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/alerts/trend", id: "getAlertTrend", need: viewPlant, tag: "alarms", cost: sorting, handle: (*Portal).getAlertTrend,
		summary: "Alarms raised in each hour, by severity",
		params:  []parameter{numberParameter("hours", "Number of hours, including the current one.", 24, 1, 168)},
		answers: []response{answered(alertTrend{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/alerts/summary", id: "getAlertSummary", need: viewPlant, tag: "alarms", cost: sorting, handle: (*Portal).alertSummary,
		summary: "Counts by state, severity and building; flood, chattering and stale alarms, bad actors",
		params: []parameter{
			textParameter("building", "Only this building.", "A栋"), floorParameter,
			windowParameter,
		},
		answers: []response{answered(summaryAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/alerts/{id}", id: "getAlert", need: viewPlant, tag: "alarms", handle: (*Portal).getAlert,
		summary: "One alarm",
		params:  []parameter{alertInPath},
		about:   "Of those that are over it may be in the portal's database only.",
		answers: []response{answered(alertAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), noAlert, slowStore},
	},
	{
		path: "/api/v1/alerts/{id}/history", id: "getAlertHistory", need: viewPlant, tag: "alarms", cost: sorting, handle: (*Portal).getHistory,
		summary: "History of an alarm from the audit trail, oldest first",
		about:   "Of alarms that the portal's database has, however old, and the newest in memory; at most 1,000 entries.",
		params:  []parameter{alertInPath},
		answers: []response{answered(historyAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), noAlert, slowStore},
	},
	{
		path: "/api/v1/alerts/{id}/explain", id: "explainAlert", need: investigate, tag: "alarms", cost: sorting, handle: (*Portal).explain,
		summary: "Why an alarm was raised: rule, conditions, and the readings that the rule saw",
		about:   "core reads the readings from Kafka again; `error` is set if it could not explain the alarm. One explanation at a time for a caller.",
		params:  []parameter{alertInPath},
		answers: []response{
			answered(explainAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), noAlert,
			failing(fiber.StatusTooManyRequests, "explain_busy", "rate_limited"), failing(fiber.StatusServiceUnavailable, "explain_unavailable"),
		},
	},
	{
		path: "/api/v1/audit", id: "listAudit", need: investigate, tag: "alarms", cost: sorting, handle: (*Portal).listAudit,
		summary: "The audit trail: actions of operators and of the system",
		about:   aboutPast,
		params: join(auditParameters, []parameter{
			sortParameter("-recorded_at by default: newest first.", "-recorded_at", "recorded_at"),
		}, storePagingParameters),
		answers: []response{answered(auditAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), slowStore},
	},
	{
		path: "/api/v1/audit.csv", id: "exportAudit", need: investigate, tag: "alarms", cost: gathering, handle: (*Portal).exportAudit,
		summary: "The audit trail as a file for spreadsheets, newest first",
		about:   aboutPastCSV,
		params:  join(auditParameters, []parameter{langParameter, zoneParameter}),
		answers: []response{csvFile, failing(fiber.StatusBadRequest, "bad_parameter"), storeAway},
	},
	{
		path: "/api/v1/journal", id: "listJournal", need: viewPlant, tag: "alarms", cost: sorting, handle: (*Portal).listJournal,
		summary: "The alarms of a time, each by its newest record, the newest raised first",
		about:   aboutPast,
		params:  join(journalParameters, storePagingParameters),
		answers: []response{answered(journal{}), failing(fiber.StatusBadRequest, "bad_parameter"), slowStore},
	},
	{
		path: "/api/v1/journal.csv", id: "exportJournal", need: investigate, tag: "alarms", cost: gathering, handle: (*Portal).exportJournal,
		summary: "The alarms of a time as a file for spreadsheets, the newest raised first",
		about:   aboutPastCSV,
		params:  join(journalParameters, []parameter{langParameter, zoneParameter}),
		answers: []response{csvFile, failing(fiber.StatusBadRequest, "bad_parameter"), storeAway},
	},
	{
		method: fiber.MethodPost, need: alarmCommand,
		path: "/api/v1/alerts/commands", id: "commandAlerts", tag: "commands", cost: sorting, handle: (*Portal).commandMany,
		summary: "A command to many alarms",
		about: "Selects them by one of `filter`, `alert_ids`, or `device_id` with `alert_type`. With a filter, only alarms to which the action " +
			"applies are commanded. Retries with the same command_id are applied once.",
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
			badChange,
			foreign, failing(fiber.StatusNotFound, "alert_not_found", "not_found"),
			failing(fiber.StatusConflict, "command_refused", "command_id_reused"),
			notJSON, failing(fiber.StatusServiceUnavailable, "kafka_unavailable"),
		},
	},
}

const (
	aboutPast = "From the portal's database. `total` counts to 1,000; `more` says that there are more. While the database is away the answer is from memory, " +
		"and `complete` is false."
	aboutPastCSV = "From the portal's database. A download that ends early is incomplete; the connection then ends without the last chunk."
)

var (
	auditParameters = []parameter{
		textParameter("device_id", "Id of the device.", "device_001"), textParameter("building", "Name of the building.", "A栋"),
		textParameter("alert_id", "Id of the alarm.", "a1"), textParameter("alert_type", "Type of the alarm.", "temperature_high"),
		textParameter("rule", "Name of the rule.", "temperature_high"), textParameter("by", "Name of the operator.", "李工"),
		wordsParameter("action", "Actions.", auditActions...), wordsParameter("outcome", "Outcomes.", auditOutcomes...),
		textParameter("command_id", "Id of the command.", "c-1"),
		timeParameter("from", "Recorded at or after this time.", 0), timeParameter("to", "Recorded before this time.", 0),
	}
	journalParameters = []parameter{
		textParameter("device_id", "Id of the device.", "device_001"), textParameter("building", "Name of the building.", "A栋"), floorParameter,
		{name: "alert_type", about: "Types. Comma-separated.", schema: listOf(typed("string")), several: true, example: []string{"temperature_high"}},
		textParameter("rule", "Name of the rule.", "temperature_high"),
		wordsParameter("severity", "Severity.", severityWords...), wordsParameter("state", "Acknowledged or not, active or not.", stateWords...),
		wordsParameter("source", "What detected it.", sourceWords...),
		textParameter("q", "Part of the device, type, message, building, room, gateway, assignee, rule or id.", "301"),
		timeParameter("from", "Alarms whose condition held at or after this time.", 0), timeParameter("to", "Alarms that were raised before this time.", 0),
	}
	csvFile   = response{status: fiber.StatusOK, about: "The file, streamed.", media: "text/csv", body: ""}
	slowStore = failing(fiber.StatusServiceUnavailable, "store_slow")
	storeAway = failing(fiber.StatusServiceUnavailable, "store_off", "store_unavailable")

	alertInPath     = inPath("id", "Id of the alarm.", "a1")
	windowParameter = parameter{
		name: "window", about: "Window for bad actors, 1m to 24h; 24h by default.", example: "24h",
		schema: typed("string").with("pattern", `^([0-9]+(\.[0-9]+)?(h|m|s|ms|us|ns))+$`),
	}
	noAlert = failing(fiber.StatusNotFound, "alert_not_found")
	foreign = failing(fiber.StatusForbidden, "origin_not_allowed", "forbidden")
	notJSON = failing(fiber.StatusUnsupportedMediaType, "unsupported_media_type")
	// operatorHeader takes precedence over the name in the body.
	operatorHeader = parameter{
		name: headerOperator, about: "The operator; an authenticating proxy can set it. Takes precedence over `by` in the body; one of them is required.",
		schema: typed("string").with("maxLength", telemetry.MaxOperator), header: true,
	}
)
