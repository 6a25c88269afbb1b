package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/pipeline"
)

// pipelineEndpoints are those of the plant's own programs.
var pipelineEndpoints = []endpoint{
	{
		path: "/api/v1/pipeline", id: "getPipeline", tag: "portal", handle: (*Portal).getPipeline,
		summary: "The stages between a device and a screen: rate, time and backlog, now and over the last hour",
		about: "Stages of the live path: gateway (from a message to its acknowledgement), line (from there to core: lines and bridge), core, " +
			"portal (from core into this portal), screen (into the sockets of its screens). Beside it, of the record path: kafka (a transaction of the bridge), " +
			"commit (a transaction of core; `lag` counts the records before it). `ms` is the mean time that the stage itself takes.",
		params:  []parameter{timeParameter("from", "Where the courses begin; without it an hour ago.", 0)},
		answers: []response{answered(pipeline.Pipeline{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/processes", id: "listProcesses", tag: "portal", handle: (*Portal).listProcesses,
		summary: "The processes of the plant: version, restarts, CPU and memory of the last hour",
		about: "Gateways, bridges, cores and portals report themselves every five seconds over the hub; one that has not for an hour is dropped. " +
			"Programs with the same `host` and `pid` share a process, and its resources are told of each of them.",
		params:  pagingParameters,
		answers: []response{answered(list[pipeline.Process]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/events", id: "listEvents", tag: "portal", handle: (*Portal).listEvents,
		summary: "What changed in the plant since this portal started, the newest first",
		about: "Values of `kind`: started, restarted (`from` and `to` are versions), silent (no report for three intervals), back, " +
			"changed (a `fact`, such as rules, the version of the alarm rules). The newest 200 are kept.",
		params:  pagingParameters,
		answers: []response{answered(list[pipeline.PlantEvent]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/warnings", id: "listWarnings", tag: "portal", handle: (*Portal).listWarnings,
		summary: "The newest warnings and errors in the logs of the plant's processes",
		about:   "The newest 200 since this portal started. The texts are those of the logs, in English.",
		params:  pagingParameters,
		answers: []response{answered(list[pipeline.Warning]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
}
