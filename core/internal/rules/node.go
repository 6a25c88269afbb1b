package rules

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

// mapping is a YAML mapping: its keys in order.
type mapping struct {
	node  ast.Node
	field string // its path, "" for the top
	keys  []string
	where map[string]ast.Node // of the key
	value map[string]ast.Node
}

// path returns the path of a key.
func (m *mapping) path(key string) string {
	if m.field == "" {
		return key
	}
	return m.field + "." + key
}

func (m *mapping) get(key string) (ast.Node, bool) {
	n, ok := m.value[key]
	return n, ok
}

// mapping reads n as a mapping.
func (p *reader) mapping(n ast.Node, field string) (*mapping, bool) {
	m := &mapping{node: n, field: field, where: map[string]ast.Node{}, value: map[string]ast.Node{}}
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		p.wrong(n, field, "%s: want keys and values", show(n))
		return nil, false
	}
	for _, pair := range pairs {
		key, ok := text(pair.Key)
		if !ok {
			p.wrong(pair.Key, field, "key %s: want a plain name", show(pair.Key))
			continue
		}
		if _, twice := m.value[key]; twice {
			p.wrong(pair.Key, m.path(key), "the key occurs twice; want it once")
			continue
		}
		m.keys = append(m.keys, key)
		m.where[key], m.value[key] = pair.Key, pair.Value
	}
	return m, true
}

// only reports keys that are not allowed.
func (p *reader) only(m *mapping, allowed ...string) {
	for _, key := range m.keys {
		if !slices.Contains(allowed, key) {
			p.wrong(m.where[key], m.path(key), "unknown field; want one of %s", strings.Join(allowed, ", "))
		}
	}
}

func (p *reader) sequence(n ast.Node, field string) ([]ast.Node, bool) {
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values, true
	}
	p.wrong(n, field, "%s: want a list", show(n))
	return nil, false
}

// choice reads one of some words.
func (p *reader) choice(m *mapping, key, otherwise string, words ...string) string {
	n, ok := m.get(key)
	if !ok {
		return otherwise
	}
	if s, isText := text(n); isText && slices.Contains(words, s) {
		return s
	}
	p.wrong(n, m.path(key), "%s: want %s", show(n), either(words))
	return otherwise
}

func (p *reader) number(m *mapping, key string, required bool) float64 {
	n, ok := m.get(key)
	if !ok {
		if required {
			p.wrong(m.node, m.path(key), "missing; want a number")
		}
		return 0
	}
	switch n := n.(type) {
	case *ast.IntegerNode:
		switch v := n.Value.(type) {
		case int64:
			return float64(v)
		case uint64:
			return float64(v)
		}
	case *ast.FloatNode:
		if !math.IsInf(n.Value, 0) {
			return n.Value
		}
	}
	p.wrong(n, m.path(key), "%s: want a number", show(n))
	return 0
}

// duration reads a time with a unit; 0 when absent.
func (p *reader) duration(m *mapping, key string, required bool) time.Duration {
	n, ok := m.get(key)
	if !ok {
		if required {
			p.wrong(m.node, m.path(key), `missing; want a time like 30s or 5m`)
		}
		return 0
	}
	if s, isText := text(n); isText && timeForm.MatchString(s) {
		if d, err := time.ParseDuration(s); err == nil {
			return d
		}
	}
	p.wrong(n, m.path(key), "%s: want a time with its unit, like 30s, 5m or 1h30m", show(n))
	return 0
}

func (p *reader) text(m *mapping, key string, required bool, want string) string {
	n, ok := m.get(key)
	if !ok {
		if required {
			p.wrong(m.node, m.path(key), "missing; want %s", want)
		}
		return ""
	}
	s, isText := text(n)
	if !isText || s == "" {
		p.wrong(n, m.path(key), "%s: want %s", show(n), want)
	}
	return s
}

func (p *reader) boolean(m *mapping, key string) bool {
	n, ok := m.get(key)
	if !ok {
		return false
	}
	if b, isBool := n.(*ast.BoolNode); isBool {
		return b.Value
	}
	p.wrong(n, m.path(key), "%s: want true or false", show(n))
	return false
}

// many reads one value or a list of them.
func many[T any](p *reader, m *mapping, key string, read func(ast.Node) (T, bool), want string) []T {
	n, ok := m.get(key)
	if !ok {
		return nil
	}
	nodes := []ast.Node{n}
	if s, isList := n.(*ast.SequenceNode); isList {
		nodes = s.Values
		if len(nodes) == 0 {
			p.wrong(n, m.path(key), "the list is empty; want %s, or leave it out", want)
		}
	}
	var out []T
	for _, n := range nodes {
		v, ok := read(n)
		if !ok {
			p.wrong(n, m.path(key), "%s: want %s", show(n), want)
			continue
		}
		out = append(out, v)
	}
	return out
}

func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	default:
		return "", false
	}
}

// word reads a text that is not empty.
func word(n ast.Node) (string, bool) {
	s, ok := text(n)
	return s, ok && s != ""
}

func integer(n ast.Node) (int, bool) {
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

// show describes a node in short.
func show(n ast.Node) string {
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

func either(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
