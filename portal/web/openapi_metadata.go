package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/metadata"
)

// endpoints are those of all tables.
func endpoints() [][]endpoint {
	return [][]endpoint{plantEndpoints, centralEndpoints, anomalyEndpoints, alarmEndpoints, ruleEndpoints, reportEndpoints, metadataEndpoints, planEndpoints, pipelineEndpoints, peopleEndpoints, securityEndpoints}
}

const (
	aboutKept = "Kept in Kafka and in the portal's database. 202: it is in Kafka and cannot be lost, the database has not applied it yet."
	aboutList = "From the portal's database. `total` counts to 1,000; `more` says that there are more."
)

// metadataEndpoints are those of what operators keep, and of the registry of devices.
var metadataEndpoints = []endpoint{
	{
		path: "/api/v1/views", id: "listViews", need: viewPlant, tag: "views", handle: (*Portal).listViews,
		summary: "Saved views: shared ones and the operator's own, by name", about: aboutList,
		params:  join(ownedParameters, []parameter{wordParameter("page", "Views of this page.", metadata.Pages...)}, storePagingParameters),
		answers: listAnswers(pages[viewItem]{}),
	},
	{
		path: "/api/v1/views/{id}", id: "getView", need: viewPlant, tag: "views", handle: (*Portal).getView,
		summary: "One view", params: []parameter{documentInPath}, answers: oneAnswers(viewItem{}),
	},
	creates(endpoint{
		path: "/api/v1/views", id: "createView", tag: "views", handle: views.create, summary: "Save a view", body: viewBody{},
		example: object{{"by", "李工"}, {"name", "A栋 未确认"}, {"page", "alarms"}, {"query", "building=A%E6%A0%8B&state=unacknowledged"}},
	}, viewAnswer{}, "id_used", "name_taken"),
	changes(fiber.MethodPut, endpoint{
		path: "/api/v1/views/{id}", id: "updateView", tag: "views", handle: views.update, summary: "Replace a view", params: []parameter{documentInPath}, body: viewBody{},
		example: object{{"by", "李工"}, {"name", "A栋 未确认"}, {"page", "alarms"}, {"query", "building=A%E6%A0%8B"}},
	}, viewAnswer{}, "conflict", "name_taken"),
	deletes(endpoint{
		path: "/api/v1/views/{id}", id: "deleteView", tag: "views", handle: views.delete, summary: "Delete a view", params: []parameter{documentInPath},
	}, viewAnswer{}),
	{
		path: "/api/v1/dashboards", id: "listDashboards", need: viewPlant, tag: "views", handle: (*Portal).listDashboards,
		summary: "Dashboards: shared ones and the operator's own, by name", about: aboutList,
		params: join(ownedParameters, storePagingParameters), answers: listAnswers(pages[dashboardItem]{}),
	},
	{
		path: "/api/v1/dashboards/{id}", id: "getDashboard", need: viewPlant, tag: "views", handle: (*Portal).getDashboard,
		summary: "One dashboard", params: []parameter{documentInPath}, answers: oneAnswers(dashboardItem{}),
	},
	creates(endpoint{
		path: "/api/v1/dashboards", id: "createDashboard", tag: "views", handle: dashboards.create,
		summary: "Keep a dashboard", about: "At most 60 KiB.", body: dashboardBody{}, example: dashboardExample,
	}, dashboardAnswer{}, "id_used", "name_taken"),
	changes(fiber.MethodPut, endpoint{
		path: "/api/v1/dashboards/{id}", id: "updateDashboard", tag: "views", handle: dashboards.update,
		summary: "Replace a dashboard", params: []parameter{documentInPath}, body: dashboardBody{}, example: dashboardExample,
	}, dashboardAnswer{}, "conflict", "name_taken"),
	deletes(endpoint{
		path: "/api/v1/dashboards/{id}", id: "deleteDashboard", tag: "views", handle: dashboards.delete, summary: "Delete a dashboard", params: []parameter{documentInPath},
	}, dashboardAnswer{}),
	{
		path: "/api/v1/shiftnotes", id: "listShiftNotes", need: viewPlant, tag: "notes", cost: sorting, handle: (*Portal).listShiftNotes,
		summary: "The shift log, the newest shift first", about: aboutList,
		params: join(shiftNoteParameters, storePagingParameters), answers: listAnswers(pages[shiftNoteItem]{}),
	},
	{
		path: "/api/v1/shiftnotes.csv", id: "exportShiftNotes", need: investigate, tag: "notes", cost: gathering, handle: (*Portal).exportShiftNotes,
		summary: "The shift log as a file for spreadsheets", about: aboutPastCSV,
		params:  join(shiftNoteParameters, []parameter{langParameter}),
		answers: []response{csvFile, failing(fiber.StatusBadRequest, "bad_parameter"), storeAway},
	},
	{
		path: "/api/v1/shiftnotes/{id}", id: "getShiftNote", need: viewPlant, tag: "notes", handle: (*Portal).getShiftNote,
		summary: "One note of the shift log", params: []parameter{documentInPath}, answers: oneAnswers(shiftNoteItem{}),
	},
	creates(endpoint{
		path: "/api/v1/shiftnotes", id: "createShiftNote", tag: "notes", handle: (*Portal).createShiftNote, summary: "Write into the shift log", body: shiftNoteBody{},
		about: "A note is never changed: `replaces` names the one that this one corrects, and both stay. Each is corrected once.",
		example: object{
			{"by", "李工"},
			{"building", "A栋"},
			{"shift_start", 1_700_000_000_000},
			{"text", "3号泵有异响，已降速，白班请检查轴承。"},
			{"priority", true},
		},
	}, shiftNoteAnswer{}, "id_used", "replaced"),
	{
		method: fiber.MethodPost, need: keepNotes,
		path: "/api/v1/shiftnotes/{id}/sign", id: "signShiftNote", tag: "notes", handle: (*Portal).signShiftNote,
		summary: "Sign a note of the shift log: read and understood", about: aboutKept + " Twice is once.",
		params: []parameter{documentInPath, operatorHeader}, body: authorBody{}, example: object{{"by", "王工"}},
		answers: []response{
			answered(shiftNoteAnswer{}), pendingAnswer(shiftNoteAnswer{}), badChange,
			foreign, noDocument, failing(fiber.StatusConflict, "conflict"), notJSON, notKeeping,
		},
	},
	{
		path: "/api/v1/devices/{id}/notes", id: "listDeviceNotes", need: viewPlant, tag: "notes", handle: (*Portal).listDeviceNotes,
		summary: "Notes on a device, the newest first", about: aboutList,
		params:  join([]parameter{deviceInPath, wordParameter("deleted", "true: also those that were deleted.", "true", "false")}, storePagingParameters),
		answers: listAnswers(pages[deviceNoteItem]{}),
	},
	creates(endpoint{
		path: "/api/v1/devices/{id}/notes", id: "createDeviceNote", tag: "notes", handle: (*Portal).createDeviceNote,
		summary: "Write a note on a device", params: []parameter{deviceInPath}, body: deviceNoteBody{}, example: object{{"by", "李工"}, {"text", "探头已更换"}},
		answers: []response{failing(fiber.StatusNotFound, "device_not_found")},
	}, deviceNoteAnswer{}, "id_used"),
	changes(fiber.MethodPut, endpoint{
		path: "/api/v1/devices/{id}/notes/{note}", id: "updateDeviceNote", tag: "notes", handle: (*Portal).updateDeviceNote,
		summary: "Change a note on a device", about: "What it was before stays in its history.",
		params: []parameter{deviceInPath, noteInPath}, body: deviceNoteBody{}, example: object{{"by", "李工"}, {"text", "探头已更换，已校准"}},
	}, deviceNoteAnswer{}, "conflict"),
	deletes(endpoint{
		path: "/api/v1/devices/{id}/notes/{note}", id: "deleteDeviceNote", tag: "notes", handle: (*Portal).deleteDeviceNote,
		summary: "Delete a note on a device", about: "Its history stays.", params: []parameter{deviceInPath, noteInPath},
	}, deviceNoteAnswer{}),
	{
		path: "/api/v1/devices/{id}/notes/{note}/history", id: "listNoteChanges", need: viewPlant, tag: "notes", handle: (*Portal).listNoteChanges,
		summary: "What a note on a device was, the newest change first", about: aboutList,
		params:  join([]parameter{deviceInPath, noteInPath}, storePagingParameters),
		answers: append(listAnswers(pages[changeItem]{}), noDocument),
	},
	{
		path: "/api/v1/registry", id: "listRegistry", need: viewPlant, tag: "devices", cost: sorting, handle: (*Portal).listRegistry,
		summary: "Every device that was ever seen, by id", about: aboutList + " It has a new device within seconds.",
		params: join(registryParameters, storePagingParameters), answers: listAnswers(pages[registryItem]{}),
	},
	{
		path: "/api/v1/registry.csv", id: "exportRegistry", need: investigate, tag: "devices", cost: gathering, handle: (*Portal).exportRegistry,
		summary: "The registry of devices as a file for spreadsheets", about: aboutPastCSV,
		params:  join(registryParameters, []parameter{langParameter}),
		answers: []response{csvFile, failing(fiber.StatusBadRequest, "bad_parameter"), storeAway},
	},
	{
		path: "/api/v1/registry/{id}", id: "getRegistered", need: viewPlant, tag: "devices", handle: (*Portal).getRegistered,
		summary: "One device of the registry", params: []parameter{deviceInPath},
		answers: []response{answered(registryAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"), notReading},
	},
	{
		method: fiber.MethodPut, need: keepNotes,
		path: "/api/v1/registry/{id}", id: "writeFacts", tag: "devices", handle: (*Portal).writeFacts,
		summary: "Write where a device is installed, how often it should send, its documents and its photo",
		about:   aboutKept + " Facts for people: core does not use them. If-Match is \"0\" when nobody wrote them yet. `documents` and `photo` stay as they are if they are left out.",
		params:  []parameter{deviceInPath, operatorHeader, versionHeader}, body: factsBody{},
		example: object{{"by", "李工"}, {"place", "冷冻站 3号泵出口"}, {"expected_interval_s", 5}, {"documents", []object{{{"title", "手册"}, {"url", "https://example.com/m.pdf"}}}}},
		answers: []response{
			answered(registryAnswer{}), pendingAnswer(registryAnswer{}), badChange,
			foreign, failing(fiber.StatusNotFound, "device_not_found"), failing(fiber.StatusConflict, "conflict"), notJSON, noVersion, notKeeping,
		},
	},
}

var dashboardExample = object{
	{"by", "李工"},
	{"name", "冷冻站"},
	{"tiles", []object{
		{{"type", "chart"}, {"title", "温度"}, {"query", "device_id=device_001&parameters=temperature"}, {"width", 6}},
		{{"type", "alarms"}, {"query", "state=unacknowledged"}},
	}},
}

var (
	documentInPath = inPath("id", "Its id.", "p-1")
	noteInPath     = inPath("note", "Id of the note.", "p-1")
	versionHeader  = parameter{
		name: fiber.HeaderIfMatch, about: "The version to which the change is made, as in \"3\".", schema: typed("string").with("pattern", `^"?[0-9]{1,18}"?$`), example: `"3"`, header: true, required: true,
	}
	ownedParameters = []parameter{
		{name: "scope", about: "Only shared ones, or only the operator's own.", schema: oneWord(metadata.Scopes...)},
		textParameter("by", "The operator whose own ones are meant, unless the header "+headerOperator+" says so.", "李工"),
		textParameter("q", "Part of the name, description or author.", "泵"),
	}
	shiftNoteParameters = []parameter{
		textParameter("building", "Name of the building.", "A栋"), textParameter("author", "Who wrote it.", "李工"),
		textParameter("q", "Part of the text, building or author.", "泵"),
		timeParameter("from", "Shifts that started at or after this time.", 0), timeParameter("to", "Shifts that started before this time.", 0),
		wordParameter("priority", "true: only those that the next shift has to act on.", "true", "false"),
		wordParameter("current", "true: without those that were corrected.", "true", "false"),
	}
	registryParameters = []parameter{
		textParameter("building", "Name of the building.", "A栋"), textParameter("q", "Part of the id, name, description, a tag, building, room, model, gateway or place.", "泵"),
		wordParameter("removed", "Those that were removed, or those that are there.", "true", "false"),
		timeParameter("from", "Devices that were there at or after this time.", 0), timeParameter("to", "Devices that were first seen before this time.", 0),
	}

	badChange  = failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter", "operator_missing")
	noDocument = failing(fiber.StatusNotFound, "document_not_found")
	noVersion  = failing(fiber.StatusPreconditionRequired, "version_missing")
	notReading = failing(fiber.StatusServiceUnavailable, "store_off", "store_unavailable", "store_slow")
	notKeeping = failing(fiber.StatusServiceUnavailable, "kafka_unavailable", "store_off", "store_unavailable", "store_slow")
)

func pendingAnswer(body any) response {
	return response{status: fiber.StatusAccepted, about: "It is in Kafka and cannot be lost; the database has not applied it within 2 s.", body: body}
}

func listAnswers(body any) []response {
	return []response{answered(body), failing(fiber.StatusBadRequest, "bad_parameter"), notReading}
}

func oneAnswers(body any) []response {
	return []response{answered(body), failing(fiber.StatusBadRequest, "bad_parameter"), noDocument, notReading}
}

// creates completes an endpoint that keeps a new document: what is the same in all of them.
func creates(e endpoint, answer any, clashes ...string) endpoint {
	e.method, e.need, e.about = fiber.MethodPost, keepNotes, strings.TrimSpace(aboutKept+" "+e.about)
	e.params = append(e.params, operatorHeader)
	e.answers = append([]response{
		answered(answer), pendingAnswer(answer), badChange, foreign, failing(fiber.StatusConflict, clashes...), notJSON, notKeeping,
	}, e.answers...)
	return e
}

// changes completes an endpoint that replaces or deletes a document.
func changes(method string, e endpoint, answer any, clashes ...string) endpoint {
	e.method, e.need, e.about = method, keepNotes, strings.TrimSpace(aboutKept+" "+e.about)
	e.params = append(e.params, operatorHeader, versionHeader)
	e.answers = []response{
		answered(answer), pendingAnswer(answer), badChange, failing(fiber.StatusForbidden, "origin_not_allowed", "forbidden", "not_owner"),
		noDocument, failing(fiber.StatusConflict, clashes...), notJSON, noVersion, notKeeping,
	}
	return e
}

// deletes completes an endpoint that deletes a document.
func deletes(e endpoint, answer any) endpoint {
	e.body, e.example = authorBody{}, object{{"by", "李工"}}
	return changes(fiber.MethodDelete, e, answer, "conflict")
}
