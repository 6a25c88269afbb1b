package web

import "github.com/gofiber/fiber/v2"

// securityEndpoints are those of the security audit.
var securityEndpoints = []endpoint{
	{
		path: "/api/v1/audit/security", id: "listSecurityAudit", need: managePeople, tag: "people", cost: sorting, handle: (*Portal).listSecurity,
		summary: "The security audit: sign-ins, changes of who may do what, and refusals",
		about: "From the portal's database, which copies it from Kafka; `portal audit verify` checks the original. `total` counts to 1,000; `more` says that there are more. " +
			"`complete` is false while the database lacks records that Kafka has.",
		params: join(securityParameters, []parameter{
			sortParameter("-time by default: newest first.", "-time", "time"),
		}, storePagingParameters),
		answers: []response{answered(securityAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), noSecurity},
	},
	{
		path: "/api/v1/audit/security.csv", id: "exportSecurityAudit", need: managePeople, tag: "people", cost: gathering, handle: (*Portal).exportSecurity,
		summary: "The security audit as a file for spreadsheets, newest first",
		about:   aboutPastCSV,
		params:  join(securityParameters, []parameter{langParameter, zoneParameter}),
		answers: []response{csvFile, failing(fiber.StatusBadRequest, "bad_parameter"), storeAway},
	},
}

var (
	securityParameters = []parameter{
		textParameter("who", "Name of the person, `token:` and that of a program, or `shell:` and that of a user of the machine.", "李工"),
		wordsParameter("what", "Events.", securityWhats...), wordsParameter("outcome", "Outcomes.", securityOutcomes...),
		textParameter("about", "What it was done to: name or id of a person, token, gateway, program, rule or alarm.", "王工"),
		textParameter("program", "The program that wrote it.", "portal"),
		timeParameter("from", "Happened at or after this time.", 0), timeParameter("to", "Happened before this time.", 0),
	}
	noSecurity = failing(fiber.StatusServiceUnavailable, "store_off", "store_unavailable", "store_slow")
)
