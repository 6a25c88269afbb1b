package letterbox

import (
	"bytes"
	"strings"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// fate is whether a dead letter can be replayed, and why not.
type fate uint8

const (
	ready        fate = iota
	refusedAgain      // it is no reading now either
	processed         // core has judged and counted it: only the history lacks it
	otherFormat       // a gateway's mapping would be needed, and part of it may be stored
	truncated         // its end is lost
	misdirected       // it was sent to somewhere else
	noReading         // a command, or an unreadable pack
)

func (f fate) String() string {
	return [...]string{"ready", "refused_again", "processed", "other_format", "truncated", "misdirected", "no_reading"}[f]
}

// never are the reasons of which no letter can be replayed.
var never = map[telemetry.Reason]fate{
	telemetry.ReasonHistory:        processed,
	telemetry.ReasonInvalidMapping: otherFormat,
	telemetry.ReasonBeforeBirth:    otherFormat,
	telemetry.ReasonWrongStream:    misdirected,
	telemetry.ReasonInvalidTopic:   misdirected,
	telemetry.ReasonInvalidCommand: noReading,
	"damaged_pack":                 noReading,
}

// checker judges dead letters by what core accepts now. It is for one goroutine.
type checker struct{ intake intake.Intake }

// judge returns what can be done with a dead letter, and why it would be refused again.
func (c *checker) judge(m *sarama.ConsumerMessage) (f fate, again string) {
	if f, known := never[telemetry.Reason(header(m, wire.HeaderReason))]; known {
		return f, ""
	}
	switch {
	case header(m, wire.HeaderMapping) != "":
		return otherFormat, ""
	case header(m, wire.HeaderTruncated) != "" || header(m, wire.HeaderLength) != "":
		return truncated, ""
	}
	if _, refusal := c.intake.Accept(m.Key, m.Value, &intake.Origin{Written: m.Timestamp.UnixMilli()}); refusal != nil {
		return refusedAgain, refusal.Error()
	}
	return ready, ""
}

// Bounds of what a sample quotes, in bytes.
const (
	maxReason  = 64
	maxMessage = 1024
)

// sample shows a dead letter.
func sample(m *sarama.ConsumerMessage, again string) wire.DeadLetterSample {
	return wire.DeadLetterSample{
		Partition: m.Partition, Offset: m.Offset, Time: m.Timestamp.UnixMilli(), Device: quoted(string(m.Key)), Gateway: quoted(header(m, wire.HeaderGateway)),
		Field: quoted(header(m, wire.HeaderField)), Message: quoted(header(m, wire.HeaderMessage)), Again: quoted(again),
		Bytes: len(m.Value), Raw: bytes.Clone(m.Value[:min(len(m.Value), wire.MaxLetterSample)]),
	}
}

func quoted(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxMessage)], "�") }
