package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Limits of a page of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// badParameter says which query parameter cannot be used and what would be right.
func badParameter(name, want string) error {
	return refuse(fiber.StatusBadRequest, "bad_parameter", fmt.Sprintf("%s: want %s", name, want)).at(name)
}

// knownParameters refuses a misspelled filter, which would otherwise silently return
// everything.
func knownParameters(c *fiber.Ctx, names ...string) error {
	var err error
	c.Context().QueryArgs().VisitAll(func(key, _ []byte) {
		if slices.Contains(names, string(key)) {
			return
		}
		err = refuse(fiber.StatusBadRequest, "bad_parameter", "this address takes the parameters "+strings.Join(names, ", ")+" and no others").at(string(key))
	})
	return err
}

// number reads a query parameter between low and high.
func number(c *fiber.Ctx, name string, def, low, high int) (int, error) {
	text := c.Query(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, badParameter(name, fmt.Sprintf("a number from %d to %d", low, high))
	}
	return n, nil
}

// oneOf reads a query parameter that is one of the given words or absent.
func oneOf(c *fiber.Ctx, name string, words ...string) (string, error) {
	text := c.Query(name)
	if text == "" {
		return "", nil
	}
	if i := slices.Index(words, text); i >= 0 {
		return words[i], nil
	}
	return "", badParameter(name, strings.Join(words, ", "))
}

// paging is which part of a list is asked for.
type paging struct{ Limit, Offset int }

func readPaging(c *fiber.Ctx) (p paging, err error) {
	if p.Limit, err = number(c, "limit", defaultLimit, 1, maxLimit); err != nil {
		return p, err
	}
	p.Offset, err = number(c, "offset", 0, 0, 1<<31-1)
	return p, err
}

// part returns the part of a list of all that the paging asks for.
func part[T any](all []T, p paging) []T {
	from := min(p.Offset, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

// list is the form of every answer with several items: total is how many there are,
// count how many of them are in items, from offset on.
type list[T any] struct {
	Total  int   `json:"total"`
	Count  int   `json:"count"`
	Offset int   `json:"offset"`
	Time   int64 `json:"time"` // ms since 1970 by the portal's clock; ages are as of then
	Items  []T   `json:"items"`
}
