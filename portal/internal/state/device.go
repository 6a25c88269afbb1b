package state

import (
	"bytes"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// PresenceUnknown is the presence of a device of which core has not said anything and
// that has not been heard for a minute.
const PresenceUnknown telemetry.Presence = "unknown"

const (
	// heardLately is how recent a reading must be to call a device online where
	// core has not spoken yet.
	heardLately = 60_000
	// aheadBy is how far a reading's time may lie behind its own receive time's
	// future before it is taken for a wrong clock, see newer.
	aheadBy = 5_000
	// placeEvery is how often a device's place and model are read from its readings.
	placeEvery = 60_000
)

// Device is one device. ID and Index never change; everything else is read within
// View or an Observer's method.
type Device struct {
	ID    string
	Index int

	payload   []byte // the newest reading; its room is used again for the next
	timestamp int64
	received  int64
	backfill  bool
	seq       uint64
	gateway   string

	state     telemetry.DeviceState
	hasState  bool
	forgotten bool

	location telemetry.Location
	info     telemetry.DeviceInfo
	placedAt int64 // receive time of the reading they come from
}

func newDevice(id string, index int) *Device {
	return &Device{ID: strings.Clone(id), Index: index}
}

// HasReading tells whether a reading has arrived since the portal started.
func (d *Device) HasReading() bool { return d.payload != nil && !d.forgotten }

// Payload returns the newest reading as JSON. It is valid only within the View.
func (d *Device) Payload() []byte { return d.payload }

// Timestamp returns the newest reading's time by the device's clock, in ms.
func (d *Device) Timestamp() int64 { return d.timestamp }

// Received returns when the gateway took the newest reading, in ms.
func (d *Device) Received() int64 { return d.received }

// Backfill tells whether the newest reading had waited in a gateway's buffer.
func (d *Device) Backfill() bool { return d.backfill }

// Seq numbers the newest reading among those of all devices, in the order in which they
// were applied, from 1; 0: there is none yet.
func (d *Device) Seq() uint64 { return d.seq }

// Known tells whether the device is to be shown.
func (d *Device) Known() bool { return !d.forgotten }

// Location returns where the device hangs, as far as it is known.
func (d *Device) Location() telemetry.Location { return d.location }

// Info returns the device's description, as far as it is known.
func (d *Device) Info() telemetry.DeviceInfo { return d.info }

// Gateway returns the id of the gateway it was last heard through.
func (d *Device) Gateway() string {
	if d.gateway != "" {
		return d.gateway
	}
	return d.state.Gateway
}

// Seen returns the time of the newest reading that is known of, in ms, 0 when there is
// none: its own time, or the gateway's when the device's clock runs ahead of it.
func (d *Device) Seen() int64 {
	return max(min(d.timestamp, d.received), d.state.LastSeen)
}

// Since returns when the presence last changed, in ms, 0 when core has not said.
func (d *Device) Since() int64 { return d.state.Since }

// IntervalMS returns the device's sending interval as core learned it, 0 when unknown.
func (d *Device) IntervalMS() int64 { return d.state.IntervalMS }

// Presence tells whether the device is sending, at now in ms. Core decides it; a live
// reading that core has not accounted for yet counts as being online.
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

// newer tells whether e is to replace what is known. Time is the device's own; only
// where the known reading lies in the future of its receive time, which a clock that
// has been put right leaves behind, the later received live reading wins.
func (d *Device) newer(e *wire.FrameEntry) bool {
	switch {
	case d.payload == nil || e.Timestamp > d.timestamp:
		return true
	case e.Timestamp == d.timestamp:
		return e.Received >= d.received && !bytes.Equal(e.Payload, d.payload)
	}
	return !e.Backfill && e.Received > d.received && d.timestamp > d.received+aheadBy
}

// apply makes e the newest reading. Its payload is copied.
func (d *Device) apply(e *wire.FrameEntry, gateway string) {
	d.payload = append(d.payload[:0], e.Payload...)
	d.timestamp, d.received, d.backfill = e.Timestamp, e.Received, e.Backfill
	d.gateway, d.forgotten = gateway, false
	if d.placedAt == 0 || e.Received-d.placedAt >= placeEvery {
		d.place()
	}
}

// place reads the place and the description from the newest reading.
func (d *Device) place() {
	d.placedAt = d.received
	var r telemetry.Reading
	if wire.DecodeReading(d.payload, &r, nil) != nil {
		return // core has read it before; if we cannot, what was known stays
	}
	// The strings are parts of a copy of the whole reading, which is not to be kept.
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
