package yamldoc

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// timeForm is the form of a time, the same as in the schema.
var timeForm = regexp.MustCompile(`^([0-9]+(\.[0-9]*)?(ms|s|m|h))+$`)

// Map is a YAML mapping.
type Map struct {
	Node  ast.Node
	Keys  []string // in the file's order
	field string   // its path, "" for the top
	where map[string]ast.Node
	value map[string]ast.Node
}

// Path returns the path of a key, for example "rules[2].limit".
func (m *Map) Path(key string) string {
	if m.field == "" {
		return key
	}
	return m.field + "." + key
}

// Key returns the node of a key itself, nil when there is none.
func (m *Map) Key(key string) ast.Node { return m.where[key] }

// Get returns the value of a key.
func (m *Map) Get(key string) (ast.Node, bool) {
	n, ok := m.value[key]
	return n, ok
}

// Map reads n, whose path is field, as a mapping.
func (p *Reader) Map(n ast.Node, field string) (*Map, bool) {
	m := &Map{Node: n, field: field, where: map[string]ast.Node{}, value: map[string]ast.Node{}}
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		p.Wrong(n, field, "%s: want keys and values", Show(n))
		return nil, false
	}
	for _, pair := range pairs {
		key, ok := Text(pair.Key)
		if !ok {
			p.Wrong(pair.Key, field, "key %s: want a plain name", Show(pair.Key))
			continue
		}
		if _, twice := m.value[key]; twice {
			p.Wrong(pair.Key, m.Path(key), "the key occurs twice; want it once")
			continue
		}
		m.Keys = append(m.Keys, key)
		m.where[key], m.value[key] = pair.Key, pair.Value
	}
	return m, true
}

// Only reports keys that are not allowed.
func (p *Reader) Only(m *Map, allowed ...string) {
	for _, key := range m.Keys {
		if !slices.Contains(allowed, key) {
			p.Wrong(m.where[key], m.Path(key), "unknown field; want one of %s", strings.Join(allowed, ", "))
		}
	}
}

// Sequence reads a list.
func (p *Reader) Sequence(n ast.Node, field string) ([]ast.Node, bool) {
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values, true
	}
	p.Wrong(n, field, "%s: want a list", Show(n))
	return nil, false
}

// Choice reads one of some words.
func (p *Reader) Choice(m *Map, key, otherwise string, words ...string) string {
	n, ok := m.Get(key)
	if !ok {
		return otherwise
	}
	if s, isText := Text(n); isText && slices.Contains(words, s) {
		return s
	}
	p.Wrong(n, m.Path(key), "%s: want %s", Show(n), Either(words))
	return otherwise
}

// Number reads a finite number; 0 when absent.
func (p *Reader) Number(m *Map, key string, required bool) float64 {
	n, ok := m.Get(key)
	if !ok {
		if required {
			p.Wrong(m.Node, m.Path(key), "missing; want a number")
		}
		return 0
	}
	v, isNumber := Float(n)
	if !isNumber {
		p.Wrong(n, m.Path(key), "%s: want a number", Show(n))
	}
	return v
}

// Float returns the number of n and whether it is a finite one.
func Float(n ast.Node) (float64, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		switch v := n.Value.(type) {
		case int64:
			return float64(v), true
		case uint64:
			return float64(v), true
		}
	case *ast.FloatNode:
		if !math.IsInf(n.Value, 0) && !math.IsNaN(n.Value) {
			return n.Value, true
		}
	}
	return 0, false
}

// Duration reads a time with a unit; 0 when absent.
func (p *Reader) Duration(m *Map, key string, required bool) time.Duration {
	n, ok := m.Get(key)
	if !ok {
		if required {
			p.Wrong(m.Node, m.Path(key), `missing; want a time like 30s or 5m`)
		}
		return 0
	}
	if s, isText := Text(n); isText && timeForm.MatchString(s) {
		if d, err := time.ParseDuration(s); err == nil {
			return d
		}
	}
	p.Wrong(n, m.Path(key), "%s: want a time with its unit, like 30s, 5m or 1h30m", Show(n))
	return 0
}

// Text reads a text that is not empty; "" when absent.
func (p *Reader) Text(m *Map, key string, required bool, want string) string {
	n, ok := m.Get(key)
	if !ok {
		if required {
			p.Wrong(m.Node, m.Path(key), "missing; want %s", want)
		}
		return ""
	}
	s, isText := Text(n)
	if !isText || s == "" {
		p.Wrong(n, m.Path(key), "%s: want %s", Show(n), want)
	}
	return s
}

// Boolean reads true or false; false when absent.
func (p *Reader) Boolean(m *Map, key string) bool {
	n, ok := m.Get(key)
	if !ok {
		return false
	}
	if b, isBool := n.(*ast.BoolNode); isBool {
		return b.Value
	}
	p.Wrong(n, m.Path(key), "%s: want true or false", Show(n))
	return false
}

// Many reads one value or a list of them.
func Many[T any](p *Reader, m *Map, key string, read func(ast.Node) (T, bool), want string) []T {
	n, ok := m.Get(key)
	if !ok {
		return nil
	}
	nodes := []ast.Node{n}
	if s, isList := n.(*ast.SequenceNode); isList {
		nodes = s.Values
		if len(nodes) == 0 {
			p.Wrong(n, m.Path(key), "the list is empty; want %s, or leave it out", want)
		}
	}
	var out []T
	for _, n := range nodes {
		v, ok := read(n)
		if !ok {
			p.Wrong(n, m.Path(key), "%s: want %s", Show(n), want)
			continue
		}
		out = append(out, v)
	}
	return out
}

// Text returns the text of n and whether it is one.
func Text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	default:
		return "", false
	}
}

// Word returns the text of n and whether it is one that is not empty.
func Word(n ast.Node) (string, bool) {
	s, ok := Text(n)
	return s, ok && s != ""
}

// Integer returns the whole number of n and whether it is one.
func Integer(n ast.Node) (int, bool) {
	if i, ok := n.(*ast.IntegerNode); ok {
		switch v := i.Value.(type) {
		case int64:
			return int(v), true
		case uint64:
			return int(v), v <= math.MaxInt32
		}
	}
	return 0, false
}

// Show describes a node in short.
func Show(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode:
		return fmt.Sprintf("%.60q", n.Value)
	case *ast.LiteralNode:
		return fmt.Sprintf("%.60q", n.Value.Value)
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		return "an anchor, alias or tag"
	case nil:
		return "nothing"
	default:
		return fmt.Sprintf("%.60s", n.String())
	}
}

// Either lists words as alternatives: "a, b or c".
func Either(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
