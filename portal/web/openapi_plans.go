package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/metadata"
)

// planEndpoints are those of the plans of floors and of pictures.
var planEndpoints = []endpoint{
	{
		method: fiber.MethodPost, need: keepNotes,
		path: imagesPath, id: "uploadImage", tag: "plans", handle: (*Portal).uploadImage,
		summary: "Upload a picture: the plan of a floor, or a photo of a device",
		about: aboutKept + " PNG, JPEG or WebP, at most 512 KiB and 2000 × 2000 pixels, which its first bytes say; no SVG. Its id is the SHA-256 of its bytes, " +
			"so the same picture is kept once. Plans and devices name it by that.",
		params: []parameter{operatorHeader}, body: imageBody{},
		example: object{{"by", "李工"}, {"data", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="}},
		answers: []response{answered(imageAnswer{}), pendingAnswer(imageAnswer{}), badChange, foreign, notJSON, notKeeping},
	},
	{
		path: imagesPath + "/{id}", id: "getImage", need: viewPlant, tag: "plans", handle: (*Portal).getImage,
		summary: "A picture", about: "It never changes, and may be kept by the browser.",
		params: []parameter{inPath("id", "Its id.", "0000000000000000000000000000000000000000000000000000000000000000")},
		answers: []response{
			{status: fiber.StatusOK, about: "The picture; its type is that of the upload.", media: strings.Join(metadata.Types, ","), body: ""},
			{status: fiber.StatusNotModified, about: "The sender has it."},
			failing(fiber.StatusBadRequest, "bad_parameter"), noDocument, notReading,
		},
	},
	{
		path: "/api/v1/plans", id: "listPlans", need: viewPlant, tag: "plans", handle: (*Portal).listPlans,
		summary: "Plans of floors, the newest first", about: aboutList,
		params:  join([]parameter{textParameter("building", "Name of the building.", "A栋")}, storePagingParameters),
		answers: listAnswers(pages[planItem]{}),
	},
	{
		path: "/api/v1/buildings/{name}/floors/{floor}/plan", id: "getPlan", need: viewPlant, tag: "plans", handle: (*Portal).getPlan,
		summary: "The plan of a floor", about: "Version 0, without a picture and points, if nobody made one.",
		params:  floorInPath,
		answers: []response{answered(planAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter"), notReading},
	},
	{
		method: fiber.MethodPut, need: keepNotes,
		path: "/api/v1/buildings/{name}/floors/{floor}/plan", id: "writePlan", tag: "plans", handle: (*Portal).writePlan,
		summary: "Write the plan of a floor: its picture, and where on it the devices are",
		about:   aboutKept + " Points are in percent of the picture, from the top left. If-Match is \"0\" when nobody made a plan yet.",
		params:  join(floorInPath, []parameter{operatorHeader, versionHeader}), body: planBody{},
		example: object{{"by", "李工"}, {"image", ""}, {"points", []object{{{"device_id", "device_001"}, {"x", 12.5}, {"y", 80}}}}},
		answers: []response{
			answered(planChange{}), pendingAnswer(planChange{}), badChange, foreign, failing(fiber.StatusConflict, "conflict"), notJSON, noVersion, notKeeping,
		},
	},
}

var (
	floorInPath = []parameter{
		inPath("name", "Name of the building, percent-encoded.", "A栋"),
		{name: "floor", example: "3", about: "Number of the floor.", schema: typed("string").with("pattern", `^-?[0-9]{1,4}$`)},
	}
	imageIDSchema = typed("string").with("pattern", "^([0-9a-f]{64})?$")
	linksSchema   = orNull(typed("array")).with("items", object{
		{"type", "object"},
		{"additionalProperties", false},
		{"required", []string{"title", "url"}},
		{"properties", object{
			{"title", typed("string").with("minLength", 1).with("maxLength", 128)},
			{"url", typed("string").with("pattern", "^https?://").with("maxLength", 1024)},
		}},
	}).with("maxItems", metadata.MaxLinks)
)
