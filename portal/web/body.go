package web

import (
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

// decode reads a JSON object into the struct that into points to. An unknown field or one of the wrong
// type is an error that names it. An empty body is an empty object.
func decode(data []byte, into any) error {
	if len(data) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return refuse(fiber.StatusBadRequest, "bad_json", "not a JSON object: "+err.Error())
	}
	known := fieldNames(reflect.TypeOf(into).Elem())
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, name) {
			return refuse(fiber.StatusBadRequest, "bad_field", "unknown field; valid ones are "+strings.Join(known, ", ")).at(cut(name))
		}
	}
	if err := json.Unmarshal(data, into); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return badField(wrong.Field, "not a JSON "+wrong.Value)
		}
		return refuse(fiber.StatusBadRequest, "bad_json", "malformed JSON: "+err.Error())
	}
	return nil
}

// fieldNames returns the JSON names of a struct's fields, those of embedded structs included.
func fieldNames(t reflect.Type) []string {
	var out []string
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			out = append(out, name)
		}
	}
	return out
}

// cut shortens a client's text before it is quoted.
func cut(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
