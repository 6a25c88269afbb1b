package alarm

import "industrial-iot-monitor/internal/telemetry"

// Input is one reading and its origin.
type Input struct {
	Reading *telemetry.Reading
	// At is the reading's plant time in ms: when it was taken, by a right clock (see package
	// clock). 0: Reading.Timestamp.
	At int64
	// Restart is set if the readings before were taken for old ones, and this one shows that
	// the device's clock is wrong: they were not.
	Restart  bool
	Gateway  string
	Received int64 // ms, when it was received
	Waited   int64 // ms it waited in the gateway's buffer before it was written to Kafka
	// Now is the clock in ms, for detected_at alone; 0: Received + Waited.
	Now int64
	// Partition and Offset locate the reading in device-data: the evidence.
	Partition int32
	Offset    int64
	// Room has the figures of the other sensors in the reading's room, nil when unknown.
	// It is not kept.
	Room *RoomView
}

// PlantTime returns the plant time of the reading.
func (in *Input) PlantTime() int64 {
	if in.At != 0 {
		return in.At
	}
	return in.Reading.Timestamp
}

// RoomView has the figures of the other sensors of a room, for each parameter that rules
// compare.
type RoomView []RoomParameter

// RoomParameter is a parameter of a room.
type RoomParameter struct {
	Name string
	RoomValue
}

// Of returns the figures of a parameter.
func (v RoomView) Of(parameter string) RoomValue {
	for i := range v {
		if v[i].Name == parameter {
			return v[i].RoomValue
		}
	}
	return RoomValue{}
}

// RoomValue is one parameter of a room without the device that is judged.
type RoomValue struct {
	Count        int // other sensors with a recent value
	Mean, Median float64
}

// Transition is one change of an alarm: the record for the alerts topic, which is the
// alarm's new state, and the entry for the audit trail.
type Transition struct {
	Alert telemetry.Alert
	Audit telemetry.AuditEntry
}

// Finding is the result of a watchdog, for example that a device is silent. Type and
// Device identify the alarm.
type Finding struct {
	Device string // or the gateway's id, for the alarms of a gateway
	Type   string // "device_offline", "gateway_down", …
	Holds  bool
	// Since is when the condition began to hold, or ended, in ms by event time; raised_at
	// and thus the alert id follow from it. Now is the clock.
	Since, Now int64

	// The rest is needed while it holds.
	Source   telemetry.AlarmSource // empty: watchdog
	Severity telemetry.Severity    // overridden by a rule of kind offline with this type; empty: medium
	// Detected is the clock where Now is plant time; 0: Now.
	Detected int64
	// Rule is the id of the rule that adjusted an anomaly, empty for none; Anomaly and Unit say
	// what is unusual.
	Rule    string
	Anomaly *telemetry.Anomaly
	Unit    string
	// Threshold and Value are shown with the alarm; Value is also its peak.
	Threshold telemetry.Threshold
	Value     float64
	// SilentSince is when the device or gateway was last heard of, in ms; 0: that is not what
	// the finding is about.
	SilentSince int64
	Message     string
	Location    telemetry.Location
	Model       string // for the rule's Where
	Gateway     string
	// Parent is the id of the alarm that explains this one, for example that of the
	// device's gateway; empty: none. While there is one the alarm is suppressed.
	Parent string
}
