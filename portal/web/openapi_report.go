package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
)

var reportParameters = []parameter{
	timeParameter("from", "Start; eight hours before to by default. At most 31 days before it.", telemetry.MinTimestamp),
	timeParameter("to", "End; now by default. Of one that is to come, the report ends now.", telemetry.MinTimestamp),
	textParameter("building", "Only this building.", "A栋"),
}

const aboutReport = "From the portal's database and the history of readings; docs/report.md has the definition of each figure. What is not known is null, and `unknown` says why."

// reportEndpoints are those of reports.
var reportEndpoints = []endpoint{
	{
		path: "/api/v1/report", id: "getReport", need: viewPlant, tag: "alarms", cost: gathering, handle: (*Portal).getReport,
		summary: "What happened in a shift, a day or a week: alarms, floods, bad actors, availability", about: aboutReport,
		params:  reportParameters,
		answers: []response{answered(plantReport{}), failing(fiber.StatusBadRequest, "bad_parameter"), reportAway},
	},
	{
		path: "/api/v1/report.csv", id: "exportReport", need: investigate, tag: "alarms", cost: gathering, handle: (*Portal).exportReport,
		summary: "The same as a file for spreadsheets", about: aboutReport + " One figure a row: section, building, device, type, severity, figure, value, unit.",
		params:  join(reportParameters, []parameter{langParameter}),
		answers: []response{csvFile, failing(fiber.StatusBadRequest, "bad_parameter"), reportAway},
	},
	{
		path: "/api/v1/shifts", id: "getShifts", need: viewPlant, tag: "alarms", handle: (*Portal).getShifts,
		summary: "When shifts begin: PORTAL_SHIFTS",
		answers: []response{answered(shiftTimes{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
}

var reportAway = failing(fiber.StatusServiceUnavailable, "store_off", "store_unavailable", "store_slow")
