// Package presence tracks which devices are online. A device is offline when three of its
// sending intervals have passed without a reading. The interval is learned from when its
// readings arrived at the gateway, or announced by the device, or in the catalogue of models.
// Time is the caller's clock. It does no I/O and nothing in it blocks.
package presence

import (
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// missed is how many intervals may pass without a reading.
	missed = 3
	// minWindow is the shortest silence that makes a device offline, whatever its interval.
	minWindow = 1_000
	// slack is the jitter of the path from device to core, in ms.
	slack = 1_000
	// unknownWindow is the window of a device after its first reading: three intervals of
	// ten minutes, and a bit. firstWindow is the shortest one after the first gaps.
	unknownWindow = 35 * 60_000
	firstWindow   = 30_000
	// stall is a gap between two calls of Advance, due every second, that shows that this
	// process slept, not the devices.
	stall = 5_000
	// minPause is the time between two records of a device whose presence is unchanged,
	// so that one that changes with every reading costs little.
	minPause = 1_000
	// relearn is minPause for a changed interval.
	relearn = 60_000
	// clockStep is the change of a wrong clock's offset, in ms, that makes a new record.
	clockStep = 1_000
	// batteryStep is the change of the battery, in percent, that makes a new record.
	batteryStep = 5
)

// Options of a Tracker. Refresh is required.
type Options struct {
	// Refresh is the age at which a device's record is written again, which bounds the age
	// of its last_seen.
	Refresh time.Duration
	// IntervalOf returns the sending interval that is expected of a model; nil: of none.
	IntervalOf func(model string) (time.Duration, bool)
}

// Tracker tracks the devices of one partition. It is not safe for concurrent use.
type Tracker struct {
	refresh    int64
	intervalOf func(model string) (time.Duration, bool)
	// base is the earliest start of any device's silence: the start, or the last time that
	// this process could not listen.
	base     int64
	advanced int64
}

// New returns a Tracker that starts at now. Restored devices have their whole window from
// then on.
func New(o Options, now int64) *Tracker {
	if o.IntervalOf == nil {
		o.IntervalOf = func(string) (time.Duration, bool) { return 0, false }
	}
	return &Tracker{refresh: o.Refresh.Milliseconds(), intervalOf: o.IntervalOf, base: now, advanced: now}
}

// Device is the presence of one device. The zero value is that of a device that never sent a
// reading. It is small: see packed.go.
type Device struct {
	known  bool // it has sent a reading
	online bool
	dirty  bool  // its record is to be written
	jitter uint8 // spreads the refreshes
	gaps   gaps

	since    int64 // ms by the clock, when it came online or went offline
	lastSeen int64 // ms, plant time of its newest reading
	heard    int64 // ms by the clock, when it was last known to be alive
	left     int64 // ms by the clock, when it said that it goes offline
	arrived  int64 // ms, when the newest reading arrived at the gateway, 0: none did
	offset   int64 // ms, of its clock
	expected int64 // ms, the interval of its model, 0: unknown
	restored int64 // ms, the interval in the record that it was restored from, 0: unknown
	gateway  text
	info     info

	// As in its record.
	written  int64 // ms by the clock, when that was
	recorded int64 // ms, the interval
	clock    int64 // ms, offset
	battery  optional
}

// Known reports whether d has ever sent a reading.
func (d *Device) Known() bool { return d.known }

// Online reports whether d is online.
func (d *Device) Online() bool { return d.online }

// Offline reports whether d has sent readings, but no longer does.
func (d *Device) Offline() bool { return d.known && !d.online }

// Since returns when d came online or went offline, in ms by the clock.
func (d *Device) Since() int64 { return d.since }

// LastSeen returns the plant time of d's newest reading in ms.
func (d *Device) LastSeen() int64 { return d.lastSeen }

// ClockOffset returns how far d's clock is ahead, in ms.
func (d *Device) ClockOffset() int64 { return d.offset }

// Gateway returns the gateway of d's newest reading.
func (d *Device) Gateway() string { return d.gateway.String() }

// Location returns where d is, as in its newest reading.
func (d *Device) Location() telemetry.Location { return d.info.location() }

// Model returns d's model, as in its newest reading.
func (d *Device) Model() string { return d.info.model.String() }

// State returns the record of d, whose id that is: what to write when a method returns true. It is
// the zero record while d has sent no reading.
func (d *Device) State(id string) telemetry.DeviceState {
	if !d.known {
		return telemetry.DeviceState{}
	}
	p := telemetry.PresenceOffline
	if d.online {
		p = telemetry.PresenceOnline
	}
	return telemetry.DeviceState{
		DeviceID: id, Presence: p, Since: d.since, LastSeen: d.lastSeen, IntervalMS: d.recorded, ClockOffsetMS: d.offset,
		Gateway: d.Gateway(), Location: d.Location(), Info: d.info.unpack(),
	}
}

// Input is one reading and where it came from.
type Input struct {
	Reading *telemetry.Reading
	At      int64 // plant time of the reading, ms
	// ClockOffset is how far the device's clock is ahead, in ms.
	ClockOffset int64
	// Received is when the gateway received it, in ms; Old is set if its device had kept it.
	Received int64
	Old      bool
	Gateway  string
	Heard    int64 // ms by the clock: when the reading proves its device to have been alive
	Now      int64 // ms by the clock
}

// Restore returns the device of a record.
func (t *Tracker) Restore(s telemetry.DeviceState, now int64) Device {
	// A version without plant time may have stored one from the future.
	s.LastSeen = min(s.LastSeen, now)
	d := Device{
		known: true, online: s.Presence == telemetry.PresenceOnline, since: s.Since, lastSeen: s.LastSeen, offset: s.ClockOffsetMS,
		gateway: newText(s.Gateway), info: newInfo(&s.Location, &s.Info), restored: s.IntervalMS, jitter: spread(s.DeviceID),
		written: now, recorded: s.IntervalMS, clock: s.ClockOffsetMS, battery: pack(s.Info.Battery),
	}
	t.Expect(&d)
	return d
}

// Expect looks the interval of d's model up again, after the catalogue has changed.
func (t *Tracker) Expect(d *Device) {
	d.expected = 0
	if interval, ok := t.intervalOf(d.Model()); ok {
		d.expected = interval.Milliseconds()
	}
}

// Observe learns from a reading of d. It returns whether to write d's State.
func (t *Tracker) Observe(d *Device, in Input) (write bool) {
	first := !d.known
	if first {
		d.begin(in)
		t.Expect(d)
	}
	if in.Reading.Offline {
		return d.leave(in, first)
	}
	d.heard = max(d.heard, in.Heard)
	t.learn(d, in)
	d.offset = in.ClockOffset
	if !d.online && d.heard > d.left && in.Now-d.heard <= d.window() {
		d.turn(true, in.Now)
		return d.write(in.Now)
	}
	if first || d.clockChanged() || d.dirty && in.Now-d.written >= minPause {
		return d.write(in.Now)
	}
	return false
}

// leave takes d offline at once, unless it has sent something since.
func (d *Device) leave(in Input, first bool) (write bool) {
	if in.Heard < d.heard {
		return first && d.write(in.Now)
	}
	d.left = in.Heard
	if d.online {
		d.turn(false, in.Now)
		return d.write(in.Now)
	}
	return first && d.write(in.Now)
}

// Advance sets the time, about once a second. While behind is true the partition is
// catching up: the readings of a silent device may still be unread.
func (t *Tracker) Advance(now int64, behind bool) {
	if behind || now-t.advanced > stall {
		t.base = now
	}
	t.advanced = now
}

// Check updates d at now, about once a second. It returns whether to write d's State: the
// device went offline, or its record is due.
func (t *Tracker) Check(d *Device, now int64) (write bool) {
	silence := now - max(d.heard, t.base)
	switch {
	case d.online && silence > minWindow && silence > d.window():
		d.turn(false, now)
		return d.write(now)
	case d.dirty && now-d.written >= minPause:
		return d.write(now)
	case d.online && now-d.written > t.refresh+int64(d.jitter)*t.refresh/256:
		return d.write(now)
	}
	return false
}

// clockChanged reports whether the clock's offset is to be written at once: the readings
// after a restart must get the same plant time as those before.
func (d *Device) clockChanged() bool {
	is, was := d.offset, d.clock
	return (is == 0) != (was == 0) || max(is-was, was-is) > clockStep
}

// Window returns how long d may be silent before it is offline, in ms.
func (d *Device) Window() int64 { return d.window() }

func (d *Device) turn(online bool, now int64) { d.online, d.since = online, now }

func (d *Device) write(now int64) bool {
	d.written, d.dirty = now, false
	d.battery, d.clock = d.info.battery, d.offset
	if iv := d.interval(); iv > 0 {
		d.recorded = iv
	}
	return true
}

// window is the silence in ms after which d is offline.
func (d *Device) window() int64 {
	if interval := d.interval(); interval != 0 {
		return max(missed*interval, minWindow) + slack
	}
	if longest := d.gaps.longest(); longest != 0 {
		return max(missed*longest, firstWindow) + slack
	}
	return unknownWindow
}

// spread returns 0 to 63 from an id.
func spread(id string) uint8 {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return uint8(h>>16) & 63
}
