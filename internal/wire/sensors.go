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
	if !d.object("sensors", true) {
		return
	}
	var seen keySet
	for more := d.openObject(); more; more = d.nextMember() {
		switch key := d.key(); key {
		case "temperature":
			d.once(&seen, 1<<telemetry.Temperature, "sensors", "temperature")
			d.analog(telemetry.Temperature)
		case "humidity":
			d.once(&seen, 1<<telemetry.Humidity, "sensors", "humidity")
			d.analog(telemetry.Humidity)
		case "pressure":
			d.once(&seen, 1<<telemetry.Pressure, "sensors", "pressure")
			d.analog(telemetry.Pressure)
		case "current":
			d.once(&seen, 1<<telemetry.Current, "sensors", "current")
			d.analog(telemetry.Current)
		case "switch_status":
			d.once(&seen, 1<<telemetry.NumAnalog, "sensors", "switch_status")
			d.toggle()
		default:
			d.skipMember("sensors", key)
		}
	}
}

func (d *decoder) analog(p telemetry.Parameter) {
	m, path := &d.r.Sensors.Analog[p], sensorPaths[p]
	if !d.object(path, false) {
		return
	}
	var at span
	var seen keySet
	for more := d.openObject(); more; more = d.nextMember() {
		switch key := d.key(); key {
		case "value":
			d.once(&seen, 1, path, "value")
			m.Value, m.Present = d.float(path, "value", true)
		case "unit":
			d.once(&seen, 2, path, "unit")
			m.Unit, _ = d.text(path, "unit", false)
		case "status":
			d.once(&seen, 4, path, "status")
			at.start = int32(d.i)
			m.Status, _ = d.text(path, "status", false)
			at.end = int32(d.i)
			continue
		default:
			d.skipMember(path, key)
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
	if !d.object(switchPath, false) {
		return
	}
	var seen keySet
	for more := d.openObject(); more; more = d.nextMember() {
		switch key := d.key(); key {
		case "value":
			d.once(&seen, 1, switchPath, "value")
			s.Value, s.Present = d.boolean(switchPath, "value")
		case "status":
			d.once(&seen, 2, switchPath, "status")
			s.Status, _ = d.text(switchPath, "status", false)
		default:
			d.skipMember(switchPath, key)
		}
	}
	if !s.Present {
		d.refuse(switchPath, "value", "missing; want true or false")
	}
}
