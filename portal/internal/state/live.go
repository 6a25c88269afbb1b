package state

import "industrial-iot-monitor/internal/telemetry"

// EachLiveValue calls f with the newest value of every comparable sensor of every device that is
// online. What it sees of different devices need not be of the same moment.
func (m *Model) EachLiveValue(f func(building, sensor string, v float64)) {
	now := m.Now()
	m.Each(func(d *Device) {
		if d.values.shape == nil || !d.HasReading() || d.Presence(now) != telemetry.PresenceOnline {
			return
		}
		for i := range d.values.shape.sensors {
			if x := &d.values.shape.sensors[i]; x.Comparable() {
				f(d.location.Building, x.Name, d.values.numbers[i])
			}
		}
	})
}
