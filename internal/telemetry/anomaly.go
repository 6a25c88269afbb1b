package telemetry

// AnomalyKind is how the course of a sensor differs from what is usual for it.
type AnomalyKind string

// Kinds of anomalies.
const (
	AnomalySpike       AnomalyKind = "spike"       // one value, or few, far from the others
	AnomalyLevel       AnomalyKind = "level"       // the mean has stepped to another level
	AnomalyDrift       AnomalyKind = "drift"       // the mean moves slowly in one direction
	AnomalyStuck       AnomalyKind = "stuck"       // the value no longer moves
	AnomalyNoise       AnomalyKind = "noise"       // the spread is larger than usual
	AnomalyOscillation AnomalyKind = "oscillation" // the value steps between two levels
	AnomalyDropout     AnomalyKind = "dropout"     // values are missing
	AnomalyPattern     AnomalyKind = "pattern"     // not as usual on this day at this hour
	AnomalyCorrelation AnomalyKind = "correlation" // no longer moves with another sensor of its device
	AnomalyPeers       AnomalyKind = "peers"       // differs from its neighbours: see PeerGroup
)

// PeerGroup is which neighbours a sensor is compared with.
type PeerGroup string

// Groups of neighbours.
const (
	PeersInRoom  PeerGroup = "room"  // the devices of the room
	PeersOfModel PeerGroup = "model" // the devices of the model in the building
)

// Anomaly is what a detector says about one sensor of a device, with the figures of its reason.
// Figures that do not belong to Kind are 0.
type Anomaly struct {
	Sensor string      `json:"sensor"`
	Kind   AnomalyKind `json:"kind"`
	// Score is how unusual it is, 0 to 1; from 0.5 on it is worth an alarm at ordinary sensitivity.
	Score float64 `json:"score"`
	// Tail is the probability that usual operation shows as much in one reading.
	Tail float64 `json:"tail"`
	// Since is the plant time in ms from which on it is unusual.
	Since int64 `json:"since"`
	// Value is the newest value, or the mean of the newest; Expected, Low and High are what is
	// usual for it, all in the sensor's unit.
	Value    float64 `json:"value"`
	Expected float64 `json:"expected"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	// Sigma is the distance from Expected in usual deviations.
	Sigma float64 `json:"sigma,omitempty"`
	// Seasonal: Expected is that of this day of the week at this hour.
	Seasonal bool `json:"seasonal,omitempty"`
	// Ratio is by how much the spread has grown, of noise and oscillation.
	Ratio float64 `json:"ratio,omitempty"`
	// PerHour is the change in an hour, of a drift.
	PerHour float64 `json:"per_hour,omitempty"`
	// Missing is the share of values that are missing, of a dropout.
	Missing float64 `json:"missing,omitempty"`
	// With is the other sensor, of a correlation.
	With string `json:"with,omitempty"`
	// Group is which neighbours it differs from, of peers; empty, in older records: PeersInRoom.
	Group PeerGroup `json:"group,omitempty"`
	// Sensors is how many sensors of the device are unusual at this time, this one included.
	Sensors int `json:"sensors,omitempty"`
}

// Unusual is a device that is unusual now, with the sensor that is so the most.
type Unusual struct {
	DeviceID string   `json:"device_id"`
	Location Location `json:"location"`
	At       int64    `json:"at"` // plant time of the reading, ms
	Unit     string   `json:"unit,omitempty"`
	Anomaly
}
