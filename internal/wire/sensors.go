package wire

import "industrial-iot-monitor/internal/telemetry"

const sensorGroup = "sensors"

// fixedType is the type that the contract fixes for a sensor's value.
type fixedType uint8

const (
	anyType fixedType = iota // the sensor is not one of the contract's
	numberType
	boolType
)

var fixedTypeNames = [...]string{anyType: "a number, true, false or a short string", numberType: "a number", boolType: "true or false"}

func typeOf(name string) fixedType {
	switch name {
	case telemetry.Temperature, telemetry.Humidity, telemetry.Pressure, telemetry.Current:
		return numberType
	case telemetry.SwitchStatus:
		return boolType
	}
	return anyType
}

func (d *decoder) sensors() {
	if !d.object(sensorGroup, true) {
		return
	}
	for more := d.openObject(); more; more = d.nextMember() {
		d.sensor(d.key())
	}
}

// sensor reads the sensor of that name. A malformed one of the contract is refused, any
// other is dropped as a flaw.
func (d *decoder) sensor(name string) {
	fixed := typeOf(name)
	if d.r.Sensors.Find(name) != nil {
		d.refuseTwice(sensorGroup, name)
	}
	switch b := d.peek(); {
	case b == 'n': // an absent sensor
		d.skipMember(sensorGroup, name)
		return
	case b == '{' && (fixed != anyType || telemetry.ValidSensorName(name)):
	case fixed != anyType:
		d.other(sensorGroup, name, true, "an object")
		return
	default:
		d.flaw(sensorGroup, printable(name))
		d.skipMember(sensorGroup, name)
		return
	}
	if len(d.r.Sensors) == telemetry.MaxSensors {
		d.refuse(sensorGroup, "", "more than %d; want at most %d", telemetry.MaxSensors, telemetry.MaxSensors)
		d.skipMember(sensorGroup, name)
		return
	}
	if !d.members(name, fixed) {
		d.unknown.add(member{sensorGroup, name})
	}
}

// Known keys of a sensor, and its value was read.
const (
	keyValue keySet = 1 << iota
	keyUnit
	keyStatus
)

// members reads a sensor's object and appends the sensor to the reading. It returns false
// if the sensor was dropped.
func (d *decoder) members(name string, fixed fixedType) bool {
	s := telemetry.Sensor{Name: name}
	var at sensorLayout
	var seen keySet
	ok := true
	for more := d.openObject(); more; more = d.nextMember() {
		switch key := d.key(); key {
		case "value":
			d.onceOf(&seen, keyValue, name, "value")
			at.value.start = int32(d.i)
			ok = d.value(&s, fixed) && ok
			at.value.end = int32(d.i)
		case "unit":
			d.onceOf(&seen, keyUnit, name, "unit")
			at.unit.start = int32(d.i)
			ok = d.unit(&s, fixed) && ok
			at.unit.end = int32(d.i)
		case "status":
			d.onceOf(&seen, keyStatus, name, "status")
			at.status.start = int32(d.i)
			s.Status = d.status(name)
			at.status.end = int32(d.i)
			continue
		default:
			d.skipMember(sensorPath(name), key)
		}
		if at.status.insert() {
			at.status = span{int32(d.i), int32(d.i)}
		}
	}
	if seen&keyValue == 0 {
		d.wrong(name, "value", fixed, "missing; want "+fixedTypeNames[fixed])
		ok = false
	}
	if !ok {
		return false
	}
	d.r.Sensors = append(d.r.Sensors, s)
	if d.located {
		d.layout.sensors = append(d.layout.sensors, at)
	}
	return true
}

// value reads a sensor's value into s.
func (d *decoder) value(s *telemetry.Sensor, fixed fixedType) bool {
	b := d.peek()
	switch {
	case (b == '-' || '0' <= b && b <= '9') && fixed != boolType:
		var n number
		if !d.number(&n) {
			break
		}
		f, finite := n.float()
		if !finite {
			d.wrong(s.Name, "value", fixed, "want a finite number, got "+clip(n.lit))
			return false
		}
		s.Number = f
		return true
	case b == 't' && fixed != numberType:
		s.Kind, s.Number = telemetry.Bool, 1
		d.literal("true")
	case b == 'f' && fixed != numberType:
		s.Kind = telemetry.Bool
		d.literal("false")
	case b == '"' && fixed == anyType:
		text, _ := d.text(sensorGroup, s.Name, true)
		s.Kind, s.Text = telemetry.Text, text
		if len(text) > telemetry.MaxSensorTextBytes {
			d.wrong(s.Name, "value", fixed, "")
			return false
		}
	default:
		d.skipValue()
		if d.err == nil {
			d.keepTwice(sensorPath(s.Name), "value")
			d.wrong(s.Name, "value", fixed, "want "+fixedTypeNames[fixed]+", got "+kindOf(b))
			return false
		}
	}
	if d.err != nil {
		d.blame(sensorPath(s.Name), "value")
		return false
	}
	return true
}

// unit reads a sensor's unit. Without it the value means nothing, so a wrong type costs
// the sensor.
func (d *decoder) unit(s *telemetry.Sensor, fixed fixedType) bool {
	switch b := d.peek(); b {
	case '"':
		s.Unit = d.sensorText(s.Name, "unit")
		return true
	case 'n':
		d.literal("null")
		if d.err != nil {
			d.blame(sensorPath(s.Name), "unit")
		}
		return true
	default:
		d.skipValue()
		if d.err != nil {
			d.blame(sensorPath(s.Name), "unit")
			return false
		}
		d.keepTwice(sensorPath(s.Name), "unit")
		d.wrong(s.Name, "unit", fixed, "want a string, got "+kindOf(b))
		return false
	}
}

// status reads a sensor's status.
func (d *decoder) status(name string) string {
	if d.peek() == '"' {
		return d.sensorText(name, "status")
	}
	d.other(sensorPath(name), "status", false, "")
	return ""
}

// sensorText reads the string at the position, which is that of a sensor's field.
func (d *decoder) sensorText(name, field string) string {
	d.broken = false
	s := d.str()
	if d.err != nil || d.broken {
		return d.badText(sensorPath(name), field)
	}
	return s
}

// wrong refuses a field of a sensor of the contract. Any other sensor is dropped as a flaw.
func (d *decoder) wrong(name, field string, fixed fixedType, message string) {
	if fixed != anyType {
		d.refuse(sensorPath(name), field, "%s", message)
		return
	}
	d.flaw(sensorPath(name), field)
}

// onceOf is once for a field of a sensor, whose path it builds only if needed.
func (d *decoder) onceOf(seen *keySet, key keySet, name, field string) {
	if *seen&key != 0 {
		d.refuseTwice(sensorPath(name), field)
	}
	*seen |= key
}

func sensorPath(name string) string { return sensorGroup + "." + name }
