package mapping

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"industrial-iot-monitor/internal/telemetry"
)

// form is the type of a value before conversion.
type form uint8

const (
	absent form = iota // missing or null
	number
	boolean
	text
	other // an object or a list
)

// value is a value as a message has it.
type value struct {
	form form
	num  float64
	on   bool
	text string // of a text; of a number or boolean as the message writes it
}

// fromJSON returns the value of r.
func fromJSON(r gjson.Result) value {
	switch r.Type {
	case gjson.Number:
		return value{form: number, num: r.Num, text: r.Raw}
	case gjson.String:
		return value{form: text, text: r.Str}
	case gjson.True:
		return value{form: boolean, on: true, text: "true"}
	case gjson.False:
		return value{form: boolean, text: "false"}
	case gjson.JSON:
		return value{form: other}
	default:
		return value{}
	}
}

// fromText returns the value of a bare text: a number, true or false, else a text.
func fromText(s string) value {
	switch s {
	case "":
		return value{}
	case "true", "false":
		return value{form: boolean, on: s == "true", text: s}
	}
	if v, ok := parseNumber(s); ok {
		return value{form: number, num: v, text: s}
	}
	return value{form: text, text: s}
}

// parseNumber parses a finite decimal number; a + and a comma are not JSON's.
func parseNumber(s string) (float64, bool) {
	for i := range len(s) {
		if !strings.Contains("0123456789+-.eE", s[i:i+1]) {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// kind is the type that a mapping asks for.
type kind uint8

const (
	asSent kind = iota
	kindNumber
	kindBool
	kindText
)

var kindNames = map[string]kind{"number": kindNumber, "bool": kindBool, "text": kindText}

// kindOf returns the kind of a sensor whose mapping names none: the contract's own have
// fixed types.
func kindOf(sensor string) kind {
	switch sensor {
	case telemetry.Temperature, telemetry.Humidity, telemetry.Pressure, telemetry.Current:
		return kindNumber
	case telemetry.SwitchStatus:
		return kindBool
	default:
		return asSent
	}
}

// conversion turns a value of a message into one of a sensor.
type conversion struct {
	kind   kind
	scale  float64 // 0 and 1 leave the number alone
	offset float64
	values map[string]value // replaces texts; an absent one drops the sensor
}

// apply sets the value of s. It returns false without a problem when there is none.
func (c *conversion) apply(v value, s *telemetry.Sensor) (ok bool, problem string) {
	if len(c.values) > 0 && v.form != other {
		if to, found := c.values[v.text]; found && v.form != absent {
			v = to
		}
	}
	k := c.kind
	if k == asSent {
		k = kindOf(s.Name)
	}
	switch {
	case v.form == absent:
		return false, ""
	case v.form == other:
		return false, "want a number, true, false or a short text, got an object or a list"
	case k == kindBool:
		on, isBool := v.bool()
		if !isBool {
			return false, fmt.Sprintf("want true or false, got %.40q", v.text)
		}
		s.Kind, s.Number = telemetry.Bool, 0
		if on {
			s.Number = 1
		}
		return true, ""
	case k == kindNumber || k == asSent && v.form == number:
		return c.number(v, s)
	case k == asSent && v.form == boolean:
		*s = telemetry.Switch(s.Name, v.on)
		return true, ""
	default:
		if len(v.text) > telemetry.MaxSensorTextBytes {
			return false, fmt.Sprintf("a text of %d bytes; want at most %d", len(v.text), telemetry.MaxSensorTextBytes)
		}
		s.Kind, s.Text = telemetry.Text, v.text
		return true, ""
	}
}

func (c *conversion) number(v value, s *telemetry.Sensor) (bool, string) {
	n, isNumber := v.num, v.form == number
	if v.form == text {
		n, isNumber = parseNumber(strings.TrimSpace(v.text))
	}
	if !isNumber {
		return false, fmt.Sprintf("want a number, got %.40q", v.text)
	}
	n = scaled(n, c.scale) + c.offset
	if math.IsInf(n, 0) || math.IsNaN(n) {
		return false, fmt.Sprintf("%.40s is too large", v.text)
	}
	s.Kind, s.Number = telemetry.Number, n
	return true, ""
}

// scaled returns n times scale. A scale like 0.1 divides instead, so that 217 becomes 21.7
// and not 21.700000000000003.
func scaled(n, scale float64) float64 {
	if scale == 0 || scale == 1 {
		return n
	}
	if inverse := math.Round(1 / scale); inverse >= 2 && 1/inverse == scale {
		return n / inverse
	}
	return n * scale
}

// bool returns the value as a boolean: the usual words, 1 and 0.
func (v *value) bool() (on, ok bool) {
	switch v.form {
	case boolean:
		return v.on, true
	case number:
		return v.num == 1, v.num == 0 || v.num == 1
	default:
	}
	switch {
	case foldsTo(v.text, "on", "true", "yes", "1"):
		return true, true
	case foldsTo(v.text, "off", "false", "no", "0"):
		return false, true
	}
	return false, false
}

func foldsTo(s string, words ...string) bool {
	for _, w := range words {
		if strings.EqualFold(s, w) {
			return true
		}
	}
	return false
}
