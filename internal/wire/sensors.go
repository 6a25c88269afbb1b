package wire

import "industrial-iot-monitor/internal/telemetry"

// sensorPaths are the dotted paths of the analog sensors, by Parameter.
var sensorPaths = [telemetry.NumAnalog]string{
	telemetry.Temperature: "sensors.temperature",
	telemetry.Humidity:    "sensors.humidity",
	telemetry.Pressure:    "sensors.pressure",
	telemetry.Current:     "sensors.current",
}

const switchPath = "sensors.switch_status"

func (d *decoder) sensors() {
	if d.seen&seenSensors != 0 {
		d.r.Sensors, d.layout = telemetry.Sensors{}, Layout{}
	}
	if !d.object("sensors", true) {
		return
	}
	d.seen |= seenSensors
	for more := d.openObject(); more; more = d.nextMember() {
		switch d.key() {
		case "temperature":
			d.analog(telemetry.Temperature)
		case "humidity":
			d.analog(telemetry.Humidity)
		case "pressure":
			d.analog(telemetry.Pressure)
		case "current":
			d.analog(telemetry.Current)
		case "switch_status":
			d.toggle()
		default:
			d.skipValue()
		}
	}
}

func (d *decoder) analog(p telemetry.Parameter) {
	m, path := &d.r.Sensors.Analog[p], sensorPaths[p]
	if m.Present {
		*m, d.layout.status[p] = telemetry.Measurement{}, span{}
	}
	if !d.object(path, false) {
		return
	}
	var at span
	for more := d.openObject(); more; more = d.nextMember() {
		switch d.key() {
		case "value":
			m.Value, m.Present = d.float(path, "value", true)
		case "unit":
			m.Unit, _ = d.text(path, "unit", false)
		case "status":
			at.start = int32(d.i)
			m.Status, _ = d.text(path, "status", false)
			at.end = int32(d.i)
			continue
		default:
			d.skipValue()
		}
		if at.insert() {
			at = span{int32(d.i), int32(d.i)}
		}
	}
	d.layout.status[p] = at
	if !m.Present {
		d.refuse(path, "value", "missing; want a number")
	}
}

// toggle reads the switch sensor.
func (d *decoder) toggle() {
	s := &d.r.Sensors.Switch
	if s.Present {
		*s = telemetry.Switch{}
	}
	if !d.object(switchPath, false) {
		return
	}
	for more := d.openObject(); more; more = d.nextMember() {
		switch d.key() {
		case "value":
			s.Value, s.Present = d.boolean(switchPath, "value")
		case "status":
			s.Status, _ = d.text(switchPath, "status", false)
		default:
			d.skipValue()
		}
	}
	if !s.Present {
		d.refuse(switchPath, "value", "missing; want true or false")
	}
}
