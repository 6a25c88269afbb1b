package web

import "github.com/gofiber/fiber/v2"

// parameter is one parameter of an address: in its path when the path has it in braces, in a
// header when it says so, else in the query.
type parameter struct {
	name, about string
	schema      object
	several     bool // comma separated
	header      bool // it is a header
	example     any
}

// Kinds of parameters.
func wordParameter(name, about string, words ...string) parameter {
	return parameter{name: name, about: about, schema: oneWord(words...), example: words[0]}
}

func wordsParameter(name, about string, words ...string) parameter {
	return parameter{name: name, about: about + " One or several, comma separated.", schema: listOf(oneWord(words...)), several: true, example: words[:1]}
}

func textParameter(name, about, example string) parameter {
	return parameter{name: name, about: about, schema: typed("string"), example: example}
}

func flagParameter(name, about string) parameter {
	return parameter{name: name, about: about, schema: typed("boolean"), example: true}
}

func timeParameter(name, about string) parameter {
	return parameter{name: name, about: about + " ms since 1970, UTC.", schema: typed("integer").with("format", "int64")}
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
		numberParameter("limit", "How many items to return at most.", defaultLimit, 1, maxLimit),
		numberParameter("offset", "How many items to leave out before the first one.", 0, 0, 1<<31-1),
	}
	floorParameter = parameter{name: "floor", about: "Floor, a whole number.", schema: typed("integer"), example: 3}

	deviceFilterParameters = []parameter{
		textParameter("building", "Name of the building.", "A栋"),
		textParameter("gateway", "Id of the gateway.", "gw-a"),
		floorParameter,
		textParameter("model", "Model of the device.", "IOT-SENSOR-V2"),
		wordParameter("presence", "Whether the device is sending.", presenceWords...),
		wordParameter("state", "As presence; fault: a device with an alarm that needs attention.", stateOfDevice...),
		textParameter("q", "Part of the id, room, building, model or gateway; upper and lower case are the same.", "301"),
	}

	alertFilterParameters = []parameter{
		wordsParameter("state", "Acknowledged or not, over or not.", stateWords...),
		wordParameter("status", "active: the condition holds.", "active", "cleared"),
		wordsParameter("severity", "Severity.", severityWords...),
		textParameter("device_id", "Id of the device.", "device_001"),
		textParameter("building", "Name of the building.", "A栋"),
		floorParameter,
		{name: "alert_type", about: "Types. One or several, comma separated.", schema: listOf(typed("string")), several: true, example: []string{"temperature_high"}},
		wordsParameter("source", "What found it.", sourceWords...),
		flagParameter("shelved", "Whether it is shelved."),
		flagParameter("suppressed", "Whether it is suppressed under another alarm."),
		flagParameter("out_of_service", "Whether it is out of service."),
		flagParameter("historical", "Whether it was found in late readings."),
		textParameter("q", "Part of the device, type, message, building, room, gateway, assignee, rule or id.", "301"),
		timeParameter("from", "Alarms that were open at or after this time; an open one stays listed however long ago it was raised."),
		timeParameter("to", "Alarms that were raised before this time."),
	}

	seriesParameters = []parameter{
		wordsParameter("parameters", "Which sensors; all of them unless told.", analogWords...),
		timeParameter("from", "Begin; five minutes before to unless told, 31 days at most."),
		timeParameter("to", "End; now unless told."),
		numberParameter("points", "How many steps at most.", usualPoints, 2, mostPoints),
	}
)

func inPath(name, about, example string) parameter { return textParameter(name, about, example) }

// join puts lists of parameters together.
func join(lists ...[]parameter) (out []parameter) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// knownToTable refuses parameters that the table of endpoints does not have.
func knownToTable(e *endpoint) fiber.Handler {
	var names []string
	for _, p := range e.query() {
		names = append(names, p.name)
	}
	return func(c *fiber.Ctx) error {
		if err := knownParameters(c, names...); err != nil {
			return err
		}
		return c.Next()
	}
}

// describe returns the parameter as the document has it.
func (p *parameter) describe(in string) object {
	out := object{{"name", p.name}, {"in", in}, {"description", p.about}, {"schema", p.schema}}
	if in == "path" {
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
	return typed("object").with("description", "The parameters of the list of alarms; {} is all of them.").
		with("properties", properties).with("additionalProperties", false)
}
