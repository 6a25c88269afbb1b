// Package presence tells who is online. A device is offline when three of its own
// sending intervals, learned from its timestamps, have passed without a word. Going
// offline is decided by the clock the caller hands in. It does no I/O and nothing in it
// blocks.
package presence

import (
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// missed is how many intervals may pass in silence.
	missed = 3
	// minWindow is the shortest silence that counts, whatever the interval.
	minWindow = 1_000
	// slack is what the way from device to core may vary by, in ms.
	slack = 1_000
	// unknownWindow is the silence that counts while a device's interval is unknown.
	unknownWindow = 30_000
	// stall is a gap between two calls of Advance, due every second, after which it
	// was us who slept and not the devices.
	stall = 5_000
	// minPause is how long after a record another one of the same device waits, unless
	// its presence changed. A device that seems to move with every reading costs little.
	minPause = 1_000
	// relearn is the same for a changed interval.
	relearn = 60_000
	// batteryStep is the change of the battery, in percent, that is worth a record.
	batteryStep = 5
)

// Options of a Tracker. All are required.
type Options struct {
	// Refresh is how old a device's record may become before it is written again,
	// so that its last_seen is not older than that.
	Refresh time.Duration
}

// Tracker judges the devices of one partition. It is not safe for concurrent use.
type Tracker struct {
	refresh int64
	// base is when everybody's silence began to count, at the earliest: the start,
	// or the last time that we could not listen.
	base     int64
	advanced int64
}

// New returns a Tracker that starts listening at now. Devices it restores are given
// their whole window from then on.
func New(o Options, now int64) *Tracker {
	return &Tracker{refresh: o.Refresh.Milliseconds(), base: now, advanced: now}
}

// Device is what is known of one device. State is the record to write when a method
// says so; read it, do not change it.
type Device struct {
	State telemetry.DeviceState

	heard   int64 // ms by the clock, the newest sign of life
	written int64 // ms by the clock, when State was last to be written
	battery telemetry.Optional
	jitter  int64 // spreads the refreshes
	gaps    gaps
	dirty   bool
	settled bool // LastSeen is exact, not what an older record said
}

// Input is one reading and where it came from.
type Input struct {
	Reading *telemetry.Reading
	Gateway string
	Heard   int64 // ms by the clock: when the reading proves its device to have been alive
	Now     int64 // ms by the clock
}

// Restore returns a device as its last record told.
func Restore(s telemetry.DeviceState, now int64) Device {
	return Device{State: s, written: now, battery: s.Info.Battery, jitter: spread(s.DeviceID)}
}

// Observe takes in a reading of d, the zero Device when it is the first one. It returns
// whether d.State is to be written.
func (t *Tracker) Observe(d *Device, in Input) (write bool) {
	first := d.State.DeviceID == ""
	if first {
		d.begin(in)
	}
	d.heard = max(d.heard, in.Heard)
	d.learn(in)
	if d.State.Presence == telemetry.PresenceOffline && in.Now-d.heard <= d.window() {
		d.turn(telemetry.PresenceOnline, in.Now)
		return d.write(in.Now)
	}
	if first || d.dirty && in.Now-d.written >= minPause {
		return d.write(in.Now)
	}
	return false
}

// Advance tells the time, about once a second. While behind is true the partition is
// catching up with its past: what is silent then may only not have been read yet.
func (t *Tracker) Advance(now int64, behind bool) {
	if behind || now-t.advanced > stall {
		t.base = now
	}
	t.advanced = now
}

// Check looks at d at now, about once a second. It returns whether d.State is to be
// written: the device went offline, or its record is due.
func (t *Tracker) Check(d *Device, now int64) (write bool) {
	silence := now - max(d.heard, t.base)
	switch {
	case d.State.Presence == telemetry.PresenceOnline && silence > minWindow && silence > d.window():
		d.turn(telemetry.PresenceOffline, now)
		return d.write(now)
	case d.dirty && now-d.written >= minPause:
		return d.write(now)
	case d.State.Presence == telemetry.PresenceOnline && now-d.written > t.refresh+d.jitter*t.refresh/256:
		return d.write(now)
	}
	return false
}

// Window returns how long d may be silent before it is offline, in ms.
func (d *Device) Window() int64 { return d.window() }

// Online reports whether d is online.
func (d *Device) Online() bool { return d.State.Presence == telemetry.PresenceOnline }

func (d *Device) turn(p telemetry.Presence, now int64) {
	d.State.Presence, d.State.Since = p, now
}

func (d *Device) write(now int64) bool {
	d.written, d.dirty = now, false
	d.battery = d.State.Info.Battery
	if iv := d.gaps.interval(); iv > 0 {
		d.State.IntervalMS = iv
	}
	return true
}

// window is the silence in ms after which d is offline.
func (d *Device) window() int64 {
	interval := d.gaps.interval()
	if interval == 0 {
		interval = d.State.IntervalMS
	}
	if interval == 0 {
		return unknownWindow
	}
	return max(missed*interval, minWindow) + slack
}

// spread returns 0 to 63 from an id.
func spread(id string) int64 {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return int64(h>>16) & 63
}
