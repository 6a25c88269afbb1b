package telemetry

// Parameter names one of the analog sensors of the contract.
//
// Deprecated: the set of sensors is open, use names. It goes when its last user does.
type Parameter uint8

// The analog sensors of the contract.
const (
	ParamTemperature Parameter = iota
	ParamHumidity
	ParamPressure
	ParamCurrent
	// NumAnalog is the number of analog parameters.
	NumAnalog
)

var parameterNames = [NumAnalog]string{Temperature, Humidity, Pressure, Current}

// String returns the parameter's field name in the contract.
func (p Parameter) String() string {
	if p < NumAnalog {
		return parameterNames[p]
	}
	return "unknown"
}

// Measurement is one analog sensor's value.
type Measurement struct {
	Present bool
	Value   float64
	Unit    string
	Status  string
}

// Analog returns an analog sensor of the contract.
func (s Sensors) Analog(p Parameter) Measurement {
	x := s.Find(p.String())
	if x == nil || !x.Comparable() {
		return Measurement{}
	}
	return Measurement{Present: true, Value: x.Number, Unit: x.Unit, Status: x.Status}
}

// SwitchState is the state of the switch of the contract.
type SwitchState struct {
	Present bool
	Value   bool
	Status  string
}

// Switch returns the switch of the contract.
func (s Sensors) Switch() SwitchState {
	x := s.Find(SwitchStatus)
	if x == nil || x.Kind != Bool {
		return SwitchState{}
	}
	return SwitchState{Present: true, Value: x.Number != 0, Status: x.Status}
}
