package web

import (
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
)

// plantEndpoints are those about devices, buildings and gateways, and about the portal itself.
var plantEndpoints = []endpoint{
	{
		path: "/api/v1/devices", id: "listDevices", tag: "devices", handle: (*Portal).listDevices,
		summary: "Devices with place, presence, age, alarms and newest reading",
		params: join(deviceFilterParameters, []parameter{
			sortParameter("device_id unless told; alerts: those first that need attention most; age: the oldest first.", sortNames...),
		}, pagingParameters),
		answers: []response{answered(list[device]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/devices/{id}", id: "getDevice", tag: "devices", handle: (*Portal).getDevice,
		summary: "One device",
		params:  []parameter{deviceInPath},
		answers: []response{
			answered(deviceAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
		},
	},
	{
		path: "/api/v1/devices/{id}/series", id: "getDeviceSeries", tag: "devices", handle: (*Portal).getDeviceSeries,
		summary: "How a device's sensors went",
		about:   "Mean, lowest and highest of each step; what the portal holds in memory, from `begins` on.",
		params:  join([]parameter{deviceInPath}, seriesParameters),
		answers: []response{
			answered(deviceSeries{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
		},
	},
	{
		path: "/api/v1/buildings", id: "listBuildings", tag: "buildings", handle: (*Portal).listBuildings,
		summary: "Buildings with devices, alarms and means of the last minute",
		answers: []response{answered(list[building]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/buildings/{name}/series", id: "getBuildingSeries", tag: "buildings", handle: (*Portal).getBuildingSeries,
		summary: "How a building's means went",
		params:  join([]parameter{inPath("name", "Name of the building, percent-encoded.", "A栋")}, seriesParameters),
		answers: []response{
			answered(buildingSeries{}), failing(fiber.StatusBadRequest, "bad_parameter", "bad_request"),
			failing(fiber.StatusNotFound, "building_not_found"),
		},
	},
	{
		path: "/api/v1/gateways", id: "listGateways", tag: "gateways", handle: (*Portal).listGateways,
		summary: "Gateways: last heartbeat, ledger, and what is wrong",
		about: "Words of `trouble`: silent (no heartbeat for 5 s), buffer_full (devices are told to retry later), horizon (a tenth of the buffer " +
			"is used and the rest lasts for less than 2 h), duplicate (two installations use this id), difference (the ledger does not add up), " +
			"damaged (readings of the present start are known to be lost), no_ledger (the last ledger is older than 30 s).",
		answers: []response{answered(list[gateway]{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/stats", id: "getStats", tag: "portal", handle: (*Portal).getStats,
		summary: "Counts, rates and latencies of the last ten seconds, means by building",
		answers: []response{answered(stats{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		path: "/api/v1/export.csv", id: "exportDevices", tag: "devices", handle: (*Portal).exportCSV,
		summary: "The devices that match as a CSV file",
		about: "UTF-8 with a byte order mark, one row for each device that the list would count. Texts that a spreadsheet could take for a " +
			"formula begin with an apostrophe.",
		params: join(deviceFilterParameters, []parameter{wordParameter("lang", "Language of the column names; en unless told.", "en", "zh")}),
		answers: []response{
			{status: fiber.StatusOK, about: "The file, streamed.", media: "text/csv", body: ""}, failing(fiber.StatusBadRequest, "bad_parameter"),
		},
	},
	{
		path: "/livez", id: "live", tag: "operations", handle: (*Portal).operations,
		summary: "Whether the process lives",
		answers: []response{{status: fiber.StatusOK, about: "ok", media: fiber.MIMETextPlain, body: ""}},
	},
	{
		path: "/readyz", id: "ready", tag: "operations", handle: (*Portal).operations,
		summary: "Whether the hub is connected and what Kafka holds has been read",
		answers: []response{
			{status: fiber.StatusOK, about: "ready", media: fiber.MIMETextPlain, body: ""},
			{status: fiber.StatusServiceUnavailable, about: "What is missing.", media: fiber.MIMETextPlain, body: ""},
		},
	},
	{
		path: "/metrics", id: "metrics", tag: "operations", handle: (*Portal).operations,
		summary: "Metrics in the text format of Prometheus",
		answers: []response{{status: fiber.StatusOK, about: "The metrics.", media: fiber.MIMETextPlain, body: ""}},
	},
}

var deviceInPath = inPath("id", "Id of the device.", "device_001")

// operations answers what every program of the product answers.
func (p *Portal) operations(c *fiber.Ctx) error { return adaptor.HTTPHandler(p.ops)(c) }
