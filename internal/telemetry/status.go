package telemetry

// Statuses of a sensor that core sets. A device may send any other text.
const (
	StatusNormal = "normal"
	StatusHigh   = "high"
	StatusLow    = "low"
	// StatusUnitUnknown marks a value of a known kind of sensor in a unit that could not be
	// converted. Value and unit are as the device sent them. Such a value is shown and
	// never compared, averaged or recorded as if it were in the kind's unit.
	StatusUnitUnknown = "unit_unknown"
	// StatusImplausible marks a value outside the range of its kind of sensor: a broken
	// wire, a disconnected probe. It is judged like any other value.
	StatusImplausible = "implausible"
)
