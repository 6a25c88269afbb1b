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

// badParameter names a bad query parameter and the valid values.
func badParameter(name, want string) error {
	return refuse(fiber.StatusBadRequest, "bad_parameter", fmt.Sprintf("%s: want %s", name, want)).at(name)
}

// queryText returns a query parameter, and whether the query has it.
func queryText(c *fiber.Ctx, name string) (text string, given bool) {
	return c.Query(name), c.Context().QueryArgs().Has(name)
}

// number reads a query parameter between low and high; absent, it is def.
func number(c *fiber.Ctx, name string, def, low, high int) (int, error) {
	text, given := queryText(c, name)
	if !given {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, badParameter(name, fmt.Sprintf("a number from %d to %d", low, high))
	}
	return n, nil
}

// oneOf reads a query parameter that is one of the words or absent. An empty one is neither.
func oneOf(c *fiber.Ctx, name string, words ...string) (string, error) {
	text, given := queryText(c, name)
	if !given {
		return "", nil
	}
	if i := slices.Index(words, text); i >= 0 {
		return words[i], nil
	}
	return "", badParameter(name, strings.Join(words, ", "))
}

// paging selects a part of a list.
type paging struct{ Limit, Offset int }

func readPaging(c *fiber.Ctx) (p paging, err error) {
	if p.Limit, err = number(c, "limit", defaultLimit, 1, maxLimit); err != nil {
		return p, err
	}
	p.Offset, err = number(c, "offset", 0, 0, 1<<31-1)
	return p, err
}

// part returns the selected part of all.
func part[T any](all []T, p paging) []T {
	from := min(p.Offset, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

// list is the form of every answer with several items: total counts all matches, count those in
// items, which start at offset.
type list[T any] struct {
	Total  int   `json:"total"`
	Count  int   `json:"count"`
	Offset int   `json:"offset"`
	Time   int64 `json:"time"` // ms since 1970 by the portal's clock; ages refer to it
	Items  []T   `json:"items"`
}
