package telemetry

// Bounds of a reading's sensors.
const (
	// MaxSensors is the largest number of sensors in a reading.
	MaxSensors = 64
	// MaxSensorNameBytes is the length of the longest sensor name.
	MaxSensorNameBytes = 32
	// MaxSensorTextBytes is the length of the longest text value, in bytes of UTF-8.
	MaxSensorTextBytes = 64
	// MaxFlaws is how many flaws of a reading are listed.
	MaxFlaws = 8
)

// Names of the sensors of the contract, whose types are fixed: the first four are
// numbers, the switch is a boolean.
const (
	Temperature  = "temperature"
	Humidity     = "humidity"
	Pressure     = "pressure"
	Current      = "current"
	SwitchStatus = "switch_status"
)

// StatusUnitUnknown is the status of a sensor of a known kind whose unit is unknown: its
// value is shown as sent and compared with nothing.
const StatusUnitUnknown = "unit_unknown"

// ValueKind is the type of a sensor's value.
type ValueKind uint8

// Value kinds.
const (
	Number ValueKind = iota
	Bool
	Text
)

// Sensors are the sensors of one reading in the order of the message, no name twice. The
// set of names is open. A sensor that the device did not send is not among them.
type Sensors []Sensor

// Sensor is one sensor's value.
type Sensor struct {
	Name   string // see ValidSensorName
	Kind   ValueKind
	Number float64 // of a Number: finite, in Unit; of a Bool: 1 or 0
	Text   string  // of a Text
	Unit   string
	Status string
}

// Find returns the sensor of that name, nil if there is none.
func (s Sensors) Find(name string) *Sensor {
	for i := range s {
		if s[i].Name == name {
			return &s[i]
		}
	}
	return nil
}

// Set puts x in the place of the sensor of its name, or behind the others.
func (s *Sensors) Set(x Sensor) {
	if old := s.Find(x.Name); old != nil {
		*old = x
		return
	}
	*s = append(*s, x)
}

// Switch returns a sensor of kind Bool.
func Switch(name string, on bool) Sensor {
	s := Sensor{Name: name, Kind: Bool}
	if on {
		s.Number = 1
	}
	return s
}

// Comparable reports whether the value is a number in a known unit, so that limits and
// means may use it.
func (s *Sensor) Comparable() bool { return s.Kind == Number && s.Status != StatusUnitUnknown }

// ValidSensorName reports whether name matches [a-z][a-z0-9_]{0,31}.
func ValidSensorName(name string) bool {
	if name == "" || len(name) > MaxSensorNameBytes || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for i := 1; i < len(name); i++ {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
