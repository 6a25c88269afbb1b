package state

import (
	"bytes"
	"strings"

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
	// placeEvery is how often a device's location and model are updated from its readings, in
	// ms.
	placeEvery = 60_000
)

// Device is one device. ID and Index never change; everything else is read within
// View or an Observer's method.
type Device struct {
	ID    string
	Index int

	payload     []byte // the newest reading; its room is used again for the next
	timestamp   int64
	received    int64
	backfill    bool
	clockOffset int64
	seq         uint64
	gateway     string

	state     telemetry.DeviceState
	hasState  bool
	forgotten bool                  // it was removed: nothing but Index is valid
	meta      *telemetry.DeviceMeta // immutable; nil: nothing was written about it

	location telemetry.Location
	info     telemetry.DeviceInfo
	placedAt int64 // receive time of the reading they come from
}

func newDevice(id string, index int) *Device {
	return &Device{ID: strings.Clone(id), Index: index}
}

// HasReading reports whether a reading has arrived since the portal started.
func (d *Device) HasReading() bool { return d.payload != nil && !d.forgotten }

// Payload returns the newest reading as JSON. It is valid only within the View.
func (d *Device) Payload() []byte { return d.payload }

// Timestamp returns the newest reading's plant time, in ms: when it was taken, by a right clock.
func (d *Device) Timestamp() int64 { return d.timestamp }

// ClockOffset returns how far the device's clock is ahead, in ms, negative behind; 0 within
// the tolerance.
func (d *Device) ClockOffset() int64 {
	if d.HasReading() {
		return d.clockOffset
	}
	return d.state.ClockOffsetMS
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

// Received returns when the gateway took the newest reading, in ms.
func (d *Device) Received() int64 { return d.received }

// Backfill reports whether the newest reading was delayed in a gateway's buffer.
func (d *Device) Backfill() bool { return d.backfill }

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
	return d.state.Gateway
}

// Seen returns the plant time of the newest known reading, in ms, 0 when there is none, or the
// gateway's time when that is earlier.
func (d *Device) Seen() int64 {
	return max(min(d.timestamp, d.received), d.state.LastSeen)
}

// Since returns when the presence last changed, in ms, 0 when unknown.
func (d *Device) Since() int64 { return d.state.Since }

// IntervalMS returns the device's sending interval as learned by core, 0 when unknown.
func (d *Device) IntervalMS() int64 { return d.state.IntervalMS }

// Presence returns whether the device is sending, at now in ms. Core decides it; a live
// reading that is newer than core's state counts as online.
func (d *Device) Presence(now int64) telemetry.Presence {
	fresh := d.payload != nil && !d.backfill && now-d.received < heardLately
	switch {
	case !d.hasState && fresh:
		return telemetry.PresenceOnline
	case !d.hasState:
		return PresenceUnknown
	case d.state.Presence == telemetry.PresenceOffline && fresh && d.received > d.state.Since && d.timestamp > d.state.LastSeen:
		return telemetry.PresenceOnline
	}
	return d.state.Presence
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
func (d *Device) apply(e *wire.FrameEntry, gateway string) {
	d.payload = append(d.payload[:0], e.Payload...)
	d.timestamp, d.received, d.backfill, d.clockOffset = e.Timestamp, e.Received, e.Backfill, e.ClockOffset
	d.gateway = gateway
	if d.placedAt == 0 || e.Received-d.placedAt >= placeEvery {
		d.place()
	}
}

// place updates location and description from the newest reading.
func (d *Device) place() {
	d.placedAt = d.received
	var r telemetry.Reading
	if wire.DecodeReading(d.payload, &r, nil) != nil {
		return // accepted by a newer core: keep the old values
	}
	// The strings are parts of a copy of the whole reading: clone them.
	d.location = telemetry.Location{
		Building: same(d.location.Building, r.Location.Building),
		Floor:    r.Location.Floor,
		Room:     same(d.location.Room, r.Location.Room),
	}
	d.info = r.Info
	d.info.Model, d.info.Firmware = strings.Clone(r.Info.Model), strings.Clone(r.Info.Firmware)
}

// same returns old when now has the same text, else a copy of now.
func same(old, now string) string {
	if old == now {
		return old
	}
	return strings.Clone(now)
}
