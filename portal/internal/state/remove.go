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

// Remove removes a device: it is unknown until it sends again, and then a new one. at is the
// time of the removal, in ms. Live frames do not come by the way of removals: readings that
// a gateway received by then and that arrive within the next minutes are not applied.
func (m *Model) Remove(id string, at int64) {
	now := m.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removals.add(id, at, now)
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

const (
	// removalsKept is how long, in ms, frames with readings from before a removal are looked
	// for. It is longer than a reading is on its way to us: one that waited in a gateway's
	// buffer comes through core, which knows of removals itself.
	removalsKept = 10 * 60_000
	// maxRemovals bounds the removals that are kept.
	maxRemovals = 50_000
)

// removals are those of the last minutes.
type removals struct {
	at    map[string]int64 // by device
	queue []removal        // the oldest first; a device may occur twice
}

type removal struct {
	id       string
	at, kept int64 // ms; kept by our clock
}

func (r *removals) add(id string, at, now int64) {
	r.expire(now)
	if now-at > removalsKept {
		return
	}
	if r.at == nil {
		r.at = make(map[string]int64)
	}
	r.at[id] = at
	r.queue = append(r.queue, removal{id, at, now})
}

// expire drops the removals that are too old or too many.
func (r *removals) expire(now int64) {
	for len(r.queue) > 0 && (now-r.queue[0].kept > removalsKept || len(r.queue) >= maxRemovals) {
		first := r.queue[0]
		if r.queue = r.queue[1:]; r.at[first.id] == first.at {
			delete(r.at, first.id)
		}
	}
	if len(r.queue) == 0 {
		*r = removals{}
	}
}

// includes reports whether a reading that a gateway received at that time is from before the
// removal of its device.
func (r *removals) includes(id string, received int64) bool {
	at, removed := r.at[id]
	return removed && received <= at
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
