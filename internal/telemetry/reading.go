// Package telemetry is the message model: readings, alerts, device states and
// aggregate windows, and their invariants. Encodings, NATS and Kafka are the
// business of package wire; this one imports only the standard library. Nothing
// here blocks.
package telemetry

import (
	"encoding/json"
	"slices"
)

// Reading is one message of one device: its sensors' values at Timestamp.
type Reading struct {
	DeviceID  string
	Timestamp int64 // milliseconds since 1970, UTC, by the device's clock
	Location  Location
	Sensors   Sensors
	Info      DeviceInfo
	// Offline is whether the device is offline from this reading on, as its own will or its
	// gateway says.
	Offline bool
	// Flaws are the dotted paths of optional fields that were ignored because of a wrong
	// type or a malformed name, the first MaxFlaws of them. The record in Kafka has them.
	Flaws []string
}

// Clone returns a copy of r that shares no slice with it. Strings are shared.
func (r *Reading) Clone() Reading {
	c := *r
	c.Sensors, c.Flaws = slices.Clone(r.Sensors), slices.Clone(r.Flaws)
	return c
}

// Location is where a device is installed.
type Location struct {
	Building string `json:"building"`
	Floor    int    `json:"floor"`
	Room     string `json:"room"`
}

// DeviceInfo describes the device itself. All of it is optional.
type DeviceInfo struct {
	Model          string   `json:"model"`
	Firmware       string   `json:"firmware"`
	Battery        Optional `json:"battery,omitzero"`         // percent; absent when the device does not report it
	SignalStrength Optional `json:"signal_strength,omitzero"` // dBm; absent when the device does not report it
	IntervalS      float64  `json:"interval_s,omitempty"`     // s between two readings, up to MaxIntervalS; 0: the device does not say
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
