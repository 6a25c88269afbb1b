package credential

import (
	"slices"
	"strings"
	"unicode"
)

// validSubject reports whether NATS takes a subject, as its server.IsValidSubject says; the portal, which
// checks credentials too, is to do without the server.
func validSubject(s string) bool {
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		if token == "" || strings.ContainsFunc(token, unicode.IsSpace) || token == ">" && i < len(tokens)-1 {
			return false
		}
	}
	return true
}

// matches reports whether a subject is one of those that a filter stands for.
func matches(subject, filter string) bool {
	have, want := strings.Split(subject, "."), strings.Split(filter, ".")
	if last := len(want) - 1; want[last] == ">" {
		if len(have) <= last {
			return false
		}
		have, want = have[:last], want[:last]
	}
	return slices.EqualFunc(have, want, func(h, w string) bool { return w == "*" || h == w })
}
