package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// with returns o with one more member.
func (o object) with(name string, value any) object {
	return append(slices.Clip(o), member{name, value})
}

// typed returns a schema of one type.
func typed(kind string) object { return object{{"type", kind}} }

// oneWord returns a schema of a text that is one of the words.
func oneWord(words ...string) object { return typed("string").with("enum", words) }

func listOf(items object) object { return typed("array").with("items", items) }

func ref(name string) object { return object{{"$ref", "#/components/schemas/" + name}} }

// orNull returns a schema that lets null through too.
func orNull(schema object) object {
	if len(schema) > 0 && schema[0].name == "type" {
		if kind, ok := schema[0].value.(string); ok && len(schema) == 1 {
			return object{{"type", []string{kind, "null"}}}
		}
	}
	return object{{"anyOf", []object{schema, typed("null")}}}
}

// comments are those of the Go sources, for the types that answers are made of: under
// package.Type that of the type, under package.Type.Field that of a field. A test writes the
// file and fails when it is out of date.
//
//go:embed openapi.comments.json
var commentsFile []byte

// schemas makes JSON schemas of Go types as encoding/json writes them. Structs go into defs,
// each once.
type schemas struct {
	defs     object
	named    map[string]reflect.Type
	comments map[string]string
	bodies   bool // schemas of request bodies: no field is required
}

func newSchemas() (*schemas, error) {
	s := &schemas{named: make(map[string]reflect.Type), comments: make(map[string]string)}
	if err := json.Unmarshal(commentsFile, &s.comments); err != nil {
		return nil, fmt.Errorf("reading openapi.comments.json: %w", err)
	}
	return s, nil
}

// of returns the schema of a type.
func (s *schemas) of(t reflect.Type) object {
	if schema, ok := typeSchemas[t]; ok {
		return schema
	}
	if words, ok := typeWords[t]; ok {
		return oneWord(words...)
	}
	switch t.Kind() {
	case reflect.Bool:
		return typed("boolean")
	case reflect.String:
		return typed("string")
	case reflect.Float32, reflect.Float64:
		return typed("number")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return typed("integer")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return typed("integer").with("minimum", 0)
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct || t.Elem().Kind() == reflect.Pointer {
			return s.of(t.Elem())
		}
		return orNull(s.of(t.Elem()))
	case reflect.Slice:
		return listOf(s.of(t.Elem()))
	case reflect.Map:
		if words, ok := typeWords[t.Key()]; ok {
			return byWord(s.of(t.Elem()), words...)
		}
		return typed("object").with("additionalProperties", s.of(t.Elem()))
	case reflect.Struct:
		return s.component(t)
	default:
		panic(fmt.Sprintf("openapi: no schema for %s", t))
	}
}

// component files the schema of a struct and returns a reference to it.
func (s *schemas) component(t reflect.Type) object {
	name := componentName(t)
	switch known := s.named[name]; known {
	case t:
		return ref(name)
	case nil:
	default:
		panic(fmt.Sprintf("openapi: %s and %s have one name", known, t))
	}
	s.named[name] = t
	at := len(s.defs)
	s.defs = append(s.defs, member{name, nil}) // before those that it needs
	s.defs[at].value = s.structure(t)
	return ref(name)
}

func (s *schemas) structure(t reflect.Type) object {
	out := typed("object")
	if text := s.comments[commentKey(t, "")]; text != "" {
		out = out.with("description", inJSON(t, text))
	}
	var properties object
	required := []string{}
	for _, f := range jsonFields(t) {
		properties = properties.with(f.name, s.property(f))
		if !f.optional && !s.bodies {
			required = append(required, f.name)
		}
	}
	if needed, ok := alwaysThere[t]; ok {
		required = needed
	}
	out = out.with("properties", properties)
	if len(required) > 0 {
		out = out.with("required", required)
	}
	if openTypes[t] {
		return out
	}
	return out.with("additionalProperties", false)
}

// property returns the schema of a field.
func (s *schemas) property(f jsonField) object {
	kind := f.kind
	if kind.Kind() == reflect.Pointer && f.optional {
		kind = kind.Elem() // left out in place of null
	}
	schema := s.of(kind)
	if known, ok := fieldSchemas[f.key()]; ok {
		schema = known
	}
	null := f.kind.Kind() == reflect.Pointer && !f.optional || nullFields[f.key()]
	if null && schema[0].name != "anyOf" && !slices.Contains(kinds(schema), "null") {
		schema = orNull(schema)
	}
	text := inJSON(f.owner, s.comments[f.key()])
	if known, ok := fieldTexts[f.key()]; ok {
		text = known
	}
	if text != "" {
		schema = schema.with("description", text)
	}
	return schema
}

// kinds returns the types that a schema names.
func kinds(schema object) []string {
	list, _ := schema[0].value.([]string)
	return list
}

// jsonField is a field of a struct as encoding/json sees it.
type jsonField struct {
	name, goName string
	kind         reflect.Type
	owner        reflect.Type // the struct that declares it
	optional     bool         // left out when empty
}

// key names the field in the tables of openapi_words.go.
func (f jsonField) key() string { return commentKey(f.owner, f.goName) }

// jsonFields returns the fields of a struct, those of embedded structs where they stand.
func jsonFields(t reflect.Type) []jsonField {
	var out []jsonField
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			out = append(out, jsonFields(f.Type)...)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			out = append(out, jsonField{name: name, goName: f.Name, kind: f.Type, owner: t, optional: strings.Contains(options, "omit")})
		}
	}
	return out
}

// componentName returns the name of a type in the document.
func componentName(t reflect.Type) string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	name := t.Name()
	if strings.HasPrefix(name, "list[") || strings.HasPrefix(name, "pages[") {
		items, _ := t.FieldByName("Items")
		return componentName(items.Type.Elem()) + "List"
	}
	if name == "" {
		panic(fmt.Sprintf("openapi: %s has no name", t))
	}
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}

// commentKey names a type, or one of its fields, in the file of comments.
func commentKey(t reflect.Type, field string) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	key := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:] + "." + name
	if field != "" {
		key += "." + field
	}
	return key
}

var goWord = regexp.MustCompile(`\b[A-Z][A-Za-z0-9]*\b`)

// inJSON puts the JSON names of a struct's fields into a comment that speaks of the Go names.
func inJSON(t reflect.Type, text string) string {
	names := make(map[string]string)
	for _, f := range jsonFields(t) {
		names[f.goName] = f.name
	}
	text = strings.TrimPrefix(text, t.Name()+" is ")
	return goWord.ReplaceAllStringFunc(text, func(word string) string {
		if name, ok := names[word]; ok {
			return "`" + name + "`"
		}
		return word
	})
}
