package state

import "industrial-iot-monitor/internal/telemetry"

// ApplyMeta applies what operators wrote about a device, known or not yet.
func (m *Model) ApplyMeta(v telemetry.DeviceMeta) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.metas[v.DeviceID] = &v
	m.describe(v.DeviceID)
}

// ForgetMeta drops what operators wrote about a device.
func (m *Model) ForgetMeta(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.metas, id)
	m.describe(id)
}

func (m *Model) describe(id string) {
	d := m.devices[id]
	if d == nil {
		return
	}
	d.meta = m.metas[id]
	for _, o := range m.observers {
		o.Described(d)
	}
}

// Remove removes a device: it is unknown until it sends again, and then a new one.
func (m *Model) Remove(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.devices[id]
	if d == nil {
		return
	}
	delete(m.devices, id)
	m.list[d.Index] = &Device{Index: d.Index, forgotten: true}
	if m.recorder != nil {
		m.recorder.Forget(d.Index)
	}
	for _, o := range m.observers {
		o.Removed(d)
	}
	if !m.held {
		m.free = append(m.free, d.Index)
	}
}

// HoldIndexes makes the model keep the index of a removed device until Release: an observer
// that notes indexes for later must not find another device under one. It is called once,
// before the model is filled.
func (m *Model) HoldIndexes() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = true
}

// Release returns indexes of removed devices, each once, for new devices.
func (m *Model) Release(indexes []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, indexes...)
}
