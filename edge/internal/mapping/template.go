package mapping

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// path is a path in a JSON text, in the syntax of gjson.
type path struct {
	text string // "" is the text itself
	root bool   // in the whole message, not in the part that gives one reading

	// A path that begins with a plain key is that key and the path behind it.
	key, rest string
}

// parsePath reads a path; "$." in front starts at the whole message.
func parsePath(s string) path {
	rest, root := strings.CutPrefix(s, "$.")
	if s == "$" {
		rest, root = "", true
	}
	if rest == "@this" || rest == "." {
		rest = ""
	}
	p := path{text: rest, root: root}
	if key, behind, _ := strings.Cut(rest, "."); !root && key != "" && !strings.ContainsAny(key, `*?#@|\!{}[]()"'<>=:~`) {
		p.key, p.rest = key, behind
	}
	return p
}

// in returns the value of p.
func (p path) in(s *scratch) gjson.Result {
	from := s.item
	switch {
	case p.root:
		from = s.root
	case p.key != "" && from.IsObject():
		r := s.member(p.key)
		if p.rest == "" || !r.Exists() {
			return r
		}
		return gjson.Get(r.Raw, p.rest)
	}
	if p.text == "" {
		return from
	}
	return gjson.Get(from.Raw, p.text)
}

// member returns a member of the item. The members are listed once for all paths: most
// mappings look for several, and for some that a message does not have.
func (s *scratch) member(key string) gjson.Result {
	if !s.listed {
		s.listed, s.members = true, s.members[:0]
		s.item.ForEach(func(key, r gjson.Result) bool {
			s.members = append(s.members, member{key.Str, r})
			return len(s.members) < maxMembers
		})
	}
	for i := range s.members {
		if s.members[i].key == key {
			return s.members[i].Result
		}
	}
	if len(s.members) == maxMembers {
		return gjson.Get(s.item.Raw, gjson.Escape(key))
	}
	return gjson.Result{}
}

// maxMembers is the most members that are listed.
const maxMembers = 64

// member is a member of an object.
type member struct {
	key string
	gjson.Result
}

// first returns the value of the first path that has one.
func first(paths []path, s *scratch) value {
	for _, p := range paths {
		if r := p.in(s); r.Exists() && r.Type != gjson.Null {
			return fromJSON(r)
		}
	}
	return value{}
}

// template is a text with places for captures, {name}, and for values of the message,
// {.path} or {$.path}.
type template struct {
	parts []part
}

// part is a literal, a capture or a path.
type part struct {
	literal string
	capture string
	path    *path
}

func parseTemplate(s string) (template, error) {
	var t template
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			if strings.Contains(s, "}") {
				return t, fmt.Errorf("%q: } without {", s)
			}
			return template{append(t.parts, part{literal: s})}, nil
		}
		end := strings.IndexByte(s, '}')
		if end < open {
			return t, fmt.Errorf("%q: want {name}, {.path} or {$.path}", s)
		}
		if open > 0 {
			t.parts = append(t.parts, part{literal: s[:open]})
		}
		inner := s[open+1 : end]
		switch {
		case strings.HasPrefix(inner, "."):
			p := parsePath(inner[1:])
			t.parts = append(t.parts, part{path: &p})
		case strings.HasPrefix(inner, "$"):
			p := parsePath(inner)
			t.parts = append(t.parts, part{path: &p})
		case validCapture(inner):
			t.parts = append(t.parts, part{capture: inner})
		default:
			return t, fmt.Errorf("{%s}: want {name} of the topic, {.path} or {$.path} of the message", inner)
		}
		s = s[end+1:]
	}
	return t, nil
}

// constant returns the text of a template without places.
func (t *template) constant() (string, bool) {
	switch len(t.parts) {
	case 0:
		return "", true
	case 1:
		p := t.parts[0]
		return p.literal, p.path == nil && p.capture == ""
	}
	return "", false
}

// uses calls f for every capture, and reports whether t has a path.
func (t *template) uses(f func(capture string)) (paths bool) {
	for _, p := range t.parts {
		if p.capture != "" {
			f(p.capture)
		}
		paths = paths || p.path != nil
	}
	return paths
}

// appendTo appends the text; complete is false when a place is empty.
func (t *template) appendTo(dst []byte, s *scratch) (_ []byte, complete bool) {
	complete = true
	for i := range t.parts {
		p, before := &t.parts[i], len(dst)
		switch {
		case p.path != nil:
			dst = append(dst, fromJSON(p.path.in(s)).text...)
		case p.capture != "":
			dst = append(dst, s.capture(p.capture)...)
		default:
			dst = append(dst, p.literal...)
		}
		complete = complete && len(dst) > before
	}
	return dst, complete
}

// text returns the text, empty when a place is.
func (t *template) text(s *scratch) string {
	if c, ok := t.constant(); ok {
		return c
	}
	b, complete := t.appendTo(s.text[:0], s)
	s.text = b
	if !complete {
		return ""
	}
	return string(b)
}
