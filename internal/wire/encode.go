package wire

import (
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// AppendReading appends r as the JSON of the contract, fields in the contract's order
// and without white space. Absent sensors and numbers, an empty unit or status and an
// empty device_info are left out. It does not check r: DecodeReading refuses what it
// writes for a reading that breaks an invariant. A number that is not finite becomes
// null.
func AppendReading(dst []byte, r *telemetry.Reading) []byte {
	dst = append(dst, `{"device_id":`...)
	dst = appendString(dst, r.DeviceID)
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendInt(dst, r.Timestamp, 10)
	dst = append(dst, `,"location":{"building":`...)
	dst = appendString(dst, r.Location.Building)
	dst = append(dst, `,"floor":`...)
	dst = strconv.AppendInt(dst, int64(r.Location.Floor), 10)
	dst = append(dst, `,"room":`...)
	dst = appendString(dst, r.Location.Room)
	dst = append(dst, `},"sensors":{`...)
	dst = appendSensors(dst, &r.Sensors)
	dst = append(dst, '}')
	if r.Info != (telemetry.DeviceInfo{}) {
		dst = appendInfo(dst, &r.Info)
	}
	return append(dst, '}')
}

// appendSensors appends the members of the sensors object: the contract has the
// switch between pressure and current.
func appendSensors(dst []byte, s *telemetry.Sensors) []byte {
	start := len(dst)
	for p := range telemetry.NumAnalog {
		if p == telemetry.Current && s.Switch.Present {
			dst = appendComma(dst, start)
			dst = append(dst, `"switch_status":{"value":`...)
			dst = strconv.AppendBool(dst, s.Switch.Value)
			dst = appendOptional(dst, `,"status":`, s.Switch.Status)
			dst = append(dst, '}')
		}
		m := &s.Analog[p]
		if !m.Present {
			continue
		}
		dst = appendComma(dst, start)
		dst = append(dst, '"')
		dst = append(dst, p.String()...)
		dst = append(dst, `":{"value":`...)
		dst = appendFloat(dst, m.Value)
		dst = appendOptional(dst, `,"unit":`, m.Unit)
		dst = appendOptional(dst, `,"status":`, m.Status)
		dst = append(dst, '}')
	}
	return dst
}

func appendInfo(dst []byte, info *telemetry.DeviceInfo) []byte {
	dst = append(dst, `,"device_info":{"model":`...)
	dst = appendString(dst, info.Model)
	dst = append(dst, `,"firmware":`...)
	dst = appendString(dst, info.Firmware)
	if info.Battery.Present {
		dst = appendFloat(append(dst, `,"battery":`...), info.Battery.Value)
	}
	if info.SignalStrength.Present {
		dst = appendFloat(append(dst, `,"signal_strength":`...), info.SignalStrength.Value)
	}
	return append(dst, '}')
}

// appendOptional appends a member unless its value is empty. The key comes with its
// comma, quotes and colon.
func appendOptional(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, key...), value)
}

// appendComma appends a comma if something stands since start.
func appendComma(dst []byte, start int) []byte {
	if len(dst) == start {
		return dst
	}
	return append(dst, ',')
}
