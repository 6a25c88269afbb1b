package wire

import (
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// AppendReading appends r as the JSON of the contract, fields in the contract's order
// and without white space. Absent numbers, an empty unit or status and an empty
// device_info are left out. It does not check r: DecodeReading refuses what it
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
	dst = appendSensors(dst, r.Sensors)
	dst = append(dst, '}')
	if r.Info != (telemetry.DeviceInfo{}) {
		dst = appendInfo(dst, &r.Info)
	}
	if r.Offline {
		dst = append(dst, `,"presence":"offline"`...)
	}
	return append(dst, '}')
}

// appendSensors appends the members of the sensors object.
func appendSensors(dst []byte, sensors telemetry.Sensors) []byte {
	for i := range sensors {
		s := &sensors[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, s.Name...)
		dst = append(dst, `":{"value":`...)
		switch s.Kind {
		case telemetry.Bool:
			dst = strconv.AppendBool(dst, s.Number != 0)
		case telemetry.Text:
			dst = appendString(dst, s.Text)
		default:
			dst = appendFloat(dst, s.Number)
		}
		dst = appendOptional(dst, `,"unit":`, s.Unit)
		dst = appendOptional(dst, `,"status":`, s.Status)
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
	if info.IntervalS != 0 {
		dst = appendFloat(append(dst, `,"interval_s":`...), info.IntervalS)
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
