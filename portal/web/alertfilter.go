package web

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// alertFilter selects alarms; the zero value selects all.
type alertFilter struct {
	states     []string
	status     string
	severities []string
	device     string
	building   string
	floor      *int
	types      []string
	sources    []string
	shelved    *bool
	suppressed *bool
	outOf      *bool // out of service
	uncertain  *bool
	historical *bool
	text       string // lower case
	from, to   int64  // ms; open at some moment in [from, to); 0: no bound
}

// filterNames are the parameters of an alertFilter.
var filterNames = names(alertFilterParameters)

// Values of parameters.
var (
	stateWords = []string{
		string(telemetry.AlarmUnacknowledged), string(telemetry.AlarmAcknowledged), string(telemetry.AlarmReturned), string(telemetry.AlarmNormal),
	}
	severityWords = []string{
		string(telemetry.SeverityCritical), string(telemetry.SeverityHigh), string(telemetry.SeverityMedium), string(telemetry.SeverityLow),
	}
	sourceWords = []string{string(telemetry.SourceRule), string(telemetry.SourceWatchdog), string(telemetry.SourceAnomaly)}
)

// parser reads a filter's parameters from any source and keeps the first error.
type parser struct {
	get func(name string) string
	err error
}

func (r *parser) bad(name, want string) {
	if r.err == nil {
		r.err = badParameter(name, want)
	}
}

// words reads comma-separated values. If words are given, each value must be one of them.
func (r *parser) words(name string, words []string) []string {
	text := r.get(name)
	if text == "" {
		return nil
	}
	list := strings.Split(strings.Clone(text), ",")
	for _, w := range list {
		if words != nil && !slices.Contains(words, w) {
			r.bad(name, "one or several of "+strings.Join(words, ", "))
		}
	}
	return list
}

func (r *parser) flag(name string) *bool {
	switch r.get(name) {
	case "":
	case "true":
		return new(true)
	case "false":
		return new(false)
	default:
		r.bad(name, "true or false")
	}
	return nil
}

func (r *parser) time(name string) int64 {
	text := r.get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.bad(name, "milliseconds since 1970")
	}
	return n
}

func (r *parser) floor() *int {
	text := r.get("floor")
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		r.bad("floor", "a whole number")
	}
	return &n
}

// parseFilter reads a filter.
func parseFilter(get func(name string) string) (alertFilter, error) {
	r := parser{get: get}
	f := alertFilter{
		states: r.words("state", stateWords), severities: r.words("severity", severityWords),
		types: r.words("alert_type", nil), sources: r.words("source", sourceWords),
		device: strings.Clone(get("device_id")), building: strings.Clone(get("building")), floor: r.floor(),
		shelved: r.flag("shelved"), suppressed: r.flag("suppressed"), outOf: r.flag("out_of_service"), uncertain: r.flag("uncertain"), historical: r.flag("historical"),
		text: strings.ToLower(strings.Clone(get("q"))), from: r.time("from"), to: r.time("to"),
	}
	switch status := telemetry.AlertStatus(get("status")); status {
	case "", telemetry.AlertActive, telemetry.AlertCleared:
		f.status = strings.Clone(string(status))
	default:
		r.bad("status", "active, cleared")
	}
	if f.to != 0 && f.to <= f.from {
		r.bad("to", "a time after from")
	}
	return f, r.err
}

// filterBody is a filter in a request body: the parameters of the list as an object. Several values
// are one string or an array.
type filterBody map[string]any

// parse reads the filter.
func (b filterBody) parse() (alertFilter, error) {
	texts := make(map[string]string, len(b))
	for name, v := range b {
		if !slices.Contains(filterNames, name) {
			return alertFilter{}, refuse(fiber.StatusBadRequest, "bad_field", "unknown field; valid ones are "+strings.Join(filterNames, ", ")).at("filter." + cut(name))
		}
		text, ok := textOf(v)
		if !ok {
			return alertFilter{}, badField("filter."+name, "a text, a number, true, false or a list of texts")
		}
		texts[name] = text
	}
	f, err := parseFilter(func(name string) string { return texts[name] })
	if e, ok := err.(*apiError); ok { //nolint:errorlint // parseFilter wraps nothing
		return f, e.at("filter." + e.body.Field)
	}
	return f, err
}

// textOf returns a JSON value as the text of a query parameter.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case []any:
		var list []string
		for _, w := range v {
			s, ok := w.(string)
			if !ok {
				return "", false
			}
			list = append(list, s)
		}
		return strings.Join(list, ","), true
	}
	return "", false
}

func within[T ~string](list []string, v T) bool {
	return len(list) == 0 || slices.Contains(list, string(v))
}

func is(want *bool, v bool) bool { return want == nil || *want == v }

// matches reports whether the filter selects an alarm at place, of a device of that name.
func (f *alertFilter) matches(a *state.Alert, place telemetry.Location, name string) bool {
	return within(f.states, a.State) && within(f.severities, a.Severity) && within(f.types, a.AlertType) && within(f.sources, a.Source) &&
		(f.status == "" || f.status == string(a.Status)) &&
		(f.device == "" || f.device == a.DeviceID) &&
		(f.building == "" || f.building == place.Building) &&
		(f.floor == nil || *f.floor == place.Floor) &&
		is(f.shelved, a.Shelved != nil) && is(f.suppressed, a.Suppressed != nil) &&
		is(f.outOf, a.OutOfService != nil) && is(f.uncertain, a.Uncertain) && is(f.historical, a.Historical) &&
		f.during(a) && (f.text == "" || alertContains(a, place, name, f.text))
}

// during reports whether an alarm was open at some time in the filter's range. An open alarm still
// is, however long ago it was raised.
func (f *alertFilter) during(a *state.Alert) bool {
	end := a.ClearedAt
	if end == 0 {
		end = a.Timestamp
	}
	return (f.to == 0 || a.RaisedAt < f.to) && (f.from == 0 || a.Open() || end >= f.from)
}

// alertContains reports whether one of an alarm's texts contains the text.
func alertContains(a *state.Alert, place telemetry.Location, name, text string) bool {
	for _, s := range [...]string{a.DeviceID, name, a.AlertType, a.Message, place.Building, place.Room, a.Gateway, a.Assignee, a.Rule, a.AlertID} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// nameOf returns a device's name, "" without one. It is called within a View.
func (p *Portal) nameOf(id string) string {
	if d := p.model.Device(id); d != nil {
		return d.Meta().Name
	}
	return ""
}

// find returns the selected alarms, in no particular order.
func (p *Portal) find(f *alertFilter) []*state.Alert {
	return p.model.Alerts(func(a *state.Alert) bool { return f.matches(a, p.model.Place(a), p.nameOf(a.DeviceID)) })
}

// alertJSON is the newest record of an alarm in Kafka with all its fields: a telemetry.Alert, possibly
// with fields of later versions.
type alertJSON json.RawMessage

// MarshalJSON implements json.Marshaler.
func (a alertJSON) MarshalJSON() ([]byte, error) {
	if a == nil {
		return []byte("null"), nil
	}
	return a, nil
}
