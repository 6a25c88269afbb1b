package processor

import (
	"maps"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/internal/telemetry"
)

// batch holds the uncommitted results of a task.
type batch struct {
	next        int64 // offset of the readings to continue from, -1 while unknown
	nextCommand int64 // the same for the commands
	moved       bool  // one of them advanced
	alerts      []alertRecord
	audits      []auditRecord
	letters     []deadLetter
	// removed devices. Their records are deleted before those below are written.
	removed []removed
	// The newest state by device. A nil value removes the record.
	alarms  map[string][]byte
	devices map[string][]byte
	metas   map[string][]byte
	detect  map[string][]byte
	windows []telemetry.Window
	traces  []trace.SpanContext // of readings in it
}

type alertRecord struct {
	device   string
	status   telemetry.AlertStatus
	severity telemetry.Severity
	event    telemetry.AlarmEvent
	from     telemetry.AlarmState // before the event
	quiet    bool                 // it calls no operator
	data     []byte
}

type auditRecord struct {
	device  string
	outcome telemetry.Outcome // empty unless a command caused it
	data    []byte
}

type removed struct {
	device string
	why    cause
}

type deadLetter struct {
	message *sarama.ProducerMessage
	reason  telemetry.Reason
}

func newBatch() *batch {
	return &batch{
		next: -1, nextCommand: -1,
		alarms: make(map[string][]byte), devices: make(map[string][]byte), metas: make(map[string][]byte), detect: make(map[string][]byte),
	}
}

// size is the number of records to write.
func (b *batch) size() int {
	return len(b.alerts) + len(b.audits) + len(b.letters) + len(b.alarms) + len(b.devices) + len(b.metas) + len(b.detect) + 4*len(b.removed)
}

// empty reports whether there is nothing to commit or announce.
func (b *batch) empty() bool {
	return !b.moved && b.size() == 0 && len(b.windows) == 0
}

// remove records that a device is removed.
func (b *batch) remove(id string, why cause) {
	b.removed = append(b.removed, removed{id, why})
	delete(b.alarms, id)
	delete(b.devices, id)
	delete(b.metas, id)
	delete(b.detect, id)
}

// absorb adds the results of o, which are later.
func (b *batch) absorb(o *batch) {
	b.next, b.nextCommand, b.moved = o.next, o.nextCommand, b.moved || o.moved
	b.alerts = append(b.alerts, o.alerts...)
	b.audits = append(b.audits, o.audits...)
	b.letters = append(b.letters, o.letters...)
	for _, r := range o.removed {
		b.remove(r.device, r.why)
	}
	maps.Copy(b.alarms, o.alarms)
	maps.Copy(b.devices, o.devices)
	maps.Copy(b.metas, o.metas)
	maps.Copy(b.detect, o.detect)
	b.windows = append(b.windows, o.windows...)
	b.traces = append(b.traces, o.traces...)
}

// reset empties b and keeps its capacity.
func (b *batch) reset() {
	clear(b.alarms)
	clear(b.devices)
	clear(b.metas)
	clear(b.detect)
	clear(b.letters)
	clear(b.alerts)
	clear(b.audits)
	clear(b.removed)
	b.moved, b.windows, b.traces = false, b.windows[:0], b.traces[:0]
	b.alerts, b.audits, b.letters, b.removed = b.alerts[:0], b.audits[:0], b.letters[:0], b.removed[:0]
}
