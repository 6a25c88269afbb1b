package web

import (
	"slices"
	"strconv"
	"strings"

	"industrial-iot-monitor/portal/internal/state"
)

// word is a word of a search.
type word struct {
	text   string // folded
	floor  int    // of a word like 7, 7F, 7楼 or 7层
	number bool   // floor is set
	marked bool   // as a floor: 7F
}

// readWords splits a search into its words. Full-width characters, as input methods for Chinese give them, are
// the same as others.
func readWords(q string) []word {
	fields := strings.Fields(fold(q))
	words := make([]word, 0, len(fields))
	for _, s := range fields {
		w := word{text: s}
		digits := s
		for _, mark := range []string{"f", "楼", "层"} {
			if rest, ok := strings.CutSuffix(s, mark); ok {
				digits, w.marked = rest, true
				break
			}
		}
		n, err := strconv.Atoi(digits)
		if err != nil {
			w.marked = false
		} else {
			w.floor, w.number = n, true
		}
		words = append(words, w)
	}
	return words
}

// fold makes texts comparable: lower case, and ASCII instead of full-width forms.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '\u3000':
			return ' '
		}
		return r
	}, strings.ToLower(s))
}

// matches reports whether every word is found in a device. Beside the name of its building, or beside its floor
// as 7F, a number means a floor or a room and nothing else: "B栋 702" is that room, not also device_1702.
func matches(d *state.Device, words []word) bool {
	l, m := d.Location(), d.Meta()
	room, placed := fold(l.Room), placedBy(words, fold(l.Building), l.Floor)
	texts := []string{fold(d.ID), fold(m.Name), fold(m.Description), room, fold(l.Building), fold(d.Info().Model), fold(d.Gateway())}
	for _, tag := range m.Tags {
		texts = append(texts, fold(tag))
	}
	for _, w := range words {
		onFloor := w.number && w.floor == l.Floor
		switch {
		case onFloor:
		case placed && w.number:
			if w.marked || w.text != room {
				return false
			}
		case !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, w.text) }):
			return false
		}
	}
	return true
}

// placedBy reports whether the words name a building, or a floor as such.
func placedBy(words []word, building string, floor int) bool {
	parts := strings.Fields(building)
	named := func(part string) bool { return slices.ContainsFunc(words, func(w word) bool { return w.text == part }) }
	if len(parts) > 0 && !slices.ContainsFunc(parts, func(part string) bool { return !named(part) }) {
		return true
	}
	return slices.ContainsFunc(words, func(w word) bool { return w.marked && w.floor == floor })
}
