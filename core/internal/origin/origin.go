// Package origin tells where a record of device-data came from and when, as far as its
// headers and its own time can be trusted. It does no I/O and nothing in it blocks.
package origin

import (
	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Direct stands for the gateway of a reading that came to Kafka without one.
const Direct = "direct"

const (
	// clockSlack is how far the clocks of devices, gateways and Kafka may differ, in ms,
	// before one is said to be wrong.
	clockSlack = 60_000
	// backfillMS is how long a reading waits before it is no longer live; the bridge
	// draws the same line.
	backfillMS = 10_000
)

// Origin is where a record came from.
type Origin struct {
	Gateway  []byte // as the header has it; nil without one
	Received int64  // ms, when the gateway took it; when it was written if that is not known
	Written  int64  // ms, when it was written to Kafka
	Backfill bool   // it waited in the gateway's buffer
}

// Of reads a record's headers.
func Of(m *sarama.ConsumerMessage) Origin {
	o := Origin{Written: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		switch string(h.Key) {
		case wire.HeaderGateway:
			o.Gateway = h.Value
		case wire.HeaderReceived:
			o.Received = milliseconds(h.Value)
		case wire.HeaderBackfill:
			o.Backfill = len(h.Value) == 1 && h.Value[0] == '1'
		}
	}
	if o.Received <= 0 {
		o.Received = o.Written
	}
	return o
}

// Name returns the name of a gateway as a text that can be part of a subject.
func Name(gateway []byte) string {
	if s := string(gateway); telemetry.ValidDeviceID(s) {
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

// Settle puts right what a gateway's clock says that cannot be, for a reading of event
// time ts: it was not taken after it was written to Kafka, and hardly before the device
// made it. The device's own time, borne out by Kafka's, then tells when it was taken. It
// returns 1 for a clock that is ahead, -1 for one that is behind, 0 for a good one.
func (o *Origin) Settle(ts int64) (off int) {
	switch {
	case o.Received > o.Written+clockSlack:
		off = 1
	case ts > o.Received+clockSlack && ts <= o.Written+clockSlack:
		off = -1
	default:
		return 0
	}
	o.Received = min(ts, o.Written)
	o.Backfill = o.Written-o.Received > backfillMS
	return off
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
