package sensors

import (
	"strings"
	"sync"
)

// maxCached bounds the cache of names: devices choose them.
const maxCached = 4096

// KindOf returns the kind of the sensor called name, nil if the catalogue has none for it.
// The first of these that fits decides:
//
//  1. a kind or match without * of that name: co2, temp;
//  2. the same for the name without its number at the end: temp_1, co2_02; without an
//     underscore the name needs three characters, as temp1 has: co21 may be co2 or co;
//  3. a match with *, the one with the most characters besides it; of equals the last in
//     the file: temperature_* for temperature_supply_air.
//
// It does not allocate for a name that it has seen.
func (c *Catalogue) KindOf(name string) *Kind {
	if k, ok := c.byName[name]; ok {
		return k
	}
	if k, ok := c.names.get(name); ok {
		return k
	}
	k := c.kindOf(name)
	c.names.put(name, k)
	return k
}

func (c *Catalogue) kindOf(name string) *Kind {
	bare := strings.TrimRight(name, "0123456789")
	numbered, underscore := strings.CutSuffix(bare, "_")
	if k, ok := c.byName[numbered]; ok && (underscore || len(bare) >= 3) {
		return k
	}
	for _, g := range c.globs {
		if matches(g.pattern, name) {
			return g.kind
		}
	}
	return nil
}

// glob is a match with a * in it.
type glob struct {
	pattern string
	kind    *Kind
}

// literals is the number of characters of a pattern besides *.
func literals(pattern string) int { return len(pattern) - strings.Count(pattern, "*") }

// matches reports whether s matches a pattern, in which * stands for any text, also none.
func matches(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, head)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], more
	}
}

// cache keeps the kinds of names that are not in the catalogue themselves. A full one is
// emptied.
type cache struct {
	mu sync.RWMutex
	m  map[string]*Kind
}

func (c *cache) get(name string) (*Kind, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k, ok := c.m[name]
	return k, ok
}

func (c *cache) put(name string, k *Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxCached {
		c.m = make(map[string]*Kind)
	}
	c.m[strings.Clone(name)] = k // name may be a part of a large text
}
