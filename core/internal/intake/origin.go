package intake

import (
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Direct stands for the gateway of a reading that came to Kafka without one.
const Direct = "direct"

// ClockSlack is how far the clocks of gateways and Kafka may differ, in ms, before one
// counts as wrong. A device's clock is known no better than that of its gateway.
const ClockSlack = 60_000

// Clock is the state of a gateway's clock, judged by one reading.
type Clock int8

// States of a gateway's clock.
const (
	ClockGood   Clock = iota
	ClockAhead        // of Kafka's
	ClockBehind       // the device's and Kafka's
)

// Origin is where a record came from, and when, as far as its headers and its own time
// can be trusted.
type Origin struct {
	Gateway  []byte // as in the header; nil without one
	Received int64  // ms, when the gateway received it; 0: unknown, which Accept replaces by Written
	Written  int64  // ms, when it was written to Kafka
	Backfill bool   // it waited in the gateway's buffer
	Clock    Clock  // set by Place
	// TraceParent and TraceState name the trace that the reading is part of; nil for none.
	TraceParent, TraceState []byte
}

// ReadHeader sets the field of o that a header of the record contains. Other headers are
// ignored.
func (o *Origin) ReadHeader(key, value []byte) {
	switch string(key) {
	case wire.HeaderGateway:
		o.Gateway = value
	case wire.HeaderReceived:
		o.Received = milliseconds(value)
	case wire.HeaderBackfill:
		o.Backfill = len(value) == 1 && value[0] == '1'
	case wire.HeaderTraceParent:
		o.TraceParent = value
	case wire.HeaderTraceState:
		o.TraceState = value
	}
}

// GatewayName returns the name in a gateway header, safe as part of a subject; Direct if
// it has none.
func GatewayName(header []byte) string {
	if s := string(header); telemetry.ValidDeviceID(s) {
		return s
	}
	return Direct
}

// Placed is a reading on the plant's time line.
type Placed struct {
	clock.Placed
	// Backfill is set for a reading that waited, in the gateway's buffer or in the device.
	Backfill bool
	// Received is when the gateway received it, and Waited how long it then waited to be
	// written to Kafka, in ms; the time in the device counts as waiting, too.
	Received, Waited int64
}

// Place maps the timestamp of an accepted reading with its device's clock c, and replaces
// an impossible receive time in o: later than the reading was written to Kafka, or well
// before the device made it. The reference for the device's clock is then Kafka's, which
// is right only for readings that did not wait: others look old, as they are.
//
// A timestamp that fits the device's clock, as it is known, confirms the receive time: a
// device that is fast must not make its gateway look slow when the gateway's buffer holds
// its readings up.
//
// A message that only says that its device is offline shows nothing of the device's clock:
// the gateway wrote it, or the device long ago as its will.
func (o *Origin) Place(c *clock.Clock, r *telemetry.Reading) Placed {
	if r.Offline && len(r.Sensors) == 0 {
		at := min(o.Received, o.Written)
		return Placed{Placed: clock.Placed{At: at, Offset: c.Offset()}, Received: at, Backfill: o.Backfill}
	}
	ts, reference := r.Timestamp, o.Received
	switch {
	case o.Received > o.Written+ClockSlack:
		o.Clock, reference = ClockAhead, o.Written
	case ts > o.Received+ClockSlack && ts <= o.Written+ClockSlack && !c.Fits(ts, o.Received):
		o.Clock, reference = ClockBehind, o.Written
	}
	p := Placed{Placed: c.Place(ts, reference)}
	if o.Clock != ClockGood {
		o.Received = min(p.At, o.Written)
		o.Backfill = o.Written-o.Received > wire.BackfillAge.Milliseconds()
	}
	p.Backfill, p.Received = o.Backfill || p.Old, o.Received
	switch {
	case p.Old:
		p.Received = min(p.At, o.Received)
		p.Waited = o.Written - p.Received
	case o.Backfill:
		p.Waited = o.Written - o.Received
	}
	return p
}

// milliseconds parses a decimal number without a sign, 0 for anything else.
func milliseconds(b []byte) int64 {
	if len(b) == 0 || len(b) > 18 {
		return 0
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
