package intake

import (
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Direct stands for the gateway of a reading that came to Kafka without one.
const Direct = "direct"

// clockSlack is how far the clocks of devices, gateways and Kafka may differ, in ms,
// before one counts as wrong.
const clockSlack = 60_000

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
	Clock    Clock  // set by Accept
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

// Waited returns how long a backfilled reading waited in its gateway's buffer, in ms.
func (o *Origin) Waited() int64 {
	if !o.Backfill {
		return 0
	}
	return o.Written - o.Received
}

// correct replaces an impossible receive time of a reading of event time ts: later than
// it was written to Kafka, or well before the device made it. The device's own time,
// confirmed by Kafka's, then takes its place.
func (o *Origin) correct(ts int64) {
	switch {
	case o.Received > o.Written+clockSlack:
		o.Clock = ClockAhead
	case ts > o.Received+clockSlack && ts <= o.Written+clockSlack:
		o.Clock = ClockBehind
	default:
		return
	}
	o.Received = min(ts, o.Written)
	o.Backfill = o.Written-o.Received > wire.BackfillAge.Milliseconds()
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
