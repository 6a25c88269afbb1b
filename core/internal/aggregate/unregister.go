package aggregate

// Unregister removes a registered device. What it counted in its open window is emitted with
// the next Collect.
func (a *Aggregator) Unregister(d *Device) {
	for i := range d.minute {
		a.cells -= len(d.minute[i].cells)
		if s := &d.minute[i]; s.used {
			a.done = append(a.done, window{of: &d.source, start: s.start, width: Minute, cells: s.cells})
		}
		d.minute[i] = slot{}
	}
	last := len(a.devices) - 1
	moved := a.devices[last]
	a.devices[d.place], moved.place = moved, d.place
	a.devices[last] = nil
	a.devices = a.devices[:last]
	a.cursor = 0 // it may be behind the end
	if cap(a.devices) > 4*len(a.devices)+spare {
		a.devices = append(make([]*Device, 0, 2*len(a.devices)), a.devices...)
	}
}

// spare is how much room for devices is kept, whatever their number.
const spare = 1024
