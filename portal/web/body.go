package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"reflect"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// changing guards requests that change state: a page may send them only from an origin that may open
// the WebSocket, and only with a content type that an HTML form cannot send.
func (p *Portal) changing(c *fiber.Ctx) error {
	if err := p.checkOrigin(c); err != nil {
		return err
	}
	if c.Method() == fiber.MethodDelete && len(c.Request().Body()) == 0 {
		return c.Next() // no form can send it either
	}
	kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || kind != fiber.MIMEApplicationJSON {
		return refuse(fiber.StatusUnsupportedMediaType, "unsupported_media_type", "send JSON, with Content-Type: application/json")
	}
	return c.Next()
}

// badField names a bad field of a body and the valid values.
func badField(name, want string) *apiError {
	return refuse(fiber.StatusBadRequest, "bad_field", fmt.Sprintf("%s: want %s", name, want)).at(name)
}

// decode reads a JSON object into the struct that into points to. A field that is unknown, of the wrong type, or null
// without being a pointer is an error that names it. An empty body is an empty object.
func decode(data []byte, into any) error {
	if len(data) == 0 {
		return nil
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(data, &body); err != nil {
		return refuse(fiber.StatusBadRequest, "bad_json", "not a JSON object: "+err.Error())
	}
	if body == nil {
		return refuse(fiber.StatusBadRequest, "bad_json", "want a JSON object, not null")
	}
	if string(body["by"]) == `""` {
		return badField("by", "the operator's name, or no such field")
	}
	if err := checkFields(data, reflect.TypeOf(into).Elem(), ""); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return badField(withoutEmbedded(wrong.Field, reflect.TypeOf(into).Elem()), "not a JSON "+wrong.Value)
		}
		return refuse(fiber.StatusBadRequest, "bad_json", "malformed JSON: "+err.Error())
	}
	return nil
}

// withoutEmbedded takes the name of an embedded struct of t out of the path to a field, where encoding/json has it.
func withoutEmbedded(path string, t reflect.Type) string {
	for f := range t.Fields() {
		if f.Anonymous {
			path = strings.TrimPrefix(path, f.Name+".")
		}
	}
	return path
}

// checkFields refuses what encoding/json would pass over: unknown fields, and null, which leaves a field as it was. Types
// that decode themselves check what is in them. Other errors are left to encoding/json.
func checkFields(data json.RawMessage, t reflect.Type, name string) error {
	null := string(bytes.TrimSpace(data)) == "null"
	switch {
	case null && t.Kind() != reflect.Pointer:
		return badField(name, "a value instead of null, or no such field")
	case null:
		return nil
	case t.Kind() == reflect.Pointer:
		return checkFields(data, t.Elem(), name)
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return nil
	case t.Kind() == reflect.Struct:
		return checkStruct(data, t, name)
	case t.Kind() == reflect.Slice:
		return checkItems(data, t.Elem(), name)
	}
	return nil
}

func checkStruct(data json.RawMessage, t reflect.Type, name string) error {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(data, &fields) // what is no object is refused later, with its type
	known := make(map[string]reflect.Type)
	for _, f := range jsonFields(t) {
		known[f.name] = f.kind
		if f.optional && f.kind.Kind() == reflect.Pointer {
			known[f.name] = f.kind.Elem() // left out in place of null
		}
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		path := strings.TrimPrefix(name+"."+field, ".")
		kind, ok := known[field]
		if !ok {
			valid := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			return refuse(fiber.StatusBadRequest, "bad_field", "unknown field; valid ones are "+valid).at(cut(path))
		}
		if err := checkFields(fields[field], kind, path); err != nil {
			return err
		}
	}
	return nil
}

func checkItems(data json.RawMessage, t reflect.Type, name string) error {
	var items []json.RawMessage
	_ = json.Unmarshal(data, &items) // as above
	for i, item := range items {
		if err := checkFields(item, t, fmt.Sprintf("%s[%d]", name, i)); err != nil {
			return err
		}
	}
	return nil
}

// cut shortens a client's text before it is quoted.
func cut(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
