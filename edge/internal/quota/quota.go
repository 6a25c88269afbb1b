// Package quota bounds what each device may store at a gateway, and how many devices there are, so that
// one that is broken or stolen takes nothing from its neighbours. It is not for connections. It does not
// block but for Save and Load, which use the disk.
package quota

import (
	"fmt"
	"sync"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Limits of a gateway; 0: none.
type Limits struct {
	Readings   float64 // a second and device
	Bytes      float64 // of readings, a second and device
	Devices    int     // known at the same time
	NewDevices float64 // a minute
	DeadBytes  float64 // of dead letters, an hour
}

const (
	// burst is how long a device may be at its limit after a pause: it sends what it kept.
	burst = 10 // seconds
	// deadShare is the part of the dead letters that one device may have.
	deadShare = 8
)

// Use is one entry that a message adds to the store.
type Use struct {
	Device string // empty if unknown
	Bytes  int
	Dead   bool // a dead letter
}

// Options of a Table.
type Options struct {
	Limits Limits
	// Known reports whether a device was made known by an engineer: it is never a new one. May be nil.
	Known func(device string) bool
}

// Table is the devices that a gateway has heard, each with what it may still store. It is safe for
// concurrent use.
type Table struct {
	limits Limits
	known  func(string) bool
	start  time.Time

	mu        sync.Mutex
	devices   map[string]*entry
	ring      entry         // sentinel of the list, the longest silent device first
	at        time.Duration // of the last refill, since the start
	newcomers float64       // devices that may come at once
	dead      float64       // bytes of dead letters that may
	forgotten uint64
}

// entry is one device.
type entry struct {
	device        string
	before, after *entry
	heard         time.Time
	at            time.Duration // of the last refill, since the start

	readings, bytes, dead float64 // that may be used at once; below zero after a message larger than that
}

// New returns a table without devices.
func New(o Options) *Table {
	if o.Known == nil {
		o.Known = func(string) bool { return false }
	}
	t := &Table{
		limits: o.Limits, known: o.Known, start: time.Now(), devices: map[string]*entry{},
		newcomers: o.Limits.NewDevices, dead: o.Limits.DeadBytes,
	}
	t.ring.before, t.ring.after = &t.ring, &t.ring
	return t
}

// Len returns the number of known devices.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.devices)
}

// Forgotten returns how many devices made room for others.
func (t *Table) Forgotten() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.forgotten
}

// Take charges what a message wants to store, all of it, or refuses it for now: nothing is charged then.
func (t *Table) Take(now time.Time, uses []Use) *telemetry.Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	since := now.Sub(t.start)
	t.refill(since)
	fresh := 0.0
	for i := range uses {
		u := &uses[i]
		e := t.devices[u.Device]
		if e == nil && t.isNew(u.Device) {
			fresh++ // a device of the message may be counted twice, which a batch of new devices can bear
		}
		if r := t.refuse(since, e, u, fresh); r != nil {
			return r
		}
	}
	for i := range uses {
		t.charge(now, since, &uses[i])
	}
	return nil
}

// isNew reports whether a device that is not in the table counts as a new one.
func (t *Table) isNew(device string) bool { return device != "" && !t.known(device) }

// refuse says why an entry cannot be stored now. e is nil for a new device.
func (t *Table) refuse(since time.Duration, e *entry, u *Use, fresh float64) *telemetry.Refusal {
	l := &t.limits
	switch {
	case u.Dead && l.DeadBytes > 0 && t.dead <= 0:
		return later("this gateway keeps %.0f bytes of refused messages an hour at most", l.DeadBytes)
	case e == nil && fresh > 0 && l.NewDevices > 0 && t.newcomers < fresh:
		return later("this gateway takes %.0f new devices a minute at most, and %.80q is one", l.NewDevices, u.Device)
	case e == nil:
		return nil
	}
	e.refill(since, l)
	switch {
	case u.Dead && l.DeadBytes > 0 && e.dead <= 0:
		return later("device %.80q may have %.0f bytes of refused messages an hour at most", e.device, l.DeadBytes/deadShare)
	case l.Readings > 0 && e.readings <= 0:
		return later("device %.80q sends more than %g readings a second", e.device, l.Readings)
	case l.Bytes > 0 && e.bytes <= 0:
		return later("device %.80q sends more than %.0f bytes a second", e.device, l.Bytes)
	}
	return nil
}

func later(format string, args ...any) *telemetry.Refusal {
	return &telemetry.Refusal{Reason: telemetry.ReasonRateLimited, Message: fmt.Sprintf(format, args...) + "; keep the reading and retry later"}
}

// refill adds what has come since the last refill.
func (t *Table) refill(since time.Duration) {
	d := (since - t.at).Seconds()
	if d <= 0 {
		return
	}
	t.at = since
	t.newcomers = min(t.limits.NewDevices, t.newcomers+d*t.limits.NewDevices/60)
	t.dead = min(t.limits.DeadBytes, t.dead+d*t.limits.DeadBytes/3600)
}

func (e *entry) refill(since time.Duration, l *Limits) {
	d := (since - e.at).Seconds()
	if d <= 0 {
		return
	}
	e.at = since
	e.readings = min(l.Readings*burst, e.readings+d*l.Readings)
	e.bytes = min(l.Bytes*burst, e.bytes+d*l.Bytes)
	e.dead = min(l.DeadBytes/deadShare, e.dead+d*l.DeadBytes/deadShare/3600)
}

func (t *Table) charge(now time.Time, since time.Duration, u *Use) {
	e := t.devices[u.Device]
	if e == nil {
		if t.isNew(u.Device) {
			t.newcomers--
		}
		e = t.add(u.Device)
		e.at = since
	}
	e.heard = now
	e.unlink()
	t.append(e)
	e.readings--
	e.bytes -= float64(u.Bytes)
	if u.Dead {
		e.dead -= float64(u.Bytes)
		t.dead -= float64(u.Bytes)
	}
}

// add adds a device; the one silent for longest makes room.
func (t *Table) add(device string) *entry {
	if t.limits.Devices > 0 && len(t.devices) >= t.limits.Devices {
		oldest := t.ring.after
		oldest.unlink()
		delete(t.devices, oldest.device)
		t.forgotten++
	}
	l := &t.limits
	e := &entry{device: device, readings: l.Readings * burst, bytes: l.Bytes * burst, dead: l.DeadBytes / deadShare}
	t.devices[device] = e
	t.append(e)
	return e
}

// append puts e behind all others.
func (t *Table) append(e *entry) {
	e.before, e.after = t.ring.before, &t.ring
	e.before.after, e.after.before = e, e
}

func (e *entry) unlink() { e.before.after, e.after.before = e.after, e.before }
