package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"industrial-iot-monitor/portal/internal/operators"
)

// plantEndpoints are those of devices, buildings, gateways and the portal itself.
var plantEndpoints = []endpoint{
	{
		path: "/api/v1/devices", id: "listDevices", need: viewPlant, tag: "devices", cost: sorting, handle: (*Portal).listDevices,
		summary: "Devices with place, presence, age, alarms and newest reading",
		params: join(deviceFilterParameters, []parameter{
			deviceSortParameter,
		}, pagingParameters),
		answers: []response{answered(list[device]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/devices/{id}", id: "getDevice", need: viewPlant, tag: "devices", handle: (*Portal).getDevice,
		summary: "One device",
		about: "With `trace=1`, which needs the permission `maintain`, its gateway follows the next reading that it stores within a minute: `trace.id` is the trace's in the collector. " +
			"traces_off: the portal sends no traces. not_traced: the gateway says why it follows none.",
		params: []parameter{deviceInPath, wordParameter("trace", "1: the next reading of the device is traced.", "1")},
		answers: []response{
			answered(deviceAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
			failing(fiber.StatusConflict, "traces_off"), failing(fiber.StatusServiceUnavailable, "gateway_unreachable", "not_traced"),
		},
	},
	{
		method: fiber.MethodPatch, need: deviceCommand,
		path: "/api/v1/devices/{id}", id: "describeDevice", tag: "commands", handle: (*Portal).describeDevice,
		summary: "Name a device, describe and tag it",
		about: "At least one of `name`, `description` and `tags`; one that is left out stays as it is, an empty one is removed. " +
			"Sent again with the same command_id it is done once. With `if_revision` it is refused with `conflict` if somebody else changed the device in between.",
		params: []parameter{deviceInPath, operatorHeader}, body: describeBody{},
		example: object{{"by", "李工"}, {"name", "东侧循环泵"}, {"tags", []string{"pump"}}},
		answers: deviceCommandAnswers("bad_json", "bad_field", "bad_parameter", "operator_missing"),
	},
	{
		method: fiber.MethodDelete, need: deviceCommand,
		path: "/api/v1/devices/{id}", id: "removeDevice", tag: "commands", handle: (*Portal).removeDevice,
		summary: "Remove a device",
		about: "Its alarms are closed, its state and name are deleted; its readings in Kafka and in the history stay. " +
			"If it sends again it is a new device. The body may be empty if the header names the operator.",
		params: []parameter{deviceInPath, operatorHeader}, body: removeBody{},
		example: object{{"by", "李工"}, {"note", "replaced"}},
		answers: deviceCommandAnswers("bad_json", "bad_field", "bad_parameter", "operator_missing"),
	},
	{
		method: fiber.MethodPut, need: deviceCommand,
		path: "/api/v1/devices/{id}/maintenance", id: "maintainDevice", tag: "commands", handle: (*Portal).maintainDevice,
		summary: "Put a device under maintenance until a time",
		about: "Its alarms are kept and shelved (`shelved.maintenance`), also those that come up meanwhile: they call nobody. It ends by itself; what still holds is an " +
			"alarm like any other then. Sent again with another end or reason it is changed. At most 90 days.",
		params: []parameter{deviceInPath, operatorHeader}, body: maintainBody{},
		example: object{{"by", "李工"}, {"duration", "4h"}, {"reason", "更换轴承"}},
		answers: deviceCommandAnswers("bad_json", "bad_field", "bad_parameter", "operator_missing"),
	},
	{
		method: fiber.MethodDelete, need: deviceCommand,
		path: "/api/v1/devices/{id}/maintenance", id: "endMaintenance", tag: "commands", handle: (*Portal).endMaintenance,
		summary: "End the maintenance of a device",
		params:  []parameter{deviceInPath, operatorHeader}, body: endMaintenanceBody{},
		example: object{{"by", "李工"}},
		answers: deviceCommandAnswers("bad_json", "bad_field", "bad_parameter", "operator_missing"),
	},
	{
		path: "/api/v1/devices/{id}/series", id: "getDeviceSeries", need: viewPlant, tag: "devices", cost: sorting, handle: (*Portal).getDeviceSeries,
		summary: "Time series of a device's sensors",
		about:   "Mean, minimum and maximum of each step, from the history of readings, which starts at `begins`.",
		params:  join([]parameter{deviceInPath}, seriesParameters),
		answers: []response{
			answered(deviceSeries{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
			failing(fiber.StatusServiceUnavailable, "history_unavailable", "history_off"),
		},
	},
	{
		path: "/api/v1/devices/{id}/readings.csv", id: "exportReadingsCSV", need: investigate, tag: "devices", cost: gathering, handle: (*Portal).exportReadingsCSV,
		summary: "All readings of a device as CSV",
		about:   "A line for each value. Oldest first. A download that ends early ends without its last chunk.",
		params:  join([]parameter{deviceInPath}, exportParameters),
		answers: readingsAnswers("text/csv"),
	},
	{
		path: "/api/v1/devices/{id}/readings.ndjson", id: "exportReadingsNDJSON", need: investigate, tag: "devices", cost: gathering, handle: (*Portal).exportReadingsNDJSON,
		summary: "All readings of a device as NDJSON",
		about:   "A line for each reading, with its sensors as in the message of the device. Oldest first. A download that ends early ends without its last chunk.",
		params:  join([]parameter{deviceInPath}, exportParameters),
		answers: readingsAnswers("application/x-ndjson"),
	},
	{
		path: "/api/v1/sensors", id: "listSensors", need: viewPlant, tag: "devices", cost: sorting, handle: (*Portal).listSensors,
		summary: "Sensors: the catalogue, and what occurs in the plant",
		params:  []parameter{flagParameter("occurring", "Whether a device has it in its newest reading.")},
		answers: []response{answered(list[sensor]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/buildings", id: "listBuildings", need: viewPlant, tag: "buildings", handle: (*Portal).listBuildings,
		summary: "Buildings with devices, alarms and means of the last minute",
		answers: []response{answered(list[building]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/buildings/{name}/series", id: "getBuildingSeries", need: viewPlant, tag: "buildings", cost: sorting, handle: (*Portal).getBuildingSeries,
		summary: "Time series of a building's means",
		about: "The mean of the newest values of all its devices, weighted by time, with the lowest and the highest value, by whole minutes; " +
			"within the last ten minutes each 5 s, of the newest values of the devices that are online. `n` is how many devices that are; " +
			"from `p10` to `p90` are the values without a tenth at either end, which the history does not keep: there both are missing.",
		params: join([]parameter{inPath("name", "Name of the building, percent-encoded.", "A栋")}, seriesParameters),
		answers: []response{
			answered(buildingSeries{}), failing(fiber.StatusBadRequest, "bad_parameter", "bad_request"),
			failing(fiber.StatusNotFound, "building_not_found"),
			failing(fiber.StatusServiceUnavailable, "history_unavailable", "history_off"),
		},
	},
	{
		path: "/api/v1/gateways", id: "listGateways", need: viewPlant, tag: "gateways", handle: (*Portal).listGateways,
		summary: "Gateways: last heartbeat, ledger and troubles",
		about: "Values of `trouble`: silent (no heartbeat for 5 s), buffer_full (devices must retry later), horizon (a tenth of the buffer " +
			"is used and the rest lasts for less than 2 h), duplicate (two installations use this id), difference (the ledger does not add up), " +
			"damaged (readings since the gateway's start are known to be lost), no_ledger (the last ledger is older than 30 s).",
		answers: []response{answered(list[gateway]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/stats", id: "getStats", need: viewPlant, tag: "portal", handle: (*Portal).getStats,
		summary: "Counts, rates and latencies of the last ten seconds, means by building",
		answers: []response{answered(stats{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/operators", id: "listOperators", need: viewPlant, tag: "portal", handle: (*Portal).listOperators,
		summary: "Who is at the screens",
		about: "The operators whose pages are connected to this portal and to those that share a Redis with it, one entry for each portal. " +
			"The name is that of the header X-Operator, or the one that was entered at the screen; an entry without a name counts the screens without one.",
		answers: []response{answered(list[operators.Operator]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/export.csv", id: "exportDevices", need: investigate, tag: "devices", cost: gathering, handle: (*Portal).exportCSV,
		summary: "The selected devices as a CSV file",
		about: "UTF-8 with a byte order mark, one row per device. Text that a spreadsheet could read as a " +
			"formula gets a leading apostrophe.",
		params: join(deviceFilterParameters, []parameter{deviceSortParameter, langParameter}),
		answers: []response{
			csvFile, failing(fiber.StatusBadRequest, "bad_parameter"),
		},
	},
	{
		path: "/livez", id: "live", need: anyone, tag: "operations", handle: (*Portal).operations,
		summary: "Liveness",
		answers: []response{{status: fiber.StatusOK, about: "ok", media: fiber.MIMETextPlain, body: ""}},
	},
	{
		path: "/readyz", id: "ready", need: anyone, tag: "operations", handle: (*Portal).operations,
		summary: "Readiness: the hub is connected and Kafka's topics have been read",
		answers: []response{
			{status: fiber.StatusOK, about: "`ready`; `ok` to other machines without the token.", media: fiber.MIMETextPlain, body: ""},
			{status: fiber.StatusServiceUnavailable, about: "`not ready`, and the reason: not to other machines without the token.", media: fiber.MIMETextPlain, body: ""},
		},
	},
	{
		path: "/metrics", id: "metrics", need: anyone, tag: "operations", handle: (*Portal).operations,
		summary: "Metrics in the text format of Prometheus",
		about:   "From other machines, and by proxies, with `Authorization: Bearer` and the token OPS_TOKEN.",
		answers: []response{
			{status: fiber.StatusOK, about: "The metrics.", media: fiber.MIMETextPlain, body: ""},
			{status: fiber.StatusUnauthorized, about: "Another machine without the token.", media: fiber.MIMETextPlain, body: ""},
		},
	},
}

func deviceCommandAnswers(bad ...string) []response {
	return []response{
		answered(deviceCommandAnswer{}),
		{status: fiber.StatusAccepted, about: "Stored in Kafka; core has not answered within 2 s. Ask again with the same command_id.", body: deviceCommandAnswer{}},
		failing(fiber.StatusBadRequest, bad...), foreign, failing(fiber.StatusNotFound, "device_not_found"),
		failing(fiber.StatusConflict, "command_refused", "command_id_reused", "conflict"),
		notJSON, failing(fiber.StatusServiceUnavailable, "kafka_unavailable"),
	}
}

var deviceSortParameter = parameter{
	name: "sort", example: "-sensors.temperature",
	about:  "device_id by default; alerts: by need of attention; age: oldest first; sensors.<name>: by that sensor's value, devices without one last. A minus reverses.",
	schema: typed("string").with("pattern", `^-?(`+strings.Join(sortNames, "|")+`|sensors\.[a-z][a-z0-9_]{0,31})$`),
}

var deviceInPath = inPath("id", "Id of the device.", "device_001")

// operations serves the endpoints that every program has.
func (p *Portal) operations(c *fiber.Ctx) error { return adaptor.HTTPHandler(p.ops)(c) }

// readingsAnswers are those of an export of readings.
func readingsAnswers(media string) []response {
	return []response{
		{status: fiber.StatusOK, about: "The readings, streamed.", media: media, body: ""},
		failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
		failing(fiber.StatusServiceUnavailable, "history_unavailable", "history_off"),
	}
}
