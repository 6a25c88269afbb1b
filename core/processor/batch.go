package processor

import (
	"maps"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/telemetry"
)

// batch is what a task has done and not yet committed.
type batch struct {
	next    int64 // offset to go on from, -1 while unknown
	moved   bool  // next moved on
	alerts  []alertRecord
	letters []deadLetter
	// State by device, the newest only. A nil value removes the record.
	alarms  map[string][]byte
	devices map[string][]byte
	windows []telemetry.Window
}

type alertRecord struct {
	device   string
	status   telemetry.AlertStatus
	severity telemetry.Severity
	data     []byte
}

type deadLetter struct {
	message *sarama.ProducerMessage
	reason  telemetry.Reason
}

func newBatch() *batch {
	return &batch{next: -1, alarms: make(map[string][]byte), devices: make(map[string][]byte)}
}

// size is the number of records to write.
func (b *batch) size() int {
	return len(b.alerts) + len(b.letters) + len(b.alarms) + len(b.devices)
}

// empty reports whether there is nothing to write and nothing to say.
func (b *batch) empty() bool {
	return !b.moved && b.size() == 0 && len(b.windows) == 0
}

// absorb adds what came later.
func (b *batch) absorb(o *batch) {
	b.next, b.moved = o.next, b.moved || o.moved
	b.alerts = append(b.alerts, o.alerts...)
	b.letters = append(b.letters, o.letters...)
	maps.Copy(b.alarms, o.alarms)
	maps.Copy(b.devices, o.devices)
	b.windows = append(b.windows, o.windows...)
}

// reset empties b and keeps its room.
func (b *batch) reset() {
	clear(b.alarms)
	clear(b.devices)
	clear(b.letters)
	clear(b.alerts)
	b.moved, b.alerts, b.letters, b.windows = false, b.alerts[:0], b.letters[:0], b.windows[:0]
}
