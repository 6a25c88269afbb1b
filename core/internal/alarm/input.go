package alarm

import "industrial-iot-monitor/internal/telemetry"

// Input is one reading and where it came from.
type Input struct {
	Reading  *telemetry.Reading
	Gateway  string
	Received int64 // ms, when it was received
	Waited   int64 // ms it waited in the gateway's buffer before it was written to Kafka
	// Now is the clock in ms, for detected_at alone; 0: Received + Waited.
	Now int64
	// Partition and Offset say where the reading lies in device-data: the evidence.
	Partition int32
	Offset    int64
	// Room is what the other sensors of the reading's room show, nil when it is not
	// known. Only the values at hand are read; it is not kept.
	Room *RoomView
}

// RoomView is what the other sensors of a room show, by parameter.
type RoomView [telemetry.NumAnalog]RoomValue

// RoomValue is one parameter of a room without the device that is judged.
type RoomValue struct {
	Count        int // how many other sensors have a value that is not too old
	Mean, Median float64
}

// Transition is one change of an alarm: the record for the topic of alerts, the alarm
// as it is after it, and the entry for the audit trail.
type Transition struct {
	Alert telemetry.Alert
	Audit telemetry.AuditEntry
}

// Watch is a condition that somebody else judged, for example that a device is silent.
// Type and Device say which alarm is meant.
type Watch struct {
	Device string // or the gateway's id, for the alarms of a gateway
	Type   string // "device_offline", "gateway_down", …
	Holds  bool
	// Since is from when the condition has held, or from when it has been over, in ms
	// by event time; it makes raised_at and with it the alert id. Now is the clock.
	Since, Now int64

	// What follows is needed while it holds.
	Source   telemetry.AlarmSource // empty: watchdog
	Severity telemetry.Severity    // that of a rule of kind offline with this type comes first; empty: medium
	// Threshold and Value are shown with the alarm; Value is also its peak.
	Threshold telemetry.Threshold
	Value     float64
	Message   string
	Location  telemetry.Location
	Model     string // for the rule's Where
	Gateway   string
	// Parent is the id of the alarm that explains this one, for example that of the
	// device's gateway; empty: none. While there is one nobody is paged.
	Parent string
}
