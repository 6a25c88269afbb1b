package state

import (
	"bytes"
	"strings"
	"sync/atomic"
	"unique"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// PresenceUnknown is the presence of a device without a state from core and without a
// reading within the last minute.
const PresenceUnknown telemetry.Presence = "unknown"

const (
	// heardLately is how recent a reading must be for a device to count as online when
	// core has not published its state yet, in ms.
	heardLately = 60_000
	// aheadBy is how far a reading's time may be ahead of its receive time before the
	// device's clock counts as wrong, in ms, see newer.
	aheadBy = 5_000
)

// Device is one device. ID and Index never change; everything else is read within
// View or an Observer's method.
type Device struct {
	ID    string
	Index int

	payload     []byte // the newest reading; its room is used again for the next
	sound       atomic.Uint32
	backfill    bool
	hasState    bool
	restored    bool // the newest reading is what another portal had
	forgotten   bool // it was removed: nothing but Index is valid
	timestamp   int64
	received    int64
	clockOffset int64
	seq         uint64
	gateway     string // of the newest reading
	values      values // of the newest reading

	state deviceState           // the zero one without hasState
	meta  *telemetry.DeviceMeta // immutable; nil: nothing was written about it

	location telemetry.Location
	info     telemetry.DeviceInfo
}

// deviceState is what is kept of a telemetry.DeviceState.
type deviceState struct {
	presence                                 telemetry.Presence
	since, lastSeen, intervalMS, clockOffset int64
	gateway                                  string
}

// Soundness of a payload.
const (
	unchecked = iota
	isObject
	isNone
)

func newDevice(id string, index int) *Device {
	return &Device{ID: strings.Clone(id), Index: index}
}

// HasReading reports whether a reading is known: it arrived, or another portal had it.
func (d *Device) HasReading() bool { return d.payload != nil && !d.forgotten }

// Payload returns the newest reading as JSON, or null when a forged frame brought something
// else. It is valid only within the View. The text is checked here, once, and not when it arrives:
// most readings are replaced before anyone needs their text.
func (d *Device) Payload() []byte {
	switch d.sound.Load() {
	case isObject:
		return d.payload
	case isNone:
		return null
	}
	if !wire.IsObject(d.payload) {
		d.sound.Store(isNone)
		return null
	}
	d.sound.Store(isObject)
	return d.payload
}

var null = []byte("null")

// Values fills r with the newest reading's sensors, location and device info, and reports whether
// they are known. Of statuses there is StatusUnitUnknown alone. r's slice is reused; its
// strings may be kept.
func (d *Device) Values(r *telemetry.Reading) bool {
	if !d.HasReading() || d.values.shape == nil {
		return false
	}
	*r = telemetry.Reading{DeviceID: d.ID, Location: d.location, Info: d.info, Sensors: d.values.append(r.Sensors[:0])}
	return true
}

// Flaws returns the flaws of the newest reading. The slice is immutable.
func (d *Device) Flaws() []string { return d.values.flaws }

// Timestamp returns the newest reading's plant time, in ms: when it was taken, by a right clock.
func (d *Device) Timestamp() int64 { return d.timestamp }

// ClockOffset returns how far the device's clock is ahead, in ms, negative behind; 0 within
// the tolerance.
func (d *Device) ClockOffset() int64 {
	if d.HasReading() {
		return d.clockOffset
	}
	return d.state.clockOffset
}

// noMeta is that of most devices.
var noMeta telemetry.DeviceMeta

// Meta returns name, description and tags of the device. It is immutable: a change is another one.
func (d *Device) Meta() *telemetry.DeviceMeta {
	if d.meta == nil {
		return &noMeta
	}
	return d.meta
}

// Maintenance returns the maintenance that the device is under at now (ms), nil for none.
func (d *Device) Maintenance(now int64) *telemetry.Maintenance {
	if m := d.Meta().Maintenance; m != nil && m.Until > now {
		return m
	}
	return nil
}

// Received returns when the gateway took the newest reading, in ms.
func (d *Device) Received() int64 { return d.received }

// Backfill reports whether the newest reading was delayed in a gateway's buffer.
func (d *Device) Backfill() bool { return d.backfill }

// Live reports whether the newest reading came straight from its gateway: how long ago it was received
// says how fast the way is.
func (d *Device) Live() bool { return !d.backfill && !d.restored }

// Restored reports whether the newest reading is what another portal had.
func (d *Device) Restored() bool { return d.restored && d.HasReading() }

// HasState reports whether core has published the device's state.
func (d *Device) HasState() bool { return d.hasState }

// Seq numbers the newest reading among those of all devices, in the order in which they
// were applied, from 1; 0: there is none yet.
func (d *Device) Seq() uint64 { return d.seq }

// Known reports whether the device is shown.
func (d *Device) Known() bool { return !d.forgotten }

// Location returns where the device is installed, as far as known.
func (d *Device) Location() telemetry.Location { return d.location }

// Info returns the device's description, as far as known.
func (d *Device) Info() telemetry.DeviceInfo { return d.info }

// Gateway returns the id of the gateway that last received from it.
func (d *Device) Gateway() string {
	if d.gateway != "" {
		return d.gateway
	}
	return d.state.gateway
}

// Seen returns the plant time of the newest known reading, in ms, 0 when there is none, or the
// gateway's time when that is earlier.
func (d *Device) Seen() int64 {
	return max(min(d.timestamp, d.received), d.state.lastSeen)
}

// Since returns when the presence last changed, in ms, 0 when unknown.
func (d *Device) Since() int64 { return d.state.since }

// IntervalMS returns the device's sending interval as learned by core, 0 when unknown.
func (d *Device) IntervalMS() int64 { return d.state.intervalMS }

// Presence returns whether the device is sending, at now in ms. Core decides it; a live
// reading that is newer than core's state counts as online.
func (d *Device) Presence(now int64) telemetry.Presence {
	fresh := d.payload != nil && !d.backfill && now-d.received < heardLately
	switch {
	case !d.hasState && fresh:
		return telemetry.PresenceOnline
	case !d.hasState:
		return PresenceUnknown
	case d.state.presence == telemetry.PresenceOffline && fresh && d.received > d.state.since && d.timestamp > d.state.lastSeen:
		return telemetry.PresenceOnline
	}
	return d.state.presence
}

// newer reports whether e replaces the reading at hand. Plant time decides. Where it cannot, the
// live reading received later wins: when the offset of the device's clock is another one now, so
// that the two times are of different time lines, and when the reading at hand is from the
// future of its receive time.
func (d *Device) newer(e *wire.FrameEntry) bool {
	switch {
	case d.payload == nil || e.Timestamp > d.timestamp:
		return true
	case e.Timestamp == d.timestamp:
		return e.Received >= d.received && !bytes.Equal(e.Payload, d.payload)
	}
	return !e.Backfill && e.Received > d.received && (e.ClockOffset != d.clockOffset || d.timestamp > d.received+aheadBy)
}

// apply makes e the newest reading. Its payload is copied.
func (d *Device) apply(e *wire.FrameEntry, gateway string, shapes *shapes) {
	d.payload = append(d.payload[:0], e.Payload...)
	d.sound.Store(unchecked)
	d.timestamp, d.received, d.backfill, d.clockOffset = e.Timestamp, e.Received, e.Backfill, e.ClockOffset
	d.gateway = gateway
	d.values.set(e.Reading, shapes)
	if e.Reading != nil {
		d.place(e.Reading.Location, e.Reading.Info)
	}
}

// place updates location and description.
func (d *Device) place(l telemetry.Location, i telemetry.DeviceInfo) {
	l.Building, l.Room = same(d.location.Building, l.Building), same(d.location.Room, l.Room)
	i.Model, i.Firmware = same(d.info.Model, i.Model), same(d.info.Firmware, i.Firmware)
	d.location, d.info = l, i
}

// same returns old when now has the same text, else a copy of now that devices share.
func same(old, now string) string {
	if old == now {
		return old
	}
	return unique.Make(now).Value()
}
