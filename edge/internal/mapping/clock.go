package mapping

import (
	"fmt"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // zones of local times, also in an image without them
)

// units of numeric timestamps, as parts of a millisecond.
var clockUnits = map[string]float64{"ms": 1, "s": 1000, "us": 0.001, "ns": 0.000001}

// clockLayouts are the forms of a time without a zone.
var clockLayouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// clock reads timestamps.
type clock struct {
	paths []path
	unit  float64        // milliseconds in one unit; 0: RFC 3339
	zone  *time.Location // of texts without one; nil: they are refused
}

// read returns the timestamp in milliseconds; ok is false without a problem when there is
// none.
func (c *clock) read(v value) (ms int64, ok bool, problem string) {
	switch {
	case v.form == absent:
		return 0, false, ""
	case c.unit == 0 && v.form == text:
		return c.parse(v.text)
	case c.unit == 0:
		return 0, false, fmt.Sprintf("want a time as in RFC 3339, got %.40s", v.text)
	}
	n, isNumber := v.num, v.form == number
	if v.form == text {
		n, isNumber = parseNumber(strings.TrimSpace(v.text))
	}
	n = math.Round(n * c.unit)
	if !isNumber || math.Abs(n) > 1<<53 {
		return 0, false, fmt.Sprintf("want a time as a number, got %.40q", v.text)
	}
	return int64(n), true, ""
}

func (c *clock) parse(s string) (int64, bool, string) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UnixMilli(), true, ""
	}
	if c.zone == nil {
		return 0, false, fmt.Sprintf("want a time as in RFC 3339 with its zone (or set zone), got %.40q", s)
	}
	for _, layout := range clockLayouts {
		if t, err := time.ParseInLocation(layout, s, c.zone); err == nil {
			return t.UnixMilli(), true, ""
		}
	}
	return 0, false, fmt.Sprintf("want a time like 2026-11-26T17:30:00, got %.40q", s)
}
