package telemetry

// Statuses of a sensor that core sets. A device may send any other text.
const (
	StatusNormal = "normal"
	StatusHigh   = "high"
	StatusLow    = "low"
	// StatusImplausible marks a value outside the range of its kind of sensor: a broken
	// wire, a disconnected probe. It is judged like any other value.
	StatusImplausible = "implausible"
)
