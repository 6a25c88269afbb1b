package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/pipeline"
)

// pipelineEndpoints are those of the plant's own programs.
var pipelineEndpoints = []endpoint{
	{
		path: "/api/v1/pipeline", id: "getPipeline", need: viewPlant, tag: "portal", handle: (*Portal).getPipeline,
		summary: "The stages between a device and a screen: rate, time and backlog, now and over the last hours",
		about: "Stages of the live path: gateway (from a message to its acknowledgement), line (from there to core: lines and bridge), core, " +
			"portal (from core into this portal), screen (into the sockets of its screens), painted (from the portal to what browsers have painted, as they report it). Beside it, of the record path: kafka (a transaction of the bridge), " +
			"commit (a transaction of core; `lag` counts the records before it). `ms` is the mean time that the stage itself takes. " +
			"`strips` are the lanes of the bridges (`lag`: readings that wait in the gateways) and the partitions of device-data (records that core has not committed).",
		params: []parameter{
			timeParameter("from", "Where the courses begin; without it the whole range.", 0),
			wordParameter("range", "How far back the courses go: an hour in steps of 5 s, six hours in steps of 30 s.", "1h", "6h"),
		},
		answers: []response{answered(pipeline.Pipeline{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/processes", id: "listProcesses", need: viewPlant, tag: "portal", handle: (*Portal).listProcesses,
		summary: "The processes of the plant: version, restarts, CPU and memory of the last hour",
		about: "Gateways, bridges, cores, historians and portals report themselves every five seconds over the hub; one that has not for an hour is dropped. " +
			"Programs with the same `host` and `pid` share a process, and its resources are told of each of them.",
		params:  pagingParameters,
		answers: []response{answered(list[pipeline.Process]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/events", id: "listEvents", need: viewPlant, tag: "portal", cost: sorting, handle: (*Portal).listEvents,
		summary: "What changed in the plant since this portal started, the newest first",
		about: "Values of `kind`: started, restarted (`from` and `to` are versions), silent (no report for three intervals), back, " +
			"changed (a `fact`, such as rules, the version of the alarm rules), log_level (the level of its log, changed `by` an operator, or back by itself). The newest 200 are kept.",
		params:  pagingParameters,
		answers: []response{answered(list[pipeline.PlantEvent]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/warnings", id: "listWarnings", need: viewPlant, tag: "portal", cost: sorting, handle: (*Portal).listWarnings,
		summary: "The newest warnings and errors in the logs of the plant's processes",
		about:   "The newest 200 since this portal started. The texts are those of the logs, in English.",
		params:  pagingParameters,
		answers: []response{answered(list[pipeline.Warning]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		method: fiber.MethodPost, need: maintain,
		path: "/api/v1/log-levels", id: "setLogLevel", tag: "portal", handle: (*Portal).setLogLevel,
		summary: "Change the level of a process's log for 15 minutes",
		about: "The usual level is back by itself. Programs that share a process share its log. The list of processes shows the level and who changed it; " +
			"the change and its end are events.",
		params:  []parameter{operatorHeader},
		body:    levelBody{},
		example: object{{"program", "core"}, {"instance", "plant-1:9103"}, {"level", "debug"}, {"by", "Li Wei"}},
		answers: []response{
			answered(levelJSON{}), failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter", "operator_missing"), foreign,
			failing(fiber.StatusNotFound, "process_not_found"), notJSON, failing(fiber.StatusServiceUnavailable, "process_unreachable", "level_unchanged"),
		},
	},
	{
		path: "/api/v1/dead-letters", id: "listDeadLetters", need: viewPlant, tag: "portal", cost: sorting, handle: (*Portal).listDeadLetters,
		summary: "Refused messages by reason, with a sample, and what was replayed",
		about: "core reads device-data-dlq, the newest 100,000 letters. `ready` are those that core would accept now; `blocked` counts the others by why: " +
			"refused_again (`sample.again` says why), processed (core has judged and counted it, only an engine that keeps the history refused it), " +
			"other_format (it needs a gateway's mapping, and part of it may be stored), truncated, misdirected (sent to no telemetry topic, or to another stream), " +
			"no_reading (a command, or an unreadable pack). `sample.raw` is base64, the first 16 KiB.",
		answers: []response{answered(deadLettersJSON{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusServiceUnavailable, "core_unavailable", "letters_unavailable")},
	},
	{
		method: fiber.MethodPost, need: maintain,
		path: "/api/v1/dead-letters/replays", id: "replayDeadLetters", tag: "portal", handle: (*Portal).replayLetters,
		summary: "Send refused messages that would be accepted now through once more",
		about: "The oldest `most` letters of a reason that are `ready` go to device-data, in one Kafka transaction with the record that they did: none goes twice, " +
			"whoever asks how often. They carry their origin and count as readings that waited in their gateway: alarms of old ones are historical.",
		params:  []parameter{operatorHeader},
		body:    replayBody{},
		example: object{{"reason", "invalid_timestamp"}, {"by", "Li Wei"}, {"most", 120}},
		answers: []response{
			answered(replayJSON{}), failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter", "operator_missing"), foreign, notJSON,
			failing(fiber.StatusServiceUnavailable, "core_unavailable", "letters_unavailable"),
		},
	},
}
