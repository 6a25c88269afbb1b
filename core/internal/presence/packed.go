package presence

import (
	"math"
	"unique"

	"industrial-iot-monitor/internal/telemetry"
)

// A plant has 100,000 devices, but few buildings, rooms, models and gateways: a device keeps the 8
// bytes of a handle for each of these texts, not a copy. A number that may be absent takes 8
// bytes too.

// text is a string that many devices share. The zero value is empty.
type text struct{ handle unique.Handle[string] }

func newText(s string) text {
	if s == "" {
		return text{}
	}
	return text{unique.Make(s)}
}

func (t text) String() string {
	if t == (text{}) {
		return ""
	}
	return t.handle.Value()
}

// info is what a device said of itself in its newest reading.
type info struct {
	building, room, model, firmware text
	floor                           int
	interval                        float64 // s
	battery, signal                 optional
}

func newInfo(l *telemetry.Location, i *telemetry.DeviceInfo) info {
	return info{
		building: newText(l.Building), room: newText(l.Room), floor: l.Floor,
		model: newText(i.Model), firmware: newText(i.Firmware), interval: i.IntervalS,
		battery: pack(i.Battery), signal: pack(i.SignalStrength),
	}
}

// is reports whether a reading says the same, but for battery and signal strength.
func (i *info) is(r *telemetry.Reading) bool {
	return i.floor == r.Location.Floor && i.interval == r.Info.IntervalS &&
		i.building.String() == r.Location.Building && i.room.String() == r.Location.Room &&
		i.model.String() == r.Info.Model && i.firmware.String() == r.Info.Firmware
}

func (i *info) location() telemetry.Location {
	return telemetry.Location{Building: i.building.String(), Floor: i.floor, Room: i.room.String()}
}

func (i *info) unpack() telemetry.DeviceInfo {
	return telemetry.DeviceInfo{
		Model: i.model.String(), Firmware: i.firmware.String(), IntervalS: i.interval,
		Battery: i.battery.unpack(), SignalStrength: i.signal.unpack(),
	}
}

// optional is a number that may be absent: then it is NaN, which JSON does not have.
type optional float64

func pack(o telemetry.Optional) optional {
	if !o.Present {
		return optional(math.NaN())
	}
	return optional(o.Value)
}

func (o optional) unpack() telemetry.Optional {
	if math.IsNaN(float64(o)) {
		return telemetry.Optional{}
	}
	return telemetry.Some(float64(o))
}

// differs reports whether one of two is absent, or both are present and step or more apart.
func (o optional) differs(from optional, step float64) bool {
	a, b := o.unpack(), from.unpack()
	return a.Present != b.Present || math.Abs(a.Value-b.Value) >= step
}
