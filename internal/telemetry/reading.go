// Package telemetry is the message model: readings, alerts, device states and
// aggregate windows, and their invariants. Encodings, NATS and Kafka are the
// business of package wire; this one imports only the standard library. Nothing
// here blocks.
package telemetry

import "encoding/json"

// Parameter names one of the analog sensors a device may carry.
type Parameter uint8

// The analog parameters of the contract. The switch is not analog and has a
// field of its own in Sensors.
const (
	Temperature Parameter = iota
	Humidity
	Pressure
	Current
	// NumAnalog is the number of analog parameters; it sizes arrays indexed by Parameter.
	NumAnalog
)

var parameterNames = [NumAnalog]string{"temperature", "humidity", "pressure", "current"}

// String returns the parameter's field name in the contract, for example "temperature".
func (p Parameter) String() string {
	if p < NumAnalog {
		return parameterNames[p]
	}
	return "unknown"
}

// Reading is one message of one device: its sensors' values at Timestamp.
type Reading struct {
	DeviceID  string
	Timestamp int64 // milliseconds since 1970, UTC, by the device's clock
	Location  Location
	Sensors   Sensors
	Info      DeviceInfo
}

// Location is where a device is installed.
type Location struct {
	Building string `json:"building"`
	Floor    int    `json:"floor"`
	Room     string `json:"room"`
}

// Sensors holds the sensors of one reading. A sensor that the device did not
// send has Present false.
type Sensors struct {
	Analog [NumAnalog]Measurement // indexed by Parameter
	Switch Switch
}

// Measurement is one analog sensor's value.
type Measurement struct {
	Present bool
	Value   float64 // finite, in Unit
	Unit    string
	Status  string
}

// Switch is the state of a device's switch sensor.
type Switch struct {
	Present bool
	Value   bool
	Status  string
}

// DeviceInfo describes the device itself. All of it is optional.
type DeviceInfo struct {
	Model          string   `json:"model"`
	Firmware       string   `json:"firmware"`
	Battery        Optional `json:"battery,omitzero"`         // percent; absent when the device does not report it
	SignalStrength Optional `json:"signal_strength,omitzero"` // dBm; absent when the device does not report it
}

// Optional is a number that may be absent; the zero value is. In JSON it is a number or
// null, and omitzero leaves an absent one out.
type Optional struct {
	Value   float64 // 0 when absent
	Present bool
}

// Some returns v as a number that is present.
func Some(v float64) Optional { return Optional{Value: v, Present: true} }

// MarshalJSON implements json.Marshaler.
func (o Optional) MarshalJSON() ([]byte, error) {
	if !o.Present {
		return []byte("null"), nil
	}
	return json.Marshal(o.Value)
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *Optional) UnmarshalJSON(data []byte) error {
	var v *float64
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*o = Optional{}
	if v != nil {
		*o = Some(*v)
	}
	return nil
}
