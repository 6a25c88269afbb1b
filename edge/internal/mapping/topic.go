package mapping

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// maxLevels is the most levels of a topic that can match a filter.
	maxLevels = 32
	// maxFilterBytes is the length of the longest filter.
	maxFilterBytes = 512
)

// level is one level of a filter: a literal, or any text between prefix and suffix.
type level struct {
	literal        string
	any            bool
	prefix, suffix string
	capture        string // name of the text between them; may be empty
}

// filter is an MQTT topic filter in which + may have a name, {name}, and a literal before
// and behind it.
type filter struct {
	text   string
	levels []level
	rest   bool // it ends in #
}

// parseFilter returns the filter of text with the levels separated by the bytes of
// separators.
func parseFilter(text, separators string) (filter, error) {
	f := filter{text: text}
	if text == "" || len(text) > maxFilterBytes || strings.ContainsRune(text, 0) {
		return f, fmt.Errorf("want 1 to %d bytes without NUL", maxFilterBytes)
	}
	names := map[string]bool{}
	parts := splitTopic(nil, text, separators)
	if len(parts) == 0 || len(parts) > maxLevels {
		return f, fmt.Errorf("want at most %d levels", maxLevels)
	}
	for i, part := range parts {
		if part == "#" && i == len(parts)-1 {
			f.rest = true
			break
		}
		l, err := parseLevel(part)
		if err != nil {
			return f, err
		}
		if l.capture != "" && names[l.capture] {
			return f, fmt.Errorf("{%s} occurs twice; want another name", l.capture)
		}
		names[l.capture] = true
		f.levels = append(f.levels, l)
	}
	return f, f.reserved()
}

// reserved refuses a filter for topics that have a meaning of their own.
func (f *filter) reserved() error {
	if len(f.levels) == 0 {
		return nil
	}
	switch first := f.levels[0].literal; {
	case first == "devices" || first == "concentrators":
		return fmt.Errorf("%s/… is for readings of the contract, which need no mapping", first)
	case strings.HasPrefix(first, "$") || strings.HasPrefix(f.levels[0].prefix, "$"):
		return errors.New("topics that start with $ are the server's own")
	}
	return nil
}

func parseLevel(part string) (level, error) {
	if part == "+" {
		return level{any: true}, nil
	}
	open, end := strings.IndexByte(part, '{'), strings.IndexByte(part, '}')
	if open >= 0 && end > open {
		l := level{any: true, prefix: part[:open], suffix: part[end+1:], capture: part[open+1 : end]}
		if !validCapture(l.capture) {
			return l, fmt.Errorf("{%s}: want a name of a-z, 0-9 and _ that starts with a letter", l.capture)
		}
		if strings.ContainsAny(l.prefix+l.suffix, "{}+#") {
			return l, fmt.Errorf("%q: want one {name} in a level, with plain text around it", part)
		}
		return l, nil
	}
	if strings.ContainsAny(part, "{}+#") {
		return level{}, fmt.Errorf("%q: want + or {name} as a whole level, # as the last one", part)
	}
	return level{literal: part}, nil
}

func validCapture(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= 32
}

// captures reports whether every match of f has a text of that name.
func (f *filter) captures(name string) bool {
	for _, l := range f.levels {
		if l.capture == name {
			return true
		}
	}
	return false
}

// matches reports whether a level of a topic matches l.
func (l *level) matches(s string) bool {
	if !l.any {
		return s == l.literal
	}
	return len(s) >= len(l.prefix)+len(l.suffix) && strings.HasPrefix(s, l.prefix) && strings.HasSuffix(s, l.suffix)
}

// splitTopic appends the levels of topic to dst.
func splitTopic(dst []string, topic, separators string) []string {
	start := 0
	for i := range len(topic) {
		if strings.IndexByte(separators, topic[i]) >= 0 {
			dst = append(dst, topic[start:i])
			start = i + 1
		}
	}
	return append(dst, topic[start:])
}

// subjects returns the NATS subjects that the filter stands for, nil if it has none
// because of an empty level or white space.
func (f *filter) subjects() []string {
	tokens := make([]string, 0, len(f.levels)+1)
	for _, l := range f.levels {
		switch {
		case l.any:
			tokens = append(tokens, "*")
		case l.literal == "" || strings.ContainsAny(l.literal, "*> \t\r\n"):
			return nil
		default:
			tokens = append(tokens, l.literal)
		}
	}
	exact := strings.Join(tokens, ".")
	switch {
	case !f.rest:
		return []string{exact}
	case exact == "":
		return nil // every subject there is, those of requests' replies included
	default: // # stands for no level too, > does not
		return []string{exact, exact + ".>"}
	}
}

// route is one topic filter of a mapping.
type route struct {
	filter
	mapping  *Mapping
	defaults *place
}

// node is a node of the tree of filters. A route's rank is its place in the file.
type node struct {
	literal map[string]*node
	others  []branch
	end     int // rank of the route that ends here, -1 without one
	rest    int // of the route that ends in # here
}

type branch struct {
	level level
	node  *node
}

func newNode() *node { return &node{end: -1, rest: -1} }

// add adds a route unless an earlier one has the same topics.
func (n *node) add(f *filter, rank int) {
	for _, l := range f.levels {
		n = n.child(l)
	}
	at := &n.end
	if f.rest {
		at = &n.rest
	}
	if *at < 0 {
		*at = rank
	}
}

func (n *node) child(l level) *node {
	if !l.any {
		if n.literal == nil {
			n.literal = make(map[string]*node)
		}
		if n.literal[l.literal] == nil {
			n.literal[l.literal] = newNode()
		}
		return n.literal[l.literal]
	}
	for _, b := range n.others {
		if b.level.prefix == l.prefix && b.level.suffix == l.suffix {
			return b.node
		}
	}
	b := branch{level: l, node: newNode()}
	n.others = append(n.others, b)
	return b.node
}

// find returns the lowest rank of a route that matches levels, or best if that is lower; a
// negative best stands for none.
func (n *node) find(levels []string, best int) int {
	best = lower(best, n.rest)
	if len(levels) == 0 {
		return lower(best, n.end)
	}
	if next := n.literal[levels[0]]; next != nil {
		best = next.find(levels[1:], best)
	}
	for i := range n.others {
		if n.others[i].level.matches(levels[0]) {
			best = n.others[i].node.find(levels[1:], best)
		}
	}
	return best
}

func lower(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}
