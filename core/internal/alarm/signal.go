package alarm

import (
	"fmt"

	"industrial-iot-monitor/internal/telemetry"
)

// Signal is a value of a reading that a rule can judge: one of the analog parameters, or
// one of the signals below.
type Signal uint8

// The signals that are not analog parameters.
const (
	// Battery is device_info.battery in percent. 0 counts as absent: a device with an
	// empty battery sends nothing.
	Battery = Signal(telemetry.NumAnalog) + iota
	// Strength is device_info.signal_strength in dBm. 0 counts as absent.
	Strength
	// Switch is sensors.switch_status: 1 for on, 0 for off.
	Switch
	// NumSignals is the number of signals; it sizes arrays indexed by Signal.
	NumSignals
)

// String returns the signal's field name in the contract, for example "temperature".
func (s Signal) String() string {
	switch s {
	case Battery:
		return "battery"
	case Strength:
		return "signal_strength"
	case Switch:
		return "switch_status"
	default:
		return telemetry.Parameter(s).String()
	}
}

// Unit returns the unit the simulator and the contract use for s.
func (s Signal) Unit() string {
	return [NumSignals + 1]string{"°C", "%", "hPa", "A", "%", "dBm", "", ""}[min(s, NumSignals)]
}

// SignalOf returns the signal of a name.
func SignalOf(name string) (Signal, bool) {
	for s := range NumSignals {
		if s.String() == name {
			return s, true
		}
	}
	return NumSignals, false
}

// MarshalText writes the signal's name.
func (s Signal) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a signal's name.
func (s *Signal) UnmarshalText(text []byte) error {
	v, ok := SignalOf(string(text))
	if !ok {
		return fmt.Errorf("unknown parameter %q", text)
	}
	*s = v
	return nil
}

// values are the signals of a reading; present has a bit for each.
type values struct {
	present uint8
	v       [NumSignals]float64
}

func valuesOf(r *telemetry.Reading) (x values) {
	for p := range telemetry.NumAnalog {
		if m := r.Sensors.Analog(p); m.Present {
			x.present |= 1 << p
			x.v[p] = m.Value
		}
	}
	if v := r.Info.Battery.Value; v != 0 {
		x.present |= 1 << Battery
		x.v[Battery] = v
	}
	if v := r.Info.SignalStrength.Value; v != 0 {
		x.present |= 1 << Strength
		x.v[Strength] = v
	}
	if sw := r.Sensors.Switch(); sw.Present {
		x.present |= 1 << Switch
		if sw.Value {
			x.v[Switch] = 1
		}
	}
	return x
}
