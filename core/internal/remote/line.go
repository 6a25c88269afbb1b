package remote

import (
	"fmt"
	"strconv"
	"strings"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

// Names in the engine. Sensors, whose names are free, are fields and in lower case; tags begin with
// a capital, so that no sensor is mistaken for one.
const (
	measurement   = "readings" // one field for each sensor
	tagBuilding   = "Building"
	tagDevice     = "Device"
	tagKind       = "Kind" // bool, text, or absent for a number
	tagText       = "Text" // the value of a text, whose field is 1
	tagUnit       = "Unit"
	kindBool      = "bool"
	kindText      = "text"
	clocks        = "clocks" // what is known of the clocks of devices
	clockOffset   = "offset"
	tagPartition  = "Partition"
	metricPrefix  = measurement + "_" // of VictoriaMetrics' names
	clocksMetrics = clocks + "_" + clockOffset
)

// appendReading appends the lines of a reading: one for all sensors that share a unit and a type.
func appendReading(dst []byte, r *archive.Reading) []byte {
	for i := range r.Sensors {
		first := &r.Sensors[i]
		if alike(r.Sensors[:i], first) >= 0 {
			continue // in the line of that one
		}
		dst = append(dst, measurement...)
		dst = appendTag(dst, tagBuilding, r.Building)
		dst = appendTag(dst, tagDevice, r.Device)
		switch first.Kind {
		case telemetry.Bool:
			dst = appendTag(dst, tagKind, kindBool)
		case telemetry.Text:
			dst = appendTag(dst, tagKind, kindText)
			dst = appendTag(dst, tagText, first.Text)
		case telemetry.Number:
		}
		dst = append(appendTag(dst, tagUnit, first.Unit), ' ')
		dst = appendField(dst, first)
		for rest := r.Sensors[i+1:]; first.Kind != telemetry.Text; {
			k := alike(rest, first)
			if k < 0 {
				break
			}
			dst = appendField(append(dst, ','), &rest[k])
			rest = rest[k+1:]
		}
		dst = append(strconv.AppendInt(append(dst, ' '), r.At, 10), '\n')
	}
	return dst
}

// alike returns the index of the first sensor that shares the line of s, -1 if there is none. Each
// text has a line of its own.
func alike(list telemetry.Sensors, s *telemetry.Sensor) int {
	for i := range list {
		if s.Kind != telemetry.Text && list[i].Kind == s.Kind && list[i].Unit == s.Unit {
			return i
		}
	}
	return -1
}

func appendField(dst []byte, s *telemetry.Sensor) []byte {
	dst = append(append(dst, s.Name...), '=')
	if s.Kind == telemetry.Text {
		return append(dst, '1')
	}
	return strconv.AppendFloat(dst, s.Number, 'g', -1, 64)
}

// appendClock appends a line with the offset of a device's clock.
func appendClock(dst []byte, partition int32, r *archive.Reading) []byte {
	dst = appendTag(append(dst, clocks...), tagDevice, r.Device)
	dst = appendTag(dst, tagPartition, strconv.Itoa(int(partition)))
	dst = strconv.AppendInt(append(dst, " "+clockOffset+"="...), r.ClockOffset, 10)
	return append(strconv.AppendInt(append(dst, ' '), r.At, 10), '\n')
}

// appendTag appends a tag unless it is empty: the line protocol has no empty ones.
func appendTag(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, ','), name...), '=')
	value = stored(value)
	for i := range len(value) {
		if c := value[i]; c == ',' || c == '=' || c == ' ' {
			dst = append(dst, '\\')
		}
		dst = append(dst, value[i])
	}
	return dst
}

// stored returns a tag's value as the engine has it: the protocol cannot say some bytes everywhere, which
// become ~ and their hexadecimal number.
func stored(value string) string {
	if strings.IndexFunc(value, odd) < 0 {
		return value
	}
	out := make([]byte, 0, len(value)+6)
	for i := range len(value) {
		if c := value[i]; odd(rune(c)) {
			out = fmt.Appendf(out, "~%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

func odd(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' || c == '~' }

// plain is the inverse of stored.
func plain(tag string) string {
	if !strings.Contains(tag, "~") {
		return tag
	}
	var out strings.Builder
	for i := 0; i < len(tag); i++ {
		if tag[i] == '~' && i+2 < len(tag) {
			if c, err := strconv.ParseUint(tag[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		out.WriteByte(tag[i])
	}
	return out.String()
}

// fieldOf returns the field of a sensor whose line has these tags.
func fieldOf(sensor string, tags map[string]string) samples.Field {
	f := samples.Field{Name: sensor, Unit: plain(tags[tagUnit])}
	switch tags[tagKind] {
	case kindBool:
		f.Kind = telemetry.Bool
	case kindText:
		f.Kind = telemetry.Text
	}
	return f
}
