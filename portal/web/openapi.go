package web

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/telemetry"
)

// endpoint is one operation of the REST API. Routes and the OpenAPI document are generated from the
// same tables of endpoints, and the tests check every answer against the document.
type endpoint struct {
	method  string // default GET
	path    string // as in the document: /devices/{id}
	id, tag string
	summary string
	about   string
	need    permission
	cost    float64 // tokens, default atHand; see rates.go
	handle  func(*Portal, *fiber.Ctx) error
	params  []parameter
	body    any    // a value of the type of the JSON body, nil: none
	example object // of the body
	answers []response
}

// response is one answer of an endpoint: a value of its type, or the codes of an error.
type response struct {
	status int
	about  string
	media  string // one or several with commas between; default application/json
	body   any
	codes  []string
}

func answered(body any) response { return response{status: fiber.StatusOK, body: body} }

func failing(status int, codes ...string) response { return response{status: status, codes: codes} }

func (e *endpoint) verb() string {
	if e.method == "" {
		return fiber.MethodGet
	}
	return e.method
}

// price returns the tokens that a request takes.
func (e *endpoint) price() float64 {
	if strings.HasPrefix(e.path, "/api/v1/") {
		return max(e.cost, atHand)
	}
	return free
}

// query returns the parameters in the query.
func (e *endpoint) query() (out []parameter) {
	for _, p := range e.params {
		if !p.header && !strings.Contains(e.path, "{"+p.name+"}") {
			out = append(out, p)
		}
	}
	return out
}

// register adds the routes of the table.
func (p *Portal) register(app *fiber.App, tables ...[]endpoint) {
	for _, table := range tables {
		for i := range table {
			e := &table[i]
			var chain []fiber.Handler
			if e.verb() != fiber.MethodGet {
				chain = append(chain, p.changing, p.limitCommands)
			}
			if strings.HasPrefix(e.path, "/api/") {
				chain = append(chain, knownToTable(e))
			}
			chain = append(chain, func(c *fiber.Ctx) error { return e.handle(p, c) })
			p.route(app, e.verb(), strings.NewReplacer("{", ":", "}", "").Replace(e.path), e.need, e.price(), chain...)
		}
	}
}

// matches reports whether a path is one of the endpoint's, and how many of its parts are given by name.
func (e *endpoint) matches(path string) (named int, ok bool) {
	pattern, more := e.path, true
	for more {
		var part, want string
		var wanted bool
		part, path, more = strings.Cut(path, "/")
		want, pattern, wanted = strings.Cut(pattern, "/")
		switch {
		case more != wanted:
			return 0, false
		case part == want:
			named++
		case part == "" || !strings.HasPrefix(want, "{"):
			return 0, false
		}
	}
	return named, true
}

// methodsOf returns the methods of a path, none if it is in no table. A path that is given by name is no other's:
// /alerts/commands is not one of /alerts/{id}.
func methodsOf(path string) []string {
	var methods []string
	most := -1
	for _, table := range endpoints() {
		for i := range table {
			named, ok := table[i].matches(path)
			if !ok || named < most {
				continue
			}
			if named > most {
				most, methods = named, nil
			}
			methods = append(methods, table[i].verb())
		}
	}
	if slices.Contains(methods, fiber.MethodGet) {
		methods = append(methods, fiber.MethodHead)
	}
	return methods
}

// onlyMethods refuses methods that the document does not have for a path. Fiber would look on, for a pattern that takes them.
func onlyMethods(c *fiber.Ctx) error {
	methods := methodsOf(c.Path())
	if methods == nil || slices.Contains(methods, c.Method()) {
		return c.Next()
	}
	c.Set(fiber.HeaderAllow, strings.Join(methods, ", "))
	return fiber.ErrMethodNotAllowed
}

const aboutAPI = `Queries and commands for operators and programs.

Times are milliseconds since 1970, UTC. An unknown parameter is an error.
A list is {total, count, offset, time, items}: total counts all matches, count those in items.

The WebSocket is described in [/api/asyncapi.yaml](/api/asyncapi.yaml).`

// Error codes of any path.
var commonCodes = []string{"bad_request", "forbidden", "host_not_allowed", "identity_header", "not_found", "not_signed_in", "method_not_allowed", "rate_limited", "store_unavailable", "timeout", "too_large", "unsupported_media_type", "internal"}

// callerCodes are the error codes of any path that are about who the caller is, by status.
var callerCodes = map[int][]string{
	fiber.StatusBadRequest: {"identity_header"}, fiber.StatusUnauthorized: {"not_signed_in"}, fiber.StatusForbidden: {"forbidden"},
	fiber.StatusServiceUnavailable: {"store_unavailable"},
}

// openAPI returns the document, generated on first use.
var openAPI = sync.OnceValues(func() (*file, error) {
	s, err := newSchemas()
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(s.document(endpoints()...))
	if err != nil {
		return nil, fmt.Errorf("encoding the OpenAPI document: %w", err)
	}
	return newFile("openapi.json", out)
})

func (s *schemas) document(tables ...[]endpoint) object {
	var paths object
	at := make(map[string]int)
	for _, table := range tables {
		for i := range table {
			e := &table[i]
			n, known := at[e.path]
			if !known {
				n = len(paths)
				at[e.path] = n
				paths = append(paths, member{e.path, object{}})
			}
			item, _ := paths[n].value.(object)
			paths[n].value = item.with(strings.ToLower(e.verb()), e.describe(s))
		}
	}
	s.component(reflect.TypeFor[telemetry.Alert]())
	s.defs = append(s.defs, member{"Reading", readingSchema()}, member{"AlertFilter", filterSchema()})
	return object{
		{"openapi", "3.1.0"},
		{"info", object{
			{"title", "industrial-iot-monitor, REST API of the portal"},
			{"version", ops.Version},
			{"description", aboutAPI},
			{"license", object{{"name", "MIT"}}},
		}},
		{"tags", tags},
		{"paths", paths},
		{"components", object{{"schemas", s.defs}, {"responses", object{{"Failure", object{
			{"description", "An error of any path."}, {"content", content("", s.failure(commonCodes))},
		}}}}}},
	}
}

var tags = []object{
	{{"name", "devices"}, {"description", "Devices and their readings."}},
	{{"name", "buildings"}, {"description", "Buildings and their means."}},
	{{"name", "alarms"}, {"description", "Alarms, their history and explanation."}},
	{{"name", "commands"}, {"description", "Operators' commands to alarms. Commands go through Kafka; core applies each once."}},
	{{"name", "rules"}, {"description", "The rules that raise alarms, and dry runs of changed ones."}},
	{{"name", "views"}, {"description", "Saved views and dashboards. A change names the version it is made to, so that nobody overwrites another unnoticed."}},
	{{"name", "notes"}, {"description", "The shift log and notes on devices."}},
	{{"name", "plans"}, {"description", "Plans of floors, and pictures."}},
	{{"name", "gateways"}, {"description", "Gateways, their buffers and ledgers."}},
	{{"name", "people"}, {"description", "Who may use the portal: sessions, people, tokens of programs."}},
	{{"name", "portal"}, {"description", "The portal itself."}},
	{{"name", "operations"}, {"description", "Monitoring of the program."}},
}

// describe returns the operation for the document.
func (e *endpoint) describe(s *schemas) object {
	out := object{{"operationId", e.id}, {"tags", []string{e.tag}}, {"summary", e.summary}}
	if e.about != "" {
		out = out.with("description", e.about)
	}
	var params []object
	for i := range e.params {
		p := &e.params[i]
		in := "query"
		switch {
		case p.header:
			in = "header"
		case strings.Contains(e.path, "{"+p.name+"}"):
			in = "path"
		}
		params = append(params, p.describe(in))
	}
	if len(params) > 0 {
		out = out.with("parameters", params)
	}
	if e.body != nil {
		s.bodies = true
		out = out.with("requestBody", object{{"required", e.verb() != fiber.MethodDelete}, {"content", object{{fiber.MIMEApplicationJSON, object{
			{"schema", s.of(reflect.TypeOf(e.body))}, {"example", e.example},
		}}}}})
		s.bodies = false
	}
	var answers object
	for i := range e.answers {
		answers = answers.with(strconv.Itoa(e.answers[i].status), e.answers[i].describe(s))
	}
	return out.with("responses", answers.with("default", object{{"$ref", "#/components/responses/Failure"}}))
}

func (r *response) describe(s *schemas) object {
	if len(r.codes) > 0 {
		codes := slices.Clone(r.codes)
		for _, code := range callerCodes[r.status] {
			if !slices.Contains(codes, code) {
				codes = append(codes, code)
			}
		}
		about := "`" + strings.Join(codes, "`, `") + "`"
		return object{{"description", about}, {"content", content("", s.failure(codes))}}
	}
	about := r.about
	if about == "" {
		about = "The answer."
	}
	if r.body == nil {
		return object{{"description", about}}
	}
	return object{{"description", about}, {"content", content(r.media, s.of(reflect.TypeOf(r.body)))}}
}

// failure returns the schema of an error with one of the codes.
func (s *schemas) failure(codes []string) object {
	return object{
		{"allOf", []object{s.of(reflect.TypeFor[errorAnswer]()), {{"properties", object{{"error", object{{"properties", object{{"code", object{{"enum", codes}}}}}}}}}}}},
	}
}

func content(media string, schema object) object {
	if media == "" {
		media = fiber.MIMEApplicationJSON
	}
	var out object
	for one := range strings.SplitSeq(media, ",") {
		out = append(out, member{one, object{{"schema", schema}}})
	}
	return out
}

func serveOpenAPI(c *fiber.Ctx) error {
	doc, err := openAPI()
	if err != nil {
		return err
	}
	return doc.send(c)
}
