package web

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/store"
)

// parameter is a parameter of an endpoint: in the path if the path has it in braces, in a header if
// header is set, else in the query.
type parameter struct {
	name, about string
	schema      object
	several     bool // comma separated
	header      bool
	required    bool // those in the path are always
	example     any
}

// Kinds of parameters.
func wordParameter(name, about string, words ...string) parameter {
	return parameter{name: name, about: about, schema: oneWord(words...), example: words[0]}
}

func wordsParameter(name, about string, words ...string) parameter {
	return parameter{name: name, about: about + " Comma-separated.", schema: listOf(oneWord(words...)), several: true, example: words[:1]}
}

func textParameter(name, about, example string) parameter {
	return parameter{name: name, about: about, schema: typed("string"), example: example}
}

func flagParameter(name, about string) parameter {
	return parameter{name: name, about: about, schema: typed("boolean"), example: true}
}

func timeParameter(name, about string, earliest int64) parameter {
	return parameter{name: name, about: about + " ms since 1970, UTC.", schema: typed("integer").with("format", "int64").with("minimum", earliest)}
}

func numberParameter(name, about string, usual, low, high int) parameter {
	return parameter{
		name: name, about: about, schema: typed("integer").with("minimum", low).with("maximum", high).with("default", usual), example: usual,
	}
}

func sortParameter(about string, words ...string) parameter {
	return wordParameter("sort", about+" A minus reverses.", words...)
}

// Parameters that several addresses have.
var (
	pagingParameters = []parameter{
		numberParameter("limit", "Most items to return.", defaultLimit, 1, maxLimit),
		numberParameter("offset", "Items to skip.", 0, 0, 1<<31-1),
	}
	// storePagingParameters are those of lists from the database.
	storePagingParameters = []parameter{
		pagingParameters[0],
		numberParameter("offset", "Items to skip. A narrower question, such as a shorter time, finds those behind the last offset.", 0, 0, store.MaxOffset),
	}
	floorParameter = parameter{name: "floor", about: "Floor, a whole number.", schema: typed("integer"), example: 3}

	deviceFilterParameters = []parameter{
		textParameter("building", "Name of the building.", "A栋"),
		textParameter("gateway", "Id of the gateway.", "gw-a"),
		floorParameter,
		textParameter("model", "Model of the device.", "IOT-SENSOR-V2"),
		wordParameter("presence", "Whether the device is sending.", presenceWords...),
		wordParameter("state", "Like presence, or fault: the device has an alarm that needs attention.", stateOfDevice...),
		textParameter("room", "Name of the room.", "301"),
		textParameter("q", "Words that are all found in the id, name, description, tags, building, floor (7, 7F, 7楼), room, model or gateway, in any case. "+
			"Beside the name of a building, or a floor like 7F, a number is a floor or a room.", "301"),
		wordsParameter("condition", "low_battery: at most 20 %; weak_signal: at most -80 dBm; clock_off: its clock is wrong. All of them hold.", conditionWords...),
		textParameter("tag", "A tag that it has.", "pump"),
		{name: "sensor", about: "A sensor that its newest reading has; battery and signal_strength of device_info count, too.", schema: sensorName(), example: "temperature"},
		{name: "min", about: "With `sensor`: the least value, in the unit of /api/v1/sensors.", schema: typed("number")},
		{name: "max", about: "With `sensor`: the greatest value, in that unit.", schema: typed("number")},
	}

	alertFilterParameters = []parameter{
		wordsParameter("state", "Acknowledged or not, active or not.", stateWords...),
		wordParameter("status", "active: the condition holds.", "active", "cleared"),
		wordsParameter("severity", "Severity.", severityWords...),
		textParameter("device_id", "Id of the device.", "device_001"),
		textParameter("building", "Name of the building.", "A栋"),
		floorParameter,
		{name: "alert_type", about: "Types. Comma-separated.", schema: listOf(typed("string")), several: true, example: []string{"temperature_high"}},
		wordsParameter("source", "What detected it.", sourceWords...),
		flagParameter("shelved", "Whether it is shelved."),
		flagParameter("suppressed", "Whether it is suppressed under another alarm."),
		flagParameter("out_of_service", "Whether it is out of service."),
		flagParameter("uncertain", "Whether it is about readings of a device that is offline."),
		flagParameter("historical", "Whether it was found in late readings."),
		textParameter("q", "Part of the device, its name, type, message, building, room, gateway, assignee, rule or id.", "301"),
		timeParameter("from", "Alarms that were open at or after this time, however long ago they were raised.", 0),
		timeParameter("to", "Alarms that were raised before this time.", 0),
	}

	langParameter = wordParameter("lang", "Language of the column names and of texts about alarms; en by default.", "en", "zh")
	zoneParameter = textParameter("zone", "Time zone of the times of day in texts about alarms; UTC by default.", "Asia/Shanghai")

	sensorsParameter = parameter{
		name: "parameters", about: "Names of sensors; all by default. Comma-separated.", several: true, example: []string{"temperature"},
		schema: listOf(sensorName()).with("maxItems", telemetry.MaxSensors),
	}

	exportParameters = []parameter{
		sensorsParameter,
		timeParameter("from", "First time, at most 400 days before to; 24 hours before it by default.", telemetry.MinTimestamp),
		timeParameter("to", "Last time; now by default.", telemetry.MinTimestamp),
	}

	seriesParameters = []parameter{
		sensorsParameter,
		timeParameter("from", "Start, at most 400 days before to; five minutes before it by default.", telemetry.MinTimestamp),
		timeParameter("to", "End; now by default.", telemetry.MinTimestamp),
		numberParameter("points", "Most points to return. If there are not more readings, they are single readings and step_ms is 0.", usualPoints, 2, mostPoints),
	}
)

func inPath(name, about, example string) parameter { return textParameter(name, about, example) }

// join concatenates lists of parameters.
func join(lists ...[]parameter) (out []parameter) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// knownToTable refuses parameters that the endpoint does not have: a misspelled filter would silently
// return everything.
func knownToTable(e *endpoint) fiber.Handler {
	known := names(e.query())
	return func(c *fiber.Ctx) (err error) {
		c.Context().QueryArgs().VisitAll(func(key, _ []byte) {
			if !slices.Contains(known, string(key)) {
				err = refuse(fiber.StatusBadRequest, "bad_parameter", "unknown parameter; valid ones are "+strings.Join(known, ", ")).at(string(key))
			}
		})
		if err != nil {
			return err
		}
		return c.Next()
	}
}

func names(params []parameter) (out []string) {
	for i := range params {
		out = append(out, params[i].name)
	}
	return out
}

// describe returns the parameter for the document.
func (p *parameter) describe(in string) object {
	out := object{{"name", p.name}, {"in", in}, {"description", p.about}, {"schema", p.schema}}
	if in == "path" || p.required {
		out = out.with("required", true)
	}
	if p.several {
		out = out.with("style", "form").with("explode", false)
	}
	if in == "path" && p.example != nil {
		out = out.with("example", p.example)
	}
	return out
}

// filterSchema is alertFilterParameters as an object in a body.
func filterSchema() object {
	var properties object
	for i := range alertFilterParameters {
		p := &alertFilterParameters[i]
		schema := p.schema
		if p.several {
			schema = object{{"anyOf", []object{schema, typed("string")}}}
		}
		properties = properties.with(p.name, schema.with("description", p.about))
	}
	return typed("object").with("description", "The parameters of the list of alarms; {} selects all.").
		with("properties", properties).with("additionalProperties", false)
}
