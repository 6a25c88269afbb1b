package alarmtext

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

const thin = "\u2009" // between a value and its unit, as on the page

// withUnit adds a unit; that of a ratio is not shown.
func withUnit(text, unit string) string {
	if unit = unitShown(unit); unit == "" {
		return text
	}
	return text + thin + unit
}

func unitShown(unit string) string {
	if unit == "1" {
		return ""
	}
	return unit
}

// fixed rounds to so many decimals, halves away from zero as JavaScript does, and separates thousands;
// a zero has no sign.
func fixed(v float64, places int) string {
	exact := new(big.Rat)
	if exact.SetFloat64(v) == nil {
		return strconv.FormatFloat(v, 'f', -1, 64) // not finite
	}
	text := exact.FloatString(places)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	if strings.Trim(text, "0.") == "" {
		sign = ""
	}
	whole, fraction, found := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}

const mostPlaces = 6

var powers = [...]float64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}

// precise has more decimals if it needs them for two digits: a small rate is not 0.0.
func precise(v float64, places int) string {
	scaled := math.Abs(v) * powers[min(places, mostPlaces)]
	for scaled > 0 && scaled < 10 && places < mostPlaces {
		scaled *= 10
		places++
	}
	return fixed(v, places)
}

// short is precise without zeros at the end: 5, not 5.0.
func short(v float64, places int) string {
	text := precise(v, places)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// span is a length of time, given in ms, in one unit.
func (w Writer) span(ms float64) string {
	s := ms / 1000
	say := func(unit string, n float64) string {
		return w.say("age."+unit, "n", strconv.FormatFloat(math.Floor(n+0.5), 'f', 0, 64))
	}
	switch {
	case s < 99.5:
		return say("s", s)
	case s/60 < 99.5:
		return say("min", s/60)
	case s/3600 < 47.5:
		return say("h", s/3600)
	default:
		return say("d", s/86_400)
	}
}
