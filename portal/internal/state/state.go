// Package state is the portal's model of the plant: every device with its newest reading, the
// alerts, the gateways and the recent means of the buildings. It is kept in memory, filled by
// package feed and read by packages fanout, dashboard and web. It does no I/O; its methods
// block only while they wait for the model's lock, which is held for microseconds to a few
// milliseconds.
package state

import (
	"sync"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/meter"
)

// Observer is notified of changes while the model is locked for writing: its methods must not
// block and must not call methods of Model that lock.
type Observer interface {
	// Added is called with a device seen for the first time, also after its removal. Its
	// Index is the next one, or that of a removed device, see Model.HoldIndexes.
	Added(d *Device)
	// Removed is called with a device that is known no more.
	Removed(d *Device)
	// Described is called with a device whose Meta is another one.
	Described(d *Device)
	// Readings is called with the devices that got a newer reading, in the order of
	// arrival; a device may occur more than once. The slice is valid during the call.
	Readings(updated []*Device)
	// Alert is called with a new alert or a new state of a known one.
	Alert(a *Alert)
}

// Options of a model. The zero value is usable.
type Options struct {
	// MaxAlerts bounds the past alarms that are kept; 0 means 10,000. Open ones are all
	// kept.
	MaxAlerts int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Model is the model. All of its methods may be called concurrently.
type Model struct {
	now func() time.Time

	applying sync.Mutex // guards the scratch of ApplyFrame; taken before mu
	batch    batch

	mu            sync.RWMutex
	observers     []Observer
	recorder      Recorder // nil: none
	devices       map[string]*Device
	list          []*Device // by Index; in the place of a removed device one that is not Known
	free          []int     // indexes of removed devices, for new ones
	held          bool      // removed indexes are free only after Release
	removals      removals
	shapes        shapes
	metas         map[string]*telemetry.DeviceMeta
	gateways      map[string]*Gateway
	names         map[string]string // gateway ids, so that a device's need not be copied from each frame
	alerts        alertIndex
	annunciations annunciationLog
	windows       windowIndex

	received meter.Meter // readings that arrived, with their age
	counts   Counts
	updates  uint64    // newest readings so far, see Device.Seq
	updated  []*Device // scratch of ApplyFrame
}

// Counts are totals since start.
type Counts struct {
	Frames     int64 // live frames
	Readings   int64 // entries in them
	Refused    int64 // entries that were not applied
	Backfilled int64 // of the readings, those that were buffered at a gateway
	Outdated   int64 // of these, those not newer than the reading at hand
	Removed    int64 // of these, those of a removed device that its gateway received before the removal
	Restored   int64 // devices that got a reading from another portal, see Model.Restore
	Alerts     int64 // new alerts and new states of known ones
	Repeated   int64 // alert records that were no news
}

// New returns an empty model.
func New(o Options) *Model {
	if o.MaxAlerts == 0 {
		o.MaxAlerts = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Model{
		now:      o.Now,
		devices:  make(map[string]*Device),
		metas:    make(map[string]*telemetry.DeviceMeta),
		gateways: make(map[string]*Gateway),
		names:    make(map[string]string),
		alerts:   newAlertIndex(o.MaxAlerts),
		windows:  newWindowIndex(),
	}
}

// Observe makes o one of the observers, which are notified in the order they were added. It
// is called before the model is filled.
func (m *Model) Observe(o Observer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observers = append(m.observers, o)
}

// View runs f while nothing changes. Views run side by side; f must be short.
func (m *Model) View(f func()) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f()
}

// Now returns the model's clock in milliseconds since 1970.
func (m *Model) Now() int64 { return m.now().UnixMilli() }

// Device returns the device with this id, or nil. It is called within View or
// an Observer's method.
func (m *Model) Device(id string) *Device { return m.devices[id] }

// DeviceAt returns the device with this index. It is called as Device is.
func (m *Model) DeviceAt(index int) *Device { return m.list[index] }

// Devices returns all devices by index. It is called as Device is, and the slice is
// valid for as long.
func (m *Model) Devices() []*Device { return m.list }

// eachStep is how many devices Each looks at before it releases the lock.
const eachStep = 2000

// Each calls f with every device that is shown, by index, within Views of limited
// length: what f sees of different devices need not be of the same moment.
func (m *Model) Each(f func(d *Device)) {
	for from, more := 0, true; more; from += eachStep {
		m.View(func() {
			to := min(from+eachStep, len(m.list))
			for _, d := range m.list[from:to] {
				if d.Known() {
					f(d)
				}
			}
			more = to < len(m.list)
		})
	}
}

// add returns the device with this id, created if needed. The id is copied.
func (m *Model) add(id string) *Device {
	if d := m.devices[id]; d != nil {
		return d
	}
	d := newDevice(id, len(m.list))
	d.meta = m.metas[id]
	if len(m.free) > 0 {
		d.Index = m.free[0]
		m.free = m.free[1:]
		m.list[d.Index] = d
	} else {
		m.list = append(m.list, d)
	}
	m.devices[d.ID] = d
	for _, o := range m.observers {
		o.Added(d)
	}
	return d
}

// ApplyState applies the state that core publishes of a device.
func (m *Model) ApplyState(s telemetry.DeviceState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.add(s.DeviceID)
	d.state = deviceState{
		presence: telemetry.Presence(same(string(d.state.presence), string(s.Presence))),
		since:    s.Since, lastSeen: s.LastSeen, intervalMS: s.IntervalMS, clockOffset: s.ClockOffsetMS,
		gateway: m.gatewayName(s.Gateway),
	}
	d.hasState = true
	l, i := d.location, d.info
	if s.Location.Building != "" {
		l = s.Location
	}
	if s.Info.Model != "" {
		i = s.Info
	}
	d.place(l, i)
}
