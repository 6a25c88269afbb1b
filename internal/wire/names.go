// Package wire encodes everything that leaves a process: the JSON codec of readings,
// packs and live frames, NATS subjects, record headers. Golden files in testdata pin each
// format. It does no I/O and nothing in it blocks.
package wire

import (
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// NATS subjects.
const (
	// TelemetrySubjects matches the readings of every device: devices.<device_id>.telemetry.
	TelemetrySubjects = "devices.*.telemetry"
	// ConcentratorSubjects matches the batches of every concentrator, which reads many
	// devices: concentrators.<id>.telemetry.
	ConcentratorSubjects = "concentrators.*.telemetry"
	// StatusSubjects matches every gateway's heartbeat on the hub.
	StatusSubjects = "gateways.*.status"
	// LedgerSubjects matches every gateway's ledger on the hub.
	LedgerSubjects = "gateways.*.ledger"
	// FreshSubjects matches the packs that bridges send to core's live stage: see
	// FreshSubject.
	FreshSubjects = "fresh.*"
	// ExplainSubject answers why an alarm was raised: the request is an ExplainRequest,
	// the reply an Explanation, both JSON.
	ExplainSubject = "alarms.explain"
	// LimitsSubject answers which limits the rules in force have: the reply is a JSON array
	// of RuleLimit.
	LimitsSubject = "alarms.limits"
	// RulesSubject answers which rules are in force and which apply to devices: the request
	// is a RulesRequest, the reply a RulesAnswer, both JSON.
	RulesSubject = "alarms.rules"
	// DryRunSubject answers what a changed rule would have done with past readings: the
	// request is a DryRunRequest, the reply a DryRunAnswer, both JSON.
	DryRunSubject = "alarms.dryrun"
	// RuleProposalSubject answers whether a change of a rule can be proposed or approved: the
	// request is a RuleProposalRequest, the reply a RuleProposalAnswer.
	RuleProposalSubject = "alarms.proposal"
	// DeadLettersSubject answers what is in the topic of dead letters: the reply is a
	// DeadLettersAnswer, JSON.
	DeadLettersSubject = "deadletters.list"
	// DeadLettersReplaySubject sends dead letters through once more: the request is a
	// DeadLetterReplayRequest, the reply a DeadLetterReplayAnswer, both JSON.
	DeadLettersReplaySubject = "deadletters.replay"
	// PeersSubject is for core instances alone: they exchange the state that no single
	// one of them has.
	PeersSubject = "core.peers"
	// VitalsSubjects matches what every process of the plant reports of itself on the hub.
	VitalsSubjects = "processes.*"
	// LiveSubjects matches every gateway's live frames on the hub.
	LiveSubjects = "live.*"
	// AlertSubjects matches alerts of every severity on the hub.
	AlertSubjects = "alerts.*"
	// Inboxes matches the subjects on which answers arrive.
	Inboxes = "_INBOX.>"
	// AggregateSubject carries batches of aggregate windows on the hub.
	AggregateSubject = "aggregates"
)

// TelemetrySubject returns the subject a device publishes its readings on.
func TelemetrySubject(deviceID string) string { return "devices." + deviceID + ".telemetry" }

// TelemetryTopic returns the MQTT topic a device publishes its readings on.
func TelemetryTopic(deviceID string) string { return "devices/" + deviceID + "/telemetry" }

// ConcentratorSubject returns the subject a concentrator publishes its batches on.
func ConcentratorSubject(id string) string { return "concentrators." + id + ".telemetry" }

// ConcentratorTopic returns the MQTT topic a concentrator publishes its batches on.
func ConcentratorTopic(id string) string { return "concentrators/" + id + "/telemetry" }

// StatusSubject returns the subject of a gateway's heartbeat.
func StatusSubject(gateway string) string { return "gateways." + gateway + ".status" }

// LedgerSubject returns the subject of a gateway's ledger.
func LedgerSubject(gateway string) string { return "gateways." + gateway + ".ledger" }

// VitalsSubject returns the subject of the reports of a program's processes.
func VitalsSubject(program string) string { return "processes." + program }

// LogLevelSubject returns the subject on which the processes of a program take a LogLevelRequest.
func LogLevelSubject(program string) string { return "processes." + program + ".loglevel" }

// TraceSubject is the subject on which gateways take a TraceRequest.
const TraceSubject = "processes.edge.trace"

// FreshSubject returns the subject on which the bridge sends a gateway's packs as soon as it
// has them, for screens alone. They arrive in Kafka later, in order.
func FreshSubject(gateway string) string { return "fresh." + gateway }

// LiveSubject returns the subject of a gateway's live frames.
func LiveSubject(gateway string) string { return "live." + gateway }

// AlertSubject returns the subject that alerts of one severity are announced on.
func AlertSubject(s telemetry.Severity) string { return "alerts." + string(s) }

// PackStream returns the name of the stream in which a gateway keeps its packs. It
// contains the gateway's id because acknowledgement subjects carry no JetStream
// domain: equal names on two gateways could be confused.
func PackStream(gateway string) string { return "PACKS_" + gateway }

// PackSubject returns the subject under which a gateway stores its packs.
func PackSubject(gateway string) string { return "packs." + gateway }

// Domain returns the JetStream domain of a gateway: its id.
func Domain(gateway string) string { return gateway }

// Sender is who published readings: a device, or a concentrator for many devices.
type Sender struct {
	ID           string
	Concentrator bool
}

// SenderOfSubject returns the sender in a telemetry subject (devices.<device_id>.telemetry,
// concentrators.<id>.telemetry) or MQTT topic (with slashes), and whether the name has that
// form.
func SenderOfSubject(name string, sep byte) (Sender, bool) {
	id, ok := strings.CutPrefix(name, "devices"+string(sep))
	s := Sender{}
	if !ok {
		if id, ok = strings.CutPrefix(name, "concentrators"+string(sep)); !ok {
			return s, false
		}
		s.Concentrator = true
	}
	s.ID, ok = strings.CutSuffix(id, string(sep)+"telemetry")
	if !ok || s.ID == "" || strings.IndexByte(s.ID, sep) >= 0 {
		return Sender{}, false
	}
	return s, true
}

// DeviceOfSubject returns the device id in a telemetry subject or MQTT topic of a device, and
// whether the name has that form.
func DeviceOfSubject(name string, sep byte) (string, bool) {
	s, ok := SenderOfSubject(name, sep)
	if !ok || s.Concentrator {
		return "", false
	}
	return s.ID, true
}

// Headers of a device-data record: the origin of a reading. Gateway, epoch, seq and index
// together identify it.
const (
	HeaderGateway  = "iot-gateway"
	HeaderEpoch    = "iot-epoch"    // 16 hex digits, new at every start of the gateway
	HeaderSeq      = "iot-seq"      // decimal stream sequence of the pack
	HeaderIndex    = "iot-index"    // decimal position in the pack, from 0
	HeaderReceived = "iot-received" // decimal ms since 1970 when the gateway took the message
	HeaderBackfill = "iot-backfill" // "1" when the reading waited in the gateway's buffer
	// The trace of a reading that was asked for, or of a pack, on one of its records: W3C Trace Context.
	HeaderTraceParent = "traceparent"
	HeaderTraceState  = "tracestate"
	HeaderMapping     = "iot-mapping" // name of the mapping by which the gateway made the reading from another format
)

// BackfillAge is the age from which a reading counts as backfilled: it waited in its
// gateway's buffer. It is the same for bridge and core.
const BackfillAge = 10 * time.Second

// Further headers of a device-data-dlq record.
const (
	HeaderReason  = "iot-reason"
	HeaderField   = "iot-field"
	HeaderMessage = "iot-message"

	// Of a dead letter from device-data: its position there, and its length if it was
	// truncated.
	HeaderTopic     = "iot-topic"
	HeaderPartition = "iot-partition"
	HeaderOffset    = "iot-offset"
	HeaderLength    = "iot-length"
	// HeaderTruncated is the full length of one that a bridge truncated.
	HeaderTruncated = "iot-truncated"

	// HeaderReplay marks a record of the topic that is no dead letter: a DeadLetterReplay.
	HeaderReplay = "iot-replay"
	// HeaderReplayed marks a record of device-data that was a dead letter: its place there,
	// partition/offset.
	HeaderReplayed = "iot-replayed"
)
