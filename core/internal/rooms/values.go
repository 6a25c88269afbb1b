package rooms

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// fixed are the parameters that older versions know, in the order of Values.Fixed.
var fixed = [...]string{telemetry.Temperature, telemetry.Humidity, telemetry.Pressure, telemetry.Current}

// Values are the newest values of a room's sensors, by parameter and in no order. The
// parameters of older versions are apart: members of both exchange values during an
// upgrade, and the older ones ignore Others.
type Values struct {
	Room   string                `json:"room"` // see Key
	Fixed  [len(fixed)][]float64 `json:"values"`
	Others map[string][]float64  `json:"others,omitempty"`
}

// Of returns the values of a parameter.
func (v *Values) Of(parameter string) []float64 {
	if i := slices.Index(fixed[:], parameter); i >= 0 {
		return v.Fixed[i]
	}
	return v.Others[parameter]
}

// Add adds values of a parameter, which it copies. Of more than a room can have, or of more
// parameters, the rest is dropped.
func (v *Values) Add(parameter string, values []float64) {
	if len(values) == 0 {
		return
	}
	if i := slices.Index(fixed[:], parameter); i >= 0 {
		v.Fixed[i] = appendUpTo(v.Fixed[i], values)
		return
	}
	if v.Others == nil {
		v.Others = make(map[string][]float64)
	}
	if old, known := v.Others[parameter]; known || len(v.Others) < maxParameters {
		v.Others[parameter] = appendUpTo(old, values)
	}
}

// AddAll adds all values of another part of the room.
func (v *Values) AddAll(other *Values) {
	for i, values := range other.Fixed {
		v.Fixed[i] = appendUpTo(v.Fixed[i], values)
	}
	for parameter, values := range other.Others {
		v.Add(parameter, values)
	}
}

// Len returns the number of values.
func (v *Values) Len() (n int) {
	for _, values := range v.Fixed {
		n += len(values)
	}
	for _, values := range v.Others {
		n += len(values)
	}
	return n
}

func appendUpTo(dst, values []float64) []float64 {
	return append(dst, values[:min(len(values), max(maxValues-len(dst), 0))]...)
}
