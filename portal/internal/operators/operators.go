// Package operators knows who is at the screens: the names of the operators whose pages are connected to
// this portal, and to the portals that share a Redis with it. It does no I/O and blocks on a short lock only.
package operators

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// Operator is somebody at one or more screens of one portal.
type Operator struct {
	// Name is empty for screens whose operator has not entered a name.
	Name string `json:"name"`
	// Since is when the first of the screens that are open now was opened.
	Since int64 `json:"since"`
	// Portal is the portal that serves the screens.
	Portal  string `json:"portal"`
	Screens int    `json:"screens"`
}

// Board is the list of operators. All methods may be called concurrently.
type Board struct {
	portal string
	now    func() time.Time

	mu     sync.Mutex
	seats  map[*Seat]struct{}
	others []Operator
	until  time.Time // when others are too old
}

// Seat is one screen. Its methods may be called concurrently, also after Leave.
type Seat struct {
	board *Board
	name  string
	fixed bool
	since int64
}

// New returns an empty board of a portal with this name.
func New(portal string) *Board {
	return &Board{portal: portal, now: time.Now, seats: make(map[*Seat]struct{})}
}

// Portal returns the portal's name.
func (b *Board) Portal() string { return b.portal }

// Join adds a screen. A name that is not empty is certain: the screen cannot change it.
func (b *Board) Join(name string) *Seat {
	name = clean(name)
	s := &Seat{board: b, name: name, fixed: name != "", since: b.now().UnixMilli()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seats[s] = struct{}{}
	return s
}

// Rename sets the name of the operator at the screen.
func (s *Seat) Rename(name string) {
	name = clean(name)
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	if !s.fixed {
		s.name = name
	}
}

// Leave removes the screen.
func (s *Seat) Leave() {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	delete(s.board.seats, s)
}

// clean returns a name as it is shown: without control characters and not longer than that of a command.
func clean(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return -1
		}
		return r
	}, name))
	for len(name) > telemetry.MaxOperator {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// Own returns the operators at this portal.
func (b *Board) Own() []Operator {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.own()
}

func (b *Board) own() []Operator {
	at := make(map[string]int)
	var out []Operator
	for s := range b.seats {
		i, known := at[s.name]
		if !known {
			i = len(out)
			at[s.name] = i
			out = append(out, Operator{Name: s.name, Since: s.since, Portal: b.portal})
		}
		out[i].Screens++
		out[i].Since = min(out[i].Since, s.since)
	}
	sort(out)
	return out
}

// SetOthers replaces the operators at other portals. They count for so long.
func (b *Board) SetOthers(list []Operator, valid time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.others, b.until = list, b.now().Add(valid)
}

// List returns all operators: by name, those without one last.
func (b *Board) List() []Operator {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.own()
	if b.now().Before(b.until) {
		out = append(out, b.others...)
	}
	sort(out)
	return out
}

// Count returns how many different names there are, and how many screens.
func (b *Board) Count() (names, screens int) {
	seen := make(map[string]struct{})
	for _, o := range b.List() {
		screens += o.Screens
		if o.Name != "" {
			seen[o.Name] = struct{}{}
		}
	}
	return len(seen), screens
}

func sort(list []Operator) {
	slices.SortFunc(list, func(a, b Operator) int {
		switch {
		case a.Name == "" && b.Name != "":
			return 1
		case b.Name == "" && a.Name != "":
			return -1
		}
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Portal, b.Portal))
	})
}
